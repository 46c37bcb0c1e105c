// Plots of values by day, as SVG of our own. A table with the same numbers stands beside each, for those who cannot see it.

import { el, svg } from "./shell.js";

const WIDTH = 560;
const HEIGHT = 170;
const PAD = { left: 52, right: 8, top: 12, bottom: 24 };

/** A step of 1, 2 or 5 times a power of ten, so that few lines stand below the top. */
function niceTop(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= value - 1e-12);
}

/**
 * @param {{title: string, days: string[], series: {name: string, values: (number | null)[], kind: string}[],
 *   show: (value: number) => string, lines?: boolean}} what `kind` is a class that colors the series.
 */
export function plot({ title, days, series, show, lines = false }) {
  const top = niceTop(Math.max(0, ...series.flatMap((one) => one.values.map((value) => value ?? 0))));
  const inner = { width: WIDTH - PAD.left - PAD.right, height: HEIGHT - PAD.top - PAD.bottom };
  const x = (index) => PAD.left + (inner.width * (index + 0.5)) / days.length;
  const y = (value) => PAD.top + inner.height * (1 - value / top);
  const grid = [0, 0.5, 1].map((share) => [
    svg("line", { x1: PAD.left, x2: WIDTH - PAD.right, y1: y(top * share), y2: y(top * share), class: "grid-line" }),
    svg("text", { x: PAD.left - 8, y: y(top * share) + 4, "text-anchor": "end" }, show(top * share)),
  ]);
  const every = Math.ceil(days.length / 6);
  const labels = days.map((day, index) => (index % every === 0
    ? svg("text", { x: x(index), y: HEIGHT - 6, "text-anchor": "middle" }, day.slice(5))
    : null));
  const drawn = series.map((one) => (lines ? line(one, x, y, days, show) : bars(one, x, y, inner.width / days.length, days, show)));
  const all = series.map((one) => `${one.name}: ${one.values.map((value, index) => (value ? `${days[index]} ${show(value)}` : "")).filter(Boolean).join(", ") || "nothing"}`);
  const legend = series.length > 1 ? el("span", { class: "row small muted" }, series.map((one) => el("span", { class: `key ${one.kind}` }, one.name))) : null;
  return el("figure", { class: "card plot" },
    el("figcaption", { class: "row" }, el("h3", {}, title), legend),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}. ${all.join("; ")}` }, grid, labels, drawn));
}

function bars(one, x, y, slot, days, show) {
  const width = Math.max(2, Math.min(26, slot * 0.7));
  return one.values.map((value, index) => (value
    ? svg("rect", { x: x(index) - width / 2, y: y(value), width, height: Math.max(1, y(0) - y(value)), rx: Math.min(3, width / 3), class: one.kind },
      svg("title", {}, `${days[index]}: ${show(value)}`))
    : null));
}

/** Days on which nothing ended have no latency: the line is broken there, and not zero. */
function line(one, x, y, days, show) {
  const points = one.values.map((value, index) => (value === null ? null : [x(index), y(value)]));
  let path = "";
  points.forEach((point, index) => {
    if (point) path += `${points[index - 1] ? "L" : "M"}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
  });
  return [
    svg("path", { d: path || "M0 0", class: `${one.kind} line` }),
    points.map((point, index) => (point
      ? svg("circle", { cx: point[0], cy: point[1], r: 3.2, class: one.kind }, svg("title", {}, `${days[index]}, ${one.name}: ${show(one.values[index])}`))
      : null)),
  ];
}

/** How much of a budget is taken. `spent` and `reserved` are dollars. */
export function budgetBar({ limit, spent, reserved }, words) {
  const share = (value) => (limit > 0 ? Math.min(100, (100 * value) / limit) : 100);
  const taken = share(spent + reserved);
  return el("div", { class: "budget", role: "meter", "aria-label": words, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(taken), "aria-valuetext": words },
    el("span", { class: taken >= 100 ? "full" : taken >= 80 ? "high" : "", style: { width: `${share(spent)}%` } }),
    el("span", { class: "reserved", style: { left: `${share(spent)}%`, width: `${Math.max(0, taken - share(spent))}%` } }));
}
