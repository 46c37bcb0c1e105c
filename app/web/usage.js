// Usage: sums, plots by day, tables by day, model and key, budgets. Every number is the API's own.

import { budgetBar, plot } from "./plot.js";
import { api, badge, count, duration, el, failure, fill, json, moment, money, page } from "./shell.js";

const GROUPS = { day: "By day", model: "By model", key: "By key", user: "By user" };
const HEADS = { day: "Day", model: "Model", key: "Key", user: "User" };
const RANGES = { 7: "7 days", 30: "30 days", 90: "90 days" };
let zone = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const chosen = Object.fromEntries(new URL(location.href).searchParams);

function dayBefore(days) {
  const at = new Date();
  const date = new Date(at.getFullYear(), at.getMonth(), at.getDate() - days);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")}`;
}

function question(group) {
  const query = new URLSearchParams({ group_by: group, tz: zone, from: chosen.from || dayBefore(29), to: chosen.to || dayBefore(0) });
  if (chosen.key) query.set("key", chosen.key);
  return `/v1/usage?${query}`;
}

/** Every day of the range, those without a request too. */
function daysOf(report) {
  const days = [];
  const end = report.to.slice(0, 10);
  // Counted in UTC, where each day has 24 hours; only the dates are used.
  for (let at = new Date(`${report.from.slice(0, 10)}T00:00:00Z`); ; at = new Date(at.getTime() + 86_400_000)) {
    const day = at.toISOString().slice(0, 10);
    if (day >= end || days.length > 400) return days;
    days.push(day);
  }
}

function figures(total) {
  const share = total.requests ? ` (${((100 * total.failures) / total.requests).toFixed(1)} %)` : "";
  const seconds = (value) => (value === null ? "none" : duration(value * 1000));
  const shown = [
    ["Images", count(total.images)], ["Cost", money(total.cost)], ["Requests", count(total.requests)],
    ["Failures", `${count(total.failures)}${share}`], ["Half are done in", seconds(total.p50_seconds)], ["95 % are done in", seconds(total.p95_seconds)],
  ];
  const open = Number(total.estimated_cost) ? el("p", { class: "muted small" }, `Another ${money(total.estimated_cost)} is booked for requests whose cost Runware has not said yet.`) : null;
  return el("div", { class: "stack" },
    el("div", { class: "figures" }, shown.map(([name, value]) => el("div", { class: "card figure" }, el("span", { class: "muted small" }, name), el("strong", {}, value)))), open);
}

function plots(report) {
  const days = daysOf(report);
  const rows = new Map(report.data.map((row) => [row.day, row]));
  const values = (name, otherwise = 0) => days.map((day) => rows.get(day)?.[name] ?? otherwise);
  const whole = (value) => (Number.isInteger(value) ? count(value) : "");
  return el("div", { class: "plots" },
    plot({ title: "Images", days, series: [{ name: "Images", values: values("images"), kind: "one" }], show: whole }),
    plot({ title: "Cost", days, series: [{ name: "Cost", values: values("cost"), kind: "one" }], show: money }),
    plot({ title: "Failures", days, series: [{ name: "Failures", values: values("failures"), kind: "bad" }], show: whole }),
    plot({ title: "Latency", days, lines: true, show: (value) => duration(value * 1000), series: [
      { name: "Half", values: values("p50_seconds", null), kind: "one" }, { name: "95 %", values: values("p95_seconds", null), kind: "two" },
    ] }));
}

function table(group, report) {
  const heads = [HEADS[group], "Requests", "Images", "Cost", "Booked", "Failures", "p50", "p95", "Dropped fields"];
  const seconds = (value) => (value === null ? "" : duration(value * 1000));
  const rows = report.data.map((row) => el("tr", {},
    el("th", { scope: "row", class: group === "day" ? "nowrap" : null }, row.name ?? row[group] ?? el("span", { class: "muted" }, "none"), row.name ? el("div", { class: "muted small mono" }, row[group]) : null),
    [count(row.requests), count(row.images), money(row.cost), Number(row.estimated_cost) ? money(row.estimated_cost) : "", count(row.failures), seconds(row.p50_seconds), seconds(row.p95_seconds), count(row.dropped)]
      .map((value) => el("td", { class: "number" }, value))));
  return el("section", { class: "stack", "aria-labelledby": `by-${group}` },
    el("div", { class: "row between" }, el("h2", { id: `by-${group}` }, GROUPS[group]), download(group)),
    rows.length === 0 ? el("p", { class: "muted" }, "Nothing was asked for in this time.")
      : el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": GROUPS[group] }, el("table", {},
        el("thead", {}, el("tr", {}, heads.map((head, index) => el("th", { scope: "col", class: index ? "number" : "" }, head)))),
        el("tbody", {}, rows))),
    report.has_more ? el("p", { class: "muted small" }, "These are the first thousand rows.") : null);
}

function download(group) {
  return el("button", { type: "button", "aria-label": `Download CSV ${GROUPS[group].toLowerCase()}`, onclick: async (event) => {
    try {
      const answer = await api(question(group), { headers: { Accept: "text/csv" } });
      const address = URL.createObjectURL(await answer.blob());
      el("a", { href: address, download: `usage-by-${group}.csv` }).click();
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    } catch (error) {
      event.target.after(failure(error));
    }
  } }, "Download CSV");
}

/** Keys with a budget: for an administrator all that open anything, for others their own. */
async function budgets(me) {
  const keys = me.admin ? (await json("/v1/keys?limit=100&status=active")).data : me.key ? [me.key] : [];
  const limited = keys.filter((key) => key.budget.limit !== null);
  if (!limited.length) return null;
  return el("section", { class: "card", "aria-labelledby": "budgets" }, el("h2", { id: "budgets" }, "Budgets"),
    el("ul", { class: "budgets" }, limited.map((key) => {
      const { limit, spent, reserved, period, resets_at: resets } = key.budget;
      const words = `${money(spent)} of ${money(limit)} spent${reserved ? `, ${money(reserved)} reserved` : ""}`;
      return el("li", {}, el("div", { class: "row between" }, el("strong", {}, key.name), badge(period === "total" ? "in all" : `each ${period}`)),
        budgetBar(key.budget, `${key.name}: ${words}`),
        el("p", { class: "small muted" }, words, resets ? `; begins anew ${moment(resets)}` : ""));
    })));
}

function balance() {
  const place = el("div", { class: "row" });
  const ask = el("button", { type: "button", onclick: async () => {
    try {
      const answer = await json("/v1/balance");
      fill(place, el("span", {}, `${money(answer.balance)} is left at Runware.`), answer.is_low ? badge("low", "warn") : null);
    } catch (error) {
      fill(place, ask, failure(error));
    }
  } }, "Ask for the balance at Runware");
  place.append(ask);
  return place;
}

function controls(me, redraw) {
  const change = (values) => {
    for (const [name, value] of Object.entries(values)) {
      if (value) chosen[name] = value;
      else delete chosen[name];
    }
    const query = new URLSearchParams(chosen).toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
    redraw();
  };
  const field = (name, label, type, value) => el("div", { class: "field" }, el("label", { for: `usage-${name}` }, label),
    el("input", { id: `usage-${name}`, type, value, onchange: (event) => change({ [name]: event.target.value.trim() }) }));
  const ranges = Object.entries(RANGES).map(([days, text]) => el("button", { type: "button", onclick: () => {
    change({ from: dayBefore(Number(days) - 1), to: "" });
    document.getElementById("usage-from").value = chosen.from;
    document.getElementById("usage-to").value = dayBefore(0);
  } }, text));
  return el("search", { class: "card filters" },
    field("from", "From", "date", chosen.from || dayBefore(29)), field("to", "To", "date", chosen.to || dayBefore(0)),
    me.admin ? field("key", "Key", "text", chosen.key ?? "") : null,
    el("div", { class: "row" }, ranges));
}

async function show(place) {
  const me = await json("/v1/key");
  const report = el("div", { class: "stack" });
  let turn = 0;
  const draw = async () => {
    const mine = ++turn;
    report.setAttribute("aria-busy", "true");
    try {
      const groups = Object.keys(GROUPS).filter((group) => group !== "key" || me.admin);
      const [limited, ...reports] = await Promise.all([budgets(me), ...groups.map((group) => json(question(group)))]);
      if (mine !== turn) return;
      const users = reports.at(-1).data.some((row) => row.user !== null);
      fill(report, figures(reports[0].total), plots(reports[0]), limited,
        groups.map((group, index) => (group === "user" && !users ? null : table(group, reports[index]))),
        el("p", { class: "muted small" }, `Days are those of ${zone}.`), me.admin ? balance() : null);
    } catch (error) {
      if (error.param === "tz" && zone !== "UTC") {
        // The gateway's machine does not know the reader's zone.
        zone = "UTC";
        await draw();
        return;
      }
      if (mine === turn) fill(report, failure(error));
    }
    if (mine === turn) report.removeAttribute("aria-busy");
  };
  fill(place, controls(me, draw), report);
  await draw();
}

const place = el("div", { class: "stack", "aria-busy": "true" });
page("Usage", place, { lead: "What was made, what it cost, and how long it took." });
show(place).catch((error) => fill(place, failure(error))).finally(() => place.removeAttribute("aria-busy"));
