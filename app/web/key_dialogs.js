// The dialogs of keys: make or change one, rotate it, revoke it, and show a secret this once.

import { api, copyable, el, fill, json, moment, notice } from "./shell.js";

const PERIODS = { total: "in all", day: "each day", week: "each week", month: "each month" };
const address = (key) => `/v1/keys/${encodeURIComponent(key.id)}`;

function open(title, ...content) {
  const dialog = el("dialog", { "aria-labelledby": "dialog-title" }, el("form", { method: "dialog", novalidate: true }, el("h2", { id: "dialog-title" }, title), content));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

function field(name, label, props = {}, hint = "") {
  const described = hint ? { "aria-describedby": `key-${name}-hint` } : {};
  return el("div", { class: "field" }, el("label", { for: `key-${name}` }, label),
    el("input", { id: `key-${name}`, name, autocomplete: "off", ...described, ...props }),
    hint ? el("span", { class: "small muted", id: `key-${name}-hint` }, hint) : null,
    el("p", { class: "problem", dataset: { problem: name } }));
}

/** Make a key, or change one. @param {object | null} key @param {() => void} done */
export function keyDialog(key, done) {
  const period = el("select", { id: "key-period", name: "period" }, Object.entries(PERIODS).map(([value, text]) => el("option", { value, selected: key?.budget.period === value }, text)));
  const check = (name, label) => el("label", { class: "check" }, el("input", { type: "checkbox", name, checked: Boolean(key?.[name]) }), label);
  const number = { type: "number", min: 1, step: 1, placeholder: "No limit" };
  const general = el("p", { class: "problem", role: "alert" });
  const dialog = open(key ? `Change ${key.name}` : "Create a key",
    field("name", "Name", { value: key?.name ?? "", maxLength: 100, required: true }, key ? "" : "Whose key it is."),
    el("div", { class: "pair" },
      field("budget", "Budget ($)", { type: "number", min: 0, step: "any", placeholder: "No limit", value: key?.budget.limit ?? "" }),
      el("div", { class: "field" }, el("label", { for: "key-period" }, "Period"), period)),
    el("div", { class: "pair three" },
      field("rpm", "Requests a minute", { ...number, value: key?.rpm ?? "" }),
      field("images_per_minute", "Images a minute", { ...number, value: key?.images_per_minute ?? "" }),
      field("concurrency", "At once", { ...number, value: key?.concurrency ?? "" })),
    field("models", "Models", { value: key?.models.join(", ") ?? "", placeholder: "All" }, "Names, separated by commas; * stands for anything."),
    field("expires_at", "Ends", { placeholder: key?.expires_at ? moment(key.expires_at) : "Never" }, key ? "A date or a time from now, like 90d. Empty: as it is." : "A date like 2030-12-31, or a time from now like 90d."),
    el("div", { class: "pair" },
      field("media_ttl", "Links live", { value: key?.media_ttl ?? "", placeholder: "As for all" }, "Seconds, or like 90s, 12h, 7d."),
      field("result_ttl", "Images stay", { value: key?.result_ttl ?? "", placeholder: "As for all" }, "How long they can be asked for again.")),
    check("forbid_unpriced", "Refuse what has no known price"), check("admin", "Administrator"),
    general,
    el("div", { class: "row end" },
      el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
      el("button", { type: "submit", class: "primary" }, key ? "Save" : "Create")));
  const form = dialog.querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!begin(form, general)) return;
    try {
      checkNumbers(form);
      const answer = await json(key ? address(key) : "/v1/keys", { method: key ? "PATCH" : "POST", body: fields(form, key) });
      dialog.close();
      done();
      if (!key) showSecret(answer);
    } catch (error) {
      end(form);
      explain(form, general, error);
    }
  });
}

function fields(form, key) {
  const text = (name) => form.elements[name].value.trim();
  const whole = (name) => (text(name) === "" ? null : Number(text(name)));
  const body = {
    name: text("name"), budget: text("budget") === "" ? null : text("budget"), period: text("period"), rpm: whole("rpm"),
    images_per_minute: whole("images_per_minute"), concurrency: whole("concurrency"),
    models: text("models").split(",").map((one) => one.trim()).filter(Boolean),
    media_ttl: text("media_ttl") || null, result_ttl: text("result_ttl") || null,
    forbid_unpriced: form.elements.forbid_unpriced.checked, admin: form.elements.admin.checked,
  };
  // What is not shown as a value is not sent: an end that nobody touched stays.
  if (!key || text("expires_at")) body.expires_at = text("expires_at") || null;
  return body;
}

/** Whether this submit is the first: a second one would make a second key, or end the old secret of a rotated one at once. */
function begin(form, general) {
  const button = form.querySelector("[type=submit]");
  if (button.disabled) return false;
  button.disabled = true;
  clear(form, general);
  return true;
}

function end(form) {
  form.querySelector("[type=submit]").disabled = false;
}

/** What is no number is empty to the browser: sent, it would be no limit at all. */
function checkNumbers(form) {
  const wrong = [...form.elements].find((one) => one.validity.badInput);
  if (wrong) throw Object.assign(new Error("This is no number."), { param: wrong.name });
}

function clear(form, general) {
  general.textContent = "";
  for (const one of form.querySelectorAll("[data-problem]")) one.textContent = "";
  for (const one of form.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
}

/** Say what is wrong at the field it is about. */
function explain(form, general, error) {
  const place = [...form.querySelectorAll("[data-problem]")].find((one) => one.dataset.problem === error.param);
  (place ?? general).textContent = error.message;
  if (!place) return;
  form.elements[error.param].setAttribute("aria-invalid", "true");
  form.elements[error.param].focus();
}

function showSecret(answer) {
  const dialog = open(`The key of ${answer.name}`,
    notice("warn", "Copy it now. It is shown this once, and stored nowhere."),
    copyable(answer.key, "key"),
    el("div", { class: "row end" }, el("button", { type: "submit", class: "primary" }, "I have it")));
  // A slip of the Escape key would lose it for good.
  dialog.setAttribute("closedby", "none");
  dialog.addEventListener("cancel", (event) => event.preventDefault());
}

/** Give a key another secret. */
export function rotateDialog(key, done) {
  const problem = el("p", { class: "problem", role: "alert" });
  const dialog = open(`Rotate ${key.name}?`,
    el("p", {}, "It gets another secret, which is shown once. The old one goes on opening for a while, so that nothing stops."),
    field("grace", "The old one ends after", { value: "24h" }, "Like 30s, 5m, 24h or 7d; 0s ends it at once."), problem,
    el("div", { class: "row end" }, el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), el("button", { type: "submit", class: "primary" }, "Rotate")));
  const form = dialog.querySelector("form");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!begin(form, problem)) return;
    try {
      const answer = await json(`${address(key)}/rotate`, { method: "POST", body: { grace: form.elements.grace.value.trim() } });
      dialog.close();
      done();
      showSecret(answer);
    } catch (error) {
      end(form);
      explain(form, problem, error);
    }
  });
}

/** End a key for good. */
export function revokeDialog(key, done) {
  const problem = el("div", {});
  const dialog = open(`Revoke ${key.name}?`,
    el("p", {}, "It opens nothing any more, for good. What it asked for, and what that cost, stays."), problem,
    el("div", { class: "row end" },
      el("button", { type: "button", onclick: () => dialog.close() }, "Keep it"),
      el("button", { type: "button", class: "danger", onclick: async () => {
        try {
          await api(address(key), { method: "DELETE" });
          dialog.close();
          done();
        } catch (error) {
          fill(problem, el("p", { class: "problem", role: "alert" }, error.message));
        }
      } }, "Revoke")));
}
