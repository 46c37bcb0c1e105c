// The list of requests: the newest first, filtered, kept up to date while somebody looks; one request has its own address.

import { showRequest } from "./request.js";
import { ago, at, badge, el, failure, fill, json, moment, money, namedBelow, duration, page, plural } from "./shell.js";
import { hasImages, LazyThumbs } from "./thumbs.js";
import { statusBadge } from "./words.js";

const EVERY_MS = 3000;
const PAGE = 25;
const STATUSES = ["queued", "processing", "completed", "partial", "failed"];
const thumbs = new LazyThumbs();

/** What the reader chose; it stands in the address. */
const chosen = Object.fromEntries(new URL(location.href).searchParams);
/** @type {Map<string, object>} What is shown, by id, in order of the list. */
let records = new Map();
/** @type {Map<string, {text: string, row: Node}>} Rows that need not be drawn again. */
const drawn = new Map();
let older = null;
let asked = 0;
let loading = 0;
let me = { admin: false };
/** What keys are called, by the ids that records name. */
const names = new Map();

const list = el("ul", { class: "requests" });
const state = el("p", { class: "muted", role: "status" });
const problem = el("div", {});
const more = el("button", { type: "button", hidden: true, onclick: () => load({ page: older }) }, "Older requests");
const live = el("input", { type: "checkbox", checked: true });

function question() {
  const query = new URLSearchParams({ limit: String(PAGE) });
  for (const name of ["status", "model", "key", "id"]) if (chosen[name]) query.set(name, chosen[name].trim());
  if (chosen.day) {
    const [year, month, day] = chosen.day.split("-").map(Number);
    // Both ends are exclusive, and the first moment of the day belongs to it.
    query.set("created_after", String(new Date(year, month - 1, day).getTime() / 1000 - 0.001));
    query.set("created_before", String(new Date(year, month - 1, day + 1).getTime() / 1000));
  }
  return `/v1/requests?${query}`;
}

async function load({ page: next = null, fresh = false, quiet = false } = {}) {
  const turn = ++asked;
  loading += 1;
  try {
    const answer = await json(next ?? question(), { quiet });
    // A later question was asked meanwhile: its answer counts.
    if (turn !== asked) return;
    const found = new Map(answer.data.map((record) => [record.id, record]));
    // What came between two looks may be more than a page: then the list begins anew, and has no gap.
    const anew = fresh || !answer.data.some((record) => records.has(record.id));
    if (next) records = new Map([...records, ...found]);
    else records = new Map([...found, ...(anew || !answer.has_more ? [] : beyond(answer.data, found))]);
    if (next || anew) older = answer.next_page_url;
    fill(problem);
    draw();
  } catch (error) {
    if (turn === asked) fill(problem, failure(error));
  } finally {
    loading -= 1;
  }
}

/** What is shown already and lies behind a page: what stood among its rows and does not any more, fits no more. */
function beyond(newest, found) {
  const last = newest.at(-1).created_at;
  return [...records].filter(([id, record]) => !found.has(id) && record.created_at <= last);
}

function draw() {
  const rows = [...records.values()].map((record) => {
    const text = JSON.stringify(record);
    const known = drawn.get(record.id);
    if (known?.text === text) return known.row;
    const made = row(record);
    const focused = known?.row.contains(document.activeElement);
    known?.row.replaceWith(made);
    if (focused) made.querySelector("a").focus();
    drawn.set(record.id, { text, row: made });
    return made;
  });
  // Only what differs is moved: a row that somebody reads or has in focus stays where it is.
  rows.forEach((one, index) => {
    if (list.children[index] !== one) list.insertBefore(one, list.children[index] ?? null);
  });
  while (list.children.length > rows.length) list.lastChild.remove();
  for (const time of list.querySelectorAll("time")) time.textContent = ago(Number(time.dataset.at));
  state.textContent = rows.length ? `${plural(rows.length, "request")} shown` : "No request fits. New ones appear here by themselves.";
  more.hidden = !older;
}

function row(record) {
  const facts = [
    el("span", {}, plural(record.n, "image")),
    el("span", {}, record.completed_at === null ? "running" : duration(record.duration_ms)),
    el("span", {}, record.completed_at === null ? "cost not known yet" : record.cost === null ? "cost unknown" : money(record.cost)),
    record.adjustments.length ? el("span", {}, plural(record.adjustments.length, "adjustment")) : null,
    me.admin ? el("span", {}, `key ${names.get(record.key) ?? record.key}`) : null,
    record.user ? el("span", {}, `user ${record.user}`) : null,
  ];
  return el("li", {}, el("a", { href: `${at("requests")}/${encodeURIComponent(record.id)}` },
    // Not for administrators: each look at another key's image is a line in the audit log.
    hasImages(record) && (!me.admin || record.key === me.id) ? thumbs.place(record) : el("span", { class: "thumb" }),
    el("span", { class: "what" },
      el("span", { class: "row" }, el("strong", {}, record.model), statusBadge(record.status), record.endpoint.endsWith("edits") ? badge("edit") : null),
      el("span", { class: "facts muted small" }, facts),
      record.error ? el("span", { class: "small error" }, record.error.message) : null),
    el("span", { class: "when small muted" }, el("time", { title: moment(record.created_at), dataset: { at: record.created_at } }, ago(record.created_at)), el("span", { class: "mono id" }, record.id))));
}

function filters() {
  let waiting;
  const change = (name, value) => {
    if (value) chosen[name] = value;
    else delete chosen[name];
    const query = new URLSearchParams(chosen).toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    clearTimeout(waiting);
    waiting = setTimeout(() => load({ fresh: true }), 250);
  };
  const field = (name, label, props = {}) => el("div", { class: "field" }, el("label", { for: `filter-${name}` }, label),
    el("input", { id: `filter-${name}`, value: chosen[name] ?? "", oninput: (event) => change(name, event.target.value), ...props }));
  const status = el("div", { class: "field" }, el("label", { for: "filter-status" }, "Status"),
    el("select", { id: "filter-status", onchange: (event) => change("status", event.target.value) },
      el("option", { value: "" }, "Any"), STATUSES.map((one) => el("option", { value: one, selected: chosen.status === one }, one))));
  const key = field("key", "Key", { placeholder: "Id or name" });
  key.hidden = !me.admin;
  return el("search", { class: "card filters" }, status,
    field("model", "Model", { placeholder: "As it was called" }), key, field("day", "Day", { type: "date" }),
    field("id", "Id", { type: "search", placeholder: "Any part of it" }),
    el("label", { class: "check live" }, live, "Keep up to date"));
}

async function showList() {
  const place = el("div", { class: "stack", "aria-busy": "true" });
  page("Requests", place, { lead: "What was asked, what became of it, and what it cost." });
  try {
    me = await json("/v1/key");
    if (me.name) names.set(me.id, me.name);
    if (me.admin) for (const key of (await json("/v1/keys?limit=100")).data) names.set(key.id, key.name);
    fill(place, filters(), problem, state, list, el("div", { class: "row" }, more));
    await load({ fresh: true });
  } catch (error) {
    fill(place, failure(error));
  }
  place.removeAttribute("aria-busy");
  setInterval(() => {
    // Nobody looks at a hidden page, and the gateway has other things to do.
    if (!loading && live.checked && document.visibilityState === "visible" && !document.querySelector("dialog")) load({ quiet: true });
  }, EVERY_MS);
}

const id = namedBelow("requests");

if (id) showRequest(id);
else showList();
