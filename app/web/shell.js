// The frame of every page: header, navigation, color scheme, signing in and out, footer.
// Also the one module that pages import: it hands on what the others offer.

import { at, json } from "./api.js";
import { el, fill, svg } from "./dom.js";
import { readKey, signIn, signOut, wording } from "./session.js";

export { ApiError, api, at, json, namedBelow, root } from "./api.js";
export { el, fill, safeAddress, svg } from "./dom.js";
export { ago, atItsSize, count, duration, moment, money, plural } from "./format.js";
export { badge, copyable, failure, later, notice, prose, tabs } from "./parts.js";
export { readKey, signIn } from "./session.js";

const LINKS = [
  ["playground", "Playground"], ["models", "Models"], ["requests", "Requests"], ["usage", "Usage"], ["keys", "Keys"],
];
const THEMES = { auto: "automatic", light: "light", dark: "dark" };

/** What the gateway says of itself, asked for once a page. @type {Promise<object>} */
export const gateway = json("/", { quiet: true }).catch(() => ({}));
gateway.then((about) => {
  if (about.auth === "passthrough") wording.whose = "the API key of your Runware account";
});

/**
 * Show a page.
 * @param {string} title Its heading, and the title of the window.
 * @param {Node | Node[]} content
 * @param {{lead?: string, actions?: Node[]}} [more] A sentence below the heading, and buttons beside it.
 * @returns {HTMLElement} The main element.
 */
export function page(title, content, { lead, actions = [] } = {}) {
  document.title = title === "Spillway" ? title : `${title} · Spillway`;
  const main = el("main", { id: "main", tabIndex: -1 },
    el("div", { class: "heading" },
      el("div", {}, el("h1", {}, title), lead ? el("p", { class: "lead" }, lead) : null),
      actions.length ? el("div", { class: "row" }, actions) : null),
    content);
  const skip = el("button", { class: "skip", onclick: () => main.focus() }, "Skip to content");
  fill(document.body, skip, header(), main, footer());
  return main;
}

function header() {
  const here = location.pathname;
  const links = LINKS.map(([path, name]) => {
    const address = at(path);
    const pathname = new URL(address).pathname;
    const current = here === pathname || here.startsWith(`${pathname}/`);
    return el("a", { href: address, "aria-current": current ? "page" : null }, name);
  });
  const docs = el("a", { href: at("docs"), hidden: true }, "API");
  const pill = el("span", { class: "pill", hidden: true, title: "There is no Runware key: images are made up and cost nothing." }, "simulator");
  gateway.then((about) => {
    pill.hidden = about.upstream !== "simulator";
    docs.hidden = !about.links?.docs;
  });
  return el("header", { class: "top" },
    el("a", { href: at(""), class: "brand" }, el("img", { src: at("web/icon.svg"), alt: "", width: 26, height: 26 }), "Spillway"),
    pill,
    el("nav", { "aria-label": "Pages" }, links, docs),
    el("div", { class: "tools" }, themeSwitch(), account()));
}

function footer() {
  const version = el("span", {});
  gateway.then((about) => {
    version.textContent = about.version ? `Spillway ${about.version}` : "Spillway";
  });
  return el("footer", {}, version, el("span", {}, "Self-hosted, OpenAI-compatible, in front of Runware"));
}

function account() {
  const button = el("button", { class: "quiet" });
  const show = () => {
    button.textContent = readKey() ? "Sign out" : "Sign in";
  };
  button.addEventListener("click", async () => {
    if (readKey()) await signOut();
    else if (!(await signIn())) return;
    // What another key sees is another page.
    location.reload();
  });
  document.addEventListener("signed-in", show);
  show();
  return button;
}

function themeSwitch() {
  const button = el("button", { class: "quiet icon" });
  const show = () => {
    const theme = document.documentElement.dataset.theme ?? "auto";
    button.setAttribute("aria-label", `Color scheme: ${THEMES[theme]}`);
    button.title = `Color scheme: ${THEMES[theme]}`;
    fill(button, icon(theme));
  };
  button.addEventListener("click", () => {
    const names = Object.keys(THEMES);
    const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % names.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("spillway.theme", next);
    } catch {
      // Without storage the choice holds for this page.
    }
    show();
  });
  show();
  return button;
}

function icon(theme) {
  const line = { fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round" };
  const shapes = {
    auto: [svg("circle", { cx: 10, cy: 10, r: 6.5, ...line }), svg("path", { d: "M10 3.500a6.500 6.500 0 0 1 0 13z", fill: "currentColor" })],
    light: [svg("circle", { cx: 10, cy: 10, r: 3.5, ...line }), svg("path", { d: "M10 2v2M10 16v2M2 10h2M16 10h2M4.300 4.300l1.400 1.400M14.300 14.300l1.400 1.400M4.300 15.700l1.400-1.400M14.300 5.700l1.400-1.400", ...line })],
    dark: [svg("path", { d: "M16.500 12.200A7 7 0 0 1 7.800 3.500a7 7 0 1 0 8.700 8.700z", ...line })],
  };
  return svg("svg", { viewBox: "0 0 20 20", width: 18, height: 18, "aria-hidden": "true" }, shapes[theme]);
}
