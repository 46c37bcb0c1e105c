// The first page: what this is, whether it works, and how to call it with the address in front of you.

import { api, at, badge, copyable, el, gateway, later, notice, page, root, tabs } from "./shell.js";

const BASE = new URL("v1", root).href;
const MODEL = "flux.1-schnell";

const SNIPPETS = {
  curl: `curl ${BASE}/images/generations \\
  -H "Authorization: Bearer $SPILLWAY_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{"model": "${MODEL}", "prompt": "a quiet harbor at dawn", "size": "1024x1024"}'`,
  Python: `from openai import OpenAI

client = OpenAI(base_url="${BASE}", api_key="YOUR_KEY")
answer = client.images.generate(
    model="${MODEL}",
    prompt="a quiet harbor at dawn",
    size="1024x1024",
)
print(answer.data[0].url)`,
  Node: `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${BASE}", apiKey: "YOUR_KEY" });
const answer = await client.images.generate({
  model: "${MODEL}",
  prompt: "a quiet harbor at dawn",
  size: "1024x1024",
});
console.log(answer.data[0].url);`,
};

const PLACES = [
  ["playground", "Playground", "Try any model. See the price before, and the truth after."],
  ["models", "Models", "Every model with its sizes, its price and each field it takes."],
  ["requests", "Requests", "What was asked, what became of it, and its images."],
  ["usage", "Usage", "Images, costs, failures and latency by day, model and key."],
];

async function status() {
  // Not ready is an answer too: its body says what stands in the way.
  const [about, ready] = await Promise.all([gateway, api("/readyz", { quiet: true }).catch((error) => error)]);
  const state = ready.ok
    ? await ready.json()
    : ready.body?.problems ? ready.body : { status: "not ready", problems: [ready.message], models: null };
  const healthy = state.status === "ready" && state.problems.length === 0;
  const upstream = about.upstream === "simulator" ? "the built-in simulator" : "Runware";
  return [
    el("div", { class: "row" },
      badge(healthy ? "Ready" : state.status === "ready" ? "Serving, with a problem" : "Not ready",
        healthy ? "good" : state.status === "ready" ? "warn" : "bad"),
      el("span", {}, `Images come from ${upstream}.`)),
    // What it looks at by itself; Runware is judged by its last answer, and there may have been none.
    healthy ? el("p", { class: "muted small" }, `Journal, store, disk and workers answer, and no request to ${upstream} has met a problem lately. Nothing was bought to find out.`) : null,
    state.problems.map((problem) => notice("warn", problem)),
    about.upstream === "simulator"
      ? el("p", { class: "muted" }, "Set RUNWARE_API_KEY and start again for real images. Until then everything works, and costs nothing.")
      : null,
    el("dl", { class: "facts" },
      fact("Version", about.version ?? "unknown"),
      fact("Models", state.models ?? "unknown"),
      fact("Base URL", el("code", {}, BASE))),
  ];
}

function fact(name, value) {
  return [el("dt", {}, name), el("dd", {}, value)];
}

const start = el("section", { class: "card", "aria-labelledby": "start" },
  el("h2", { id: "start" }, "Make an image"),
  el("p", { class: "muted" }, "Any client of OpenAI's Images API works. Change its base URL, and nothing else."),
  tabs("Examples", Object.entries(SNIPPETS).map(([name, text]) => ({ name, content: copyable(text, name) }))));

const state = el("section", { class: "card", "aria-labelledby": "state" }, el("h2", { id: "state" }, "This gateway"), later(status));

const places = el("nav", { class: "grid places", "aria-label": "What is here" },
  PLACES.map(([path, name, text]) => el("a", { class: "card", href: at(path) }, el("strong", {}, name), el("span", { class: "muted" }, text))));

const more = el("p", { class: "muted small" });
gateway.then((about) => {
  const links = [["docs", "docs", "API documents"], ["openapi", "openapi.json", "OpenAPI document"], ["llms", "llms.txt", "For language models"]];
  more.append(...links.filter(([name]) => about.links?.[name]).flatMap(([, path, text], index) => [
    index ? " · " : "", el("a", { href: at(path) }, text),
  ]));
});

page("Spillway", [
  el("div", { class: "hero" }, start, state),
  places,
  more,
], { lead: "An OpenAI-compatible image gateway in front of Runware. Every image is paid once, and whatever was changed is said." });
