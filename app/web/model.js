// One model: its names, its sizes as shapes, its price, every field with what becomes of it, and code to copy.

import { fixedSizes, modes, price, ratio, shape, sizesInWords } from "./catalog.js";
import { at, badge, copyable, el, json, later, notice, page, prose, root, tabs } from "./shell.js";

const MODE_KINDS = { honored: "good", passed: "good", recorded: "", converted: "", emulated: "", changed: "warn", dropped: "warn", refused: "bad", protected: "" };
const MODE_WORDS = {
  honored: "The model does it.", passed: "Passed to Runware under this name.", recorded: "Written down beside the request.",
  converted: "Made by this gateway from the model's result.", emulated: "The same meaning by other means.",
  changed: "Becomes the nearest thing the model can do.", dropped: "The model has no equivalent: reported, or refused in strict mode.",
  refused: "Refused.", protected: "The gateway's own; cannot be set.",
};

/** Show the page of a model. @param {string} name Any of its names. */
export function showModel(name) {
  const place = later(async () => {
    const path = `/v1/models/${encodeURIComponent(name)}`;
    const [model, schema] = await Promise.all([json(path), json(`${path}?schema=true`)]);
    main.querySelector("h1").textContent = model.name;
    document.title = `${model.name} · Spillway`;
    return el("div", { class: "stack" }, about(model), sizes(model), examples(model, schema), fields(schema));
  });
  const main = page(name, place, { actions: [el("a", { class: "button", href: at("models") }, "All models"), el("a", { class: "button primary", href: `${at("playground")}?model=${encodeURIComponent(name)}` }, "Try it")] });
}

function section(id, title, ...content) {
  return el("section", { class: "card", "aria-labelledby": id }, el("h2", { id }, title), content);
}

function about(model) {
  const facts = [
    ["Creator", model.creator],
    ["What it does", el("span", { class: "row" }, modes(model).map((mode) => badge(mode)))],
    ["Price", [price(model), el("div", { class: "muted small" }, model.pricing.text, model.pricing.note ? ` ${model.pricing.note}` : "")]],
    ["Input images", model.max_input_images ? `up to ${model.max_input_images}` : "none"],
    ["Mask", model.capabilities.includes("inpainting") ? "the model takes one" : model.max_input_images ? "emulated: the result is pasted into your image" : "none"],
    ["Status", [badge(model.status, model.status === "live" ? "good" : "warn"), model.status_note ? el("div", { class: "muted small" }, model.status_note) : null]],
    ["Released", model.released ?? "unknown"],
    ["Names to use", el("ul", { class: "names" }, [model.id, ...model.aliases.filter((one) => one !== model.id)].map((one) => el("li", {}, el("code", {}, one))))],
  ];
  return section("about", "About",
    model.description ? el("p", {}, model.description) : null,
    model.replaced_by ? notice("warn", "It is replaced by ", el("a", { href: `${at("models")}/${encodeURIComponent(model.replaced_by)}` }, model.replaced_by), ".") : null,
    el("dl", { class: "facts" }, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
}

function sizes(model) {
  if (model.sizes.kind !== "fixed") return section("sizes", "Sizes", el("p", {}, sizesInWords(model)));
  const tiers = Object.entries(model.sizes.tiers).map(([tier, listed]) => el("div", {},
    el("h3", {}, tier),
    el("ul", { class: "shapes" }, listed.map((size) => {
      const [width, height] = size.split("x").map(Number);
      return el("li", {}, shape(width, height), el("span", {}, `${width}×${height}`), el("span", { class: "muted small" }, ratio(width, height)));
    }))));
  return section("sizes", "Sizes", el("p", { class: "muted" }, `It makes these ${fixedSizes(model).length} sizes. Another one becomes the nearest, and the answer says so.`), tiers);
}

function examples(model, schema) {
  const base = new URL("v1", root).href;
  const edits = !model.modes.includes("text-to-image");
  const size = fixedSizes(model)[0]?.join("x") ?? "1024x1024";
  const text = JSON.stringify(model.id);
  // Upscalers and removers of backgrounds have none; only Python's SDK demands one all the same.
  const hasPrompt = ["honored", "converted", "emulated", "passed"].includes(schema.properties.prompt?.["x-spillway-mode"]);
  const change = hasPrompt ? "make it night" : "";
  const generate = {
    curl: `curl ${base}/images/generations \\\n  -H "Authorization: Bearer $SPILLWAY_API_KEY" \\\n  -H "Content-Type: application/json" \\\n  -d '{"model": ${text}, "prompt": "a quiet harbor at dawn", "size": "${size}"}'`,
    Python: `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}", api_key="YOUR_KEY")\nanswer = client.images.generate(model=${text}, prompt="a quiet harbor at dawn", size="${size}")\nprint(answer.data[0].url)`,
    Node: `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${base}", apiKey: "YOUR_KEY" });\nconst answer = await client.images.generate({ model: ${text}, prompt: "a quiet harbor at dawn", size: "${size}" });\nconsole.log(answer.data[0].url);`,
  };
  const edit = {
    curl: `curl ${base}/images/edits \\\n  -H "Authorization: Bearer $SPILLWAY_API_KEY" \\\n  -F model=${text}${hasPrompt ? ` -F prompt="${change}"` : ""} -F image=@photo.png`,
    Python: `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}", api_key="YOUR_KEY")\nwith open("photo.png", "rb") as image:\n    answer = client.images.edit(model=${text}, image=image, prompt="${change}")\nprint(answer.data[0].url)`,
    Node: `import fs from "node:fs";\nimport OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${base}", apiKey: "YOUR_KEY" });\nconst answer = await client.images.edit({ model: ${text}, image: fs.createReadStream("photo.png")${hasPrompt ? `, prompt: "${change}"` : ""} });\nconsole.log(answer.data[0].url);`,
  };
  return section("code", "Use it", tabs("Examples", Object.entries(edits ? edit : generate).map(([name, code]) => ({ name, content: copyable(code, name) }))));
}

function fields(schema) {
  const rows = Object.entries(schema.properties).filter(([, field]) => !field["x-same-as"]);
  const own = rows.filter(([, field]) => !["dropped", "protected", "refused"].includes(field["x-spillway-mode"]));
  const rest = rows.filter(([, field]) => ["dropped", "protected", "refused"].includes(field["x-spillway-mode"]));
  return section("fields", "Fields",
    el("p", { class: "muted" }, "What a request to this model may carry, and what becomes of it."),
    table(own, schema.required, "Fields"),
    rest.length ? el("details", {}, el("summary", {}, `${rest.length} fields that this model has no use for`), table(rest, schema.required, "Fields without use")) : null);
}

function table(rows, required, label) {
  return el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": label }, el("table", { class: "field-table" },
    el("thead", {}, el("tr", {}, ["Field", "Values", "What happens", "Meaning"].map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows.map(([name, field]) => {
      const mode = field["x-spillway-mode"];
      return el("tr", {},
        el("th", { scope: "row" }, el("code", {}, name), required.includes(name) ? el("span", { class: "muted small" }, " required") : null),
        el("td", {}, values(field)),
        el("td", {}, el("span", { title: MODE_WORDS[mode] ?? "" }, badge(mode, MODE_KINDS[mode] ?? ""))),
        el("td", { class: "muted" }, prose(field.description ?? (mode === "passed" ? MODE_WORDS.passed : ""))));
    }))));
}

/** What a field takes on this model, in words. */
function values(field) {
  const plain = field.anyOf?.find((one) => one.type !== "null") ?? field;
  if (plain.anyOf) return "an image";
  const native = Array.isArray(field["x-native"]) && field["x-native"].length ? field["x-native"] : null;
  const listed = native ?? plain.enum ?? field.enum;
  if (listed) return listed.length > 8 ? `${listed.slice(0, 6).join(", ")} and ${listed.length - 6} more` : listed.join(", ");
  const low = field.minimum ?? plain.minimum;
  const high = field.maximum ?? plain.maximum;
  if (low !== undefined || high !== undefined) return `${low ?? "any"} to ${high ?? "any"}${field.default === undefined || field.default === null ? "" : `, usually ${field.default}`}`;
  if (field["x-maximum-items"]) return `${field["x-minimum-items"] ?? 0} to ${field["x-maximum-items"]} images`;
  if (field.maxLength) return `text, up to ${field.maxLength.toLocaleString("en-US")} characters`;
  return { string: "text", boolean: "true or false", integer: "a whole number", number: "a number", object: "an object", array: "a list" }[plain.type] ?? "";
}
