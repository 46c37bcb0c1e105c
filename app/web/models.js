// All models as cards or a table, to be searched, filtered and sorted; one model below its own address.

import { fixedSizes, lowestPrice, makes, modes, price, sizesInWords } from "./catalog.js";
import { showModel } from "./model.js";
import { at, badge, el, fill, json, later, namedBelow, page, plural } from "./shell.js";

const KINDS = {
  "": "Everything", "text-to-image": "Makes images from text", "image-edit": "Edits images", upscaling: "Upscales",
  "background-removal": "Removes backgrounds", "vector-graphics": "Draws vector graphics",
};
const SORTS = { catalog: "Catalog order", price: "Lowest price", name: "Name", newest: "Newest" };

/** What the reader chose; it stands in the address, so that a list can be sent to somebody. */
const chosen = Object.fromEntries(new URL(location.href).searchParams);

function matches(model) {
  const words = (chosen.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const text = [model.id, model.name, model.creator, ...model.aliases].join(" ").toLowerCase();
  if (!words.every((word) => text.includes(word))) return false;
  if (chosen.kind && !model.modes.includes(chosen.kind) && !model.capabilities.includes(chosen.kind)) return false;
  if (chosen.creator && model.creator !== chosen.creator) return false;
  if (chosen.references && !model.capabilities.includes("multiple-images")) return false;
  if (chosen.mask && !model.capabilities.includes("inpainting")) return false;
  const lowest = lowestPrice(model);
  // An unknown price is not a low one.
  if (Number(chosen.price) > 0 && (lowest === null || lowest > Number(chosen.price))) return false;
  const size = /^\s*(\d+)\s*[x×]\s*(\d+)\s*$/i.exec(chosen.size ?? "");
  return !size || makes(model, Number(size[1]), Number(size[2])) === true;
}

function sorted(models) {
  const orders = {
    price: (one) => lowestPrice(one) ?? Infinity, name: (one) => one.name.toLowerCase(), newest: (one) => -(one.created ?? 0),
  };
  const order = orders[chosen.sort];
  if (!order) return models;
  return [...models].sort((a, b) => (order(a) < order(b) ? -1 : order(a) > order(b) ? 1 : 0));
}

const address = (model) => `${at("models")}/${encodeURIComponent(model.id)}`;

function card(model) {
  return el("article", { class: "card model" },
    el("div", {}, el("h2", {}, el("a", { href: address(model) }, model.name)), el("p", { class: "muted small" }, model.creator)),
    model.description ? el("p", { class: "small" }, model.description) : null,
    el("div", { class: "row" }, modes(model).map((mode) => badge(mode)), flags(model)),
    el("div", { class: "row foot" }, price(model), el("a", { href: `${at("playground")}?model=${encodeURIComponent(model.id)}`, "aria-label": `Try ${model.name}` }, "Try")));
}

function flags(model) {
  const shown = [];
  if (model.capabilities.includes("inpainting")) shown.push(badge("mask"));
  if (model.capabilities.includes("multiple-images")) shown.push(badge(`${model.max_input_images} references`));
  if (model.capabilities.includes("vector-graphics")) shown.push(badge("vector"));
  if (model.status !== "live") shown.push(badge(model.status, "warn"));
  return shown;
}

function table(models) {
  const heads = ["Model", "Creator", "Makes", "Sizes", "Input images", "Price"];
  return el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Models" }, el("table", {},
    el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, models.map((model) => el("tr", {},
      el("th", { scope: "row" }, el("a", { href: address(model) }, model.name), el("div", { class: "muted small mono" }, model.id)),
      el("td", {}, model.creator),
      el("td", {}, modes(model).join(", ")),
      el("td", {}, model.sizes.kind === "fixed" ? plural(fixedSizes(model).length, "size") : sizesInWords(model)),
      el("td", { class: "number" }, model.max_input_images || "none"),
      el("td", {}, price(model)))))));
}

function controls(models, redraw) {
  const creators = [...new Set(models.map((model) => model.creator))].sort();
  const change = (name, value) => {
    if (value) chosen[name] = value;
    else delete chosen[name];
    const query = new URLSearchParams(chosen).toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    redraw();
  };
  const input = (name, label, props) => el("div", { class: "field" }, el("label", { for: `filter-${name}` }, label),
    el("input", { id: `filter-${name}`, value: chosen[name] ?? "", oninput: (event) => change(name, event.target.value), ...props }));
  const select = (name, label, options) => el("div", { class: "field" }, el("label", { for: `filter-${name}` }, label),
    el("select", { id: `filter-${name}`, onchange: (event) => change(name, event.target.value) },
      options.map(([value, text]) => el("option", { value, selected: (chosen[name] ?? "") === value }, text))));
  const check = (name, label) => el("label", { class: "check" },
    el("input", { type: "checkbox", checked: Boolean(chosen[name]), onchange: (event) => change(name, event.target.checked ? "1" : "") }), label);
  return el("search", { class: "card filters" },
    input("q", "Search", { type: "search", placeholder: "Name, creator or id" }),
    select("kind", "What it does", Object.entries(KINDS)),
    select("creator", "Creator", [["", "Any"], ...creators.map((one) => [one, one])]),
    input("price", "Highest price ($)", { type: "number", min: 0, step: "any", placeholder: "Any" }),
    input("size", "Makes exactly", { placeholder: "1024x1024", pattern: "\\s*\\d+\\s*[x×]\\s*\\d+\\s*" }),
    select("sort", "Sort by", Object.entries(SORTS).map(([name, text]) => [name === "catalog" ? "" : name, text])),
    el("div", { class: "checks" }, check("references", "Accepts several references"), check("mask", "Takes a mask"), check("table", "Show as a table")));
}

async function list() {
  const models = (await json("/v1/models")).data;
  const place = el("div", { class: "stack" });
  const redraw = () => {
    const found = sorted(models.filter(matches));
    fill(place,
      el("p", { class: "muted", role: "status" }, found.length === models.length ? plural(found.length, "model") : `${found.length} of ${plural(models.length, "model")}`),
      found.length === 0 ? el("p", {}, "No model fits all of this. Take a filter away.")
        : chosen.table ? table(found) : el("div", { class: "grid" }, found.map(card)));
  };
  redraw();
  return el("div", { class: "stack" }, controls(models, redraw), place);
}

const id = namedBelow("models");

if (id) showModel(id);
else page("Models", later(list), { lead: "What this gateway can make, for how much. It shows what the catalog knows, and only that." });
