// One request: what was asked, what it became, how it went, what it cost, and whether its caller has it.

import { at, api, badge, copyable, duration, el, failure, fill, json, later, moment, money, notice, page, plural } from "./shell.js";
import { handOver } from "./playground/draft.js";
import { hasImages, imagesOf, saveLink, thumbnail } from "./thumbs.js";
import { adjustments, statusBadge } from "./words.js";

const EVERY_MS = 1500;

/** Show the page of a request. */
export function showRequest(id) {
  const actions = el("div", { class: "row" });
  const place = later(async () => {
    const [record, me] = await Promise.all([json(address(id)), json("/v1/key")]);
    const body = el("div", { class: "stack" });
    show(body, actions, record, me);
    return body;
  });
  page("Request", [el("p", { class: "mono muted" }, id), place], { actions: [actions] });
}

const address = (id) => `/v1/requests/${encodeURIComponent(id)}`;

function show(body, actions, record, me) {
  const images = el("div", { class: "images" });
  fill(body, [
    summary(record),
    record.error ? notice("bad", el("strong", {}, `${record.error.code}: `), record.error.message, record.error.provider_code ? ` (Runware: ${record.error.provider_code})` : "") : null,
    record.images.length ? section("images", "Images", images) : null,
    asked(record),
    record.adjustments.length ? section("adjustments", "What was adjusted", adjustments(record.adjustments)) : null,
    plan(record),
    record.attempts.length ? section("attempts", "Attempts", timeline(record)) : null,
    record.errors.length ? section("errors", "Images that did not come", el("ul", { class: "plain" }, record.errors.map((one) => el("li", {}, `Image ${one.index + 1}: ${one.message} `, badge(one.code, "bad"))))) : null,
    delivery(record),
  ]);
  const reload = async () => show(body, actions, await json(address(record.id)), me);
  // Drawn anew only when it has changed: a page that is read, or has a button in focus, must not jump.
  const follow = async () => {
    const now = await json(address(record.id));
    if (JSON.stringify(now) !== JSON.stringify(record)) show(body, actions, now, me);
    else wait();
    for (const time of body.querySelectorAll("[data-since]")) time.textContent = since(Number(time.dataset.since));
  };
  const wait = () => setTimeout(() => follow().catch(wait), EVERY_MS);
  if (record.images.length) fillImages(images, record, me);
  fill(actions, record.completed_at ? buttons(record, images, reload, body) : null, again(record));
  // Followed until it has ended, as long as the page is open.
  if (!record.completed_at) wait();
}

function since(seconds) {
  return `running for ${duration(Math.max(0, Date.now() - seconds * 1000))}`;
}

function section(id, title, ...content) {
  return el("section", { class: "card", "aria-labelledby": id }, el("h2", { id }, title), content);
}

function facts(rows) {
  return el("dl", { class: "facts" }, rows.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

function summary(record) {
  const running = record.completed_at === null;
  const cost = running ? "not known yet" : record.cost === null ? `at least ${money(record.known_cost)}; Runware has not said the rest` : money(record.cost);
  return el("div", { class: "figures" }, [
    ["Status", statusBadge(record.status)],
    ["Cost", cost],
    ["Time", running ? el("span", { dataset: { since: record.created_at } }, since(record.created_at)) : duration(record.duration_ms)],
    ["Images", `${record.images.length} of ${record.n}`],
  ].map(([name, value]) => el("div", { class: "card figure" }, el("span", { class: "muted small" }, name), el("strong", {}, value))));
}

function asked(record) {
  return section("asked", "What was asked", facts([
    ["Endpoint", el("code", {}, record.endpoint)],
    ["Model", el("a", { href: `${at("models")}/${encodeURIComponent(record.model)}` }, record.model)],
    ["Images", String(record.n)],
    ["Prompt", record.prompt ?? el("span", { class: "muted" }, "not stored here")],
    ["Key", el("code", {}, record.key)],
    ["User", record.user],
    ["Client's own id", record.client_request_id],
    ["Asked", moment(record.created_at)],
    ["Ended", record.completed_at === null ? "still running" : moment(record.completed_at)],
  ]));
}

function plan(record) {
  if (!record.plan) return null;
  const { tasks, size, runware_format: made, output_format: given, fit, pasted } = record.plan;
  const done = [
    made.replace("jpg", "jpeg") === given ? `${given}, as Runware makes it` : `Runware makes ${made}, this gateway makes ${given} of it`,
    fit ? `fitted to the exact size (${fit})` : null,
    pasted ? "pasted into the caller's image, inside the mask" : null,
  ].filter(Boolean).join("; ");
  return section("plan", "The plan",
    facts([["Runs as", el("code", {}, record.executed_model)], ["Size asked of the model", size ?? "its own"], ["Format", done], ["Estimate", money(record.estimated_cost)]]),
    el("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Tasks" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Task"), el("th", { scope: "col" }, "Images"), el("th", { scope: "col", class: "number" }, "Cost"))),
      el("tbody", {}, tasks.map((task) => el("tr", {}, el("td", { class: "mono" }, task.task_uuid), el("td", {}, place(task)),
        el("td", { class: "number" }, record.completed_at === null ? "running" : money(task.cost))))))));
}

function place(task) {
  return task.images === 1 ? `image ${task.first_index + 1}` : `images ${task.first_index + 1} to ${task.first_index + task.images}`;
}

function timeline(record) {
  const started = (one) => one.started_ms ?? 0;
  const whole = Math.max(1, ...record.attempts.map((one) => started(one) + one.duration_ms));
  const rows = record.attempts.map((one) => el("li", {},
    el("span", { class: "small" }, `${one.kind === "submit" ? "Sent" : "Asked"}: ${one.outcome}${one.status ? ` (${one.status})` : ""}`),
    el("span", { class: "track", "aria-hidden": "true" }, el("span", {
      class: `bar ${one.outcome === "ok" ? "" : "bad"}`,
      style: { left: `${(100 * started(one)) / whole}%`, width: `${Math.max(0.7, (100 * one.duration_ms) / whole)}%` },
    })),
    el("span", { class: "small muted number" }, duration(one.duration_ms), el("span", { class: "visually-hidden" }, `, begun after ${duration(started(one))}`)),
    el("span", { class: "small muted mono task" }, one.task_id)));
  return [el("p", { class: "muted small" }, "Each exchange with Runware, counted from the first one about its task."), el("ol", { class: "timeline" }, rows)];
}

function delivery(record) {
  const hook = record.webhook;
  return section("delivery", "Delivery", facts([
    ["Delivered", record.delivered ? `yes, ${moment(record.delivered_at)}` : record.completed_at === null ? "not yet" : "no: nobody has read the answer. It can be collected."],
    ["Images kept", record.images_kept ? "yes" : "no"],
    ["Webhook", hook ? `${hook.state} after ${plural(hook.attempts, "call")}${hook.last_status ? `, last answer ${hook.last_status}` : ""}` : null],
    ["Webhook address", hook ? hook.url : null],
    ["Result", copyable(`curl -H "Authorization: Bearer $SPILLWAY_API_KEY" ${at(record.result_url)}`, "curl for the result")],
  ]));
}

function fillImages(images, record, me) {
  if (!hasImages(record)) {
    fill(images, el("p", { class: "muted" }, "They were delivered and are not kept."));
  } else if (me.admin && record.key !== me.id) {
    fill(images, el("button", { type: "button", onclick: () => load(images, record) }, "Show images"), el("p", { class: "muted small" }, "They belong to another key: looking at them is written into the audit log."));
  } else {
    load(images, record);
  }
}

async function load(images, record, options) {
  try {
    const found = await imagesOf(record.id, options);
    fill(images, found.map((image, index) => el("figure", {}, thumbnail(image, `Image ${index + 1} of request ${record.id}`),
      el("figcaption", { class: "small muted row" }, el("span", {}, image.size), record.images[index]?.seed === undefined ? null : el("span", {}, `seed ${record.images[index].seed}`), saveLink(image, `${record.id}-${index + 1}`)))));
    return true;
  } catch (error) {
    fill(images, failure(error));
    return false;
  }
}

function buttons(record, images, reload, body) {
  const shown = [];
  if (record.images.length) {
    shown.push(el("button", { type: "button", onclick: async () => {
      if (await load(images, record, { collect: true })) setTimeout(() => reload().catch(() => {}), 400);
    } }, "Collect"));
    shown.push(el("button", { type: "button", class: "danger", onclick: () => forget(record, reload, body) }, "Forget"));
  }
  return shown;
}

function again(record) {
  const query = new URLSearchParams({ model: record.model, n: String(record.n) });
  if (record.plan?.size) query.set("size", record.plan.size);
  if (record.plan?.output_format) query.set("output_format", record.plan.output_format);
  const left = `Input images, a mask and other settings${record.prompt ? "" : ", and the prompt,"} are not taken along.`;
  return [
    // Not in the address: a long prompt is refused there, and every one stays in the history of the browser.
    el("a", { class: "button primary", href: `${at("playground")}?${query}`, onclick: () => handOver(query.toString(), record.prompt) }, "Ask again"),
    el("span", { class: "small muted" }, left),
  ];
}

function forget(record, reload, body) {
  const dialog = el("dialog", { "aria-labelledby": "forget-title" }, el("form", { method: "dialog" },
    el("h2", { id: "forget-title" }, "Forget this request?"),
    el("p", {}, "Its images and its prompt are deleted for good, and links to them end at once. That it was asked, and what it cost, stays."),
    el("div", { class: "row end" },
      el("button", { type: "button", onclick: () => dialog.close() }, "Keep it"),
      el("button", { type: "button", class: "danger", onclick: async () => {
        dialog.close();
        try {
          await api(`${address(record.id)}/payloads`, { method: "DELETE" });
          await reload();
        } catch (error) {
          body.prepend(failure(error));
        }
      } }, "Forget"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
