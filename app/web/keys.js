// Keys, for administrators: list, create, limit, rotate, revoke. A secret is shown once, where it is made.

import { keyDialog, revokeDialog, rotateDialog } from "./key_dialogs.js";
import { budgetBar } from "./plot.js";
import { badge, el, failure, fill, json, moment, money, notice, page } from "./shell.js";

const STATUS_KINDS = { active: "good", revoked: "", expired: "warn" };
const list = el("ul", { class: "keys" });
const more = el("button", { type: "button", hidden: true }, "Older keys");
const problem = el("div", {});
let shown = [];

async function load({ next = null } = {}) {
  const status = document.getElementById("keys-status").value;
  try {
    const answer = await json(next ?? `/v1/keys?limit=50${status ? `&status=${status}` : ""}`);
    shown = next ? [...shown, ...answer.data] : answer.data;
    more.hidden = !answer.has_more;
    more.onclick = () => load({ next: answer.next_page_url });
    fill(problem);
    fill(list, shown.map(row));
    if (!shown.length) fill(list, el("li", { class: "muted" }, "There is no such key. Keys of SPILLWAY_API_KEYS stand in the settings and not here."));
  } catch (error) {
    fill(problem, failure(error));
  }
}

const reload = () => load();

function row(key) {
  const actions = key.status === "revoked" ? [] : [
    el("button", { type: "button", "aria-label": `Change ${key.name}`, onclick: () => keyDialog(key, reload) }, "Change"),
    el("button", { type: "button", "aria-label": `Rotate ${key.name}`, onclick: () => rotateDialog(key, reload) }, "Rotate"),
    el("button", { type: "button", class: "danger", "aria-label": `Revoke ${key.name}`, onclick: () => revokeDialog(key, reload) }, "Revoke"),
  ];
  return el("li", { class: "card" },
    el("div", { class: "row between" },
      el("div", { class: "row" }, el("h2", {}, key.name), badge(key.status, STATUS_KINDS[key.status] ?? ""), key.admin ? badge("administrator", "warn") : null),
      el("div", { class: "row" }, actions)),
    el("p", { class: "muted small mono" }, `${key.id} … ${key.last_four}`),
    budget(key),
    el("p", { class: "small muted facts" }, facts(key).map((fact) => el("span", {}, fact))));
}

function budget(key) {
  const { limit, spent, reserved, period } = key.budget;
  const often = period === "total" ? "in all" : `each ${period}`;
  if (limit === null) return el("p", { class: "small" }, `${money(spent)} spent; no budget`);
  const words = `${money(spent)} of ${money(limit)} ${often}${reserved ? `, ${money(reserved)} reserved` : ""}`;
  return el("div", {}, budgetBar(key.budget, `${key.name}: ${words}`), el("p", { class: "small" }, words));
}

function facts(key) {
  return [
    key.rpm ? `${key.rpm} requests a minute` : null,
    key.images_per_minute ? `${key.images_per_minute} images a minute` : null,
    key.concurrency ? `${key.concurrency} at once` : null,
    key.models.length ? `models: ${key.models.join(", ")}` : null,
    key.media_ttl ? `links live ${key.media_ttl} s` : null,
    key.result_ttl ? `images stay ${key.result_ttl} s` : null,
    key.forbid_unpriced ? "known prices only" : null,
    Object.keys(key.defaults).length ? `defaults: ${Object.entries(key.defaults).map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ")}` : null,
    `made ${moment(key.created_at)}`,
    key.expires_at ? `ends ${moment(key.expires_at)}` : null,
    key.revoked_at ? `revoked ${moment(key.revoked_at)}` : null,
    key.last_used_at ? `last used ${moment(key.last_used_at)}` : "never used",
  ].filter(Boolean);
}

async function show(place) {
  const me = await json("/v1/key");
  if (!me.admin) {
    fill(place, notice("info", me.anonymous
      ? "Nobody needs a key here yet. Set SPILLWAY_ADMIN_KEYS, or run `spillway keys create NAME --admin`, and sign in with that key to make others. From the first key on, everybody needs one."
      : "Only administrators see keys. Sign out, and sign in with the key of one."));
    return;
  }
  const status = el("select", { id: "keys-status", onchange: reload },
    [["active", "Active"], ["expired", "Expired"], ["revoked", "Revoked"], ["", "All"]].map(([value, text]) => el("option", { value }, text)));
  fill(place,
    el("div", { class: "row between" },
      el("div", { class: "row" }, el("label", { for: "keys-status" }, "Show"), status),
      el("button", { type: "button", class: "primary", onclick: () => keyDialog(null, reload) }, "Create a key")),
    problem, list, el("div", { class: "row" }, more));
  await load();
}

const place = el("div", { class: "stack", "aria-busy": "true" });
page("Keys", place, { lead: "Who may call, how fast, and how much each may spend." });
show(place).catch((error) => fill(place, failure(error))).finally(() => place.removeAttribute("aria-busy"));
