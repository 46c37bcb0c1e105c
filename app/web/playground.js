// The page "Playground": its parts put together. What each does is in `playground/`.

import { at, duration, el, failure, fill, json, page, tabs, copyable } from "./shell.js";
import { showAdjustments } from "./playground/adjustments.js";
import { snippets } from "./playground/code.js";
import { Draft, takeOver } from "./playground/draft.js";
import { Form } from "./playground/form.js";
import { History } from "./playground/history.js";
import { thumbnail } from "./playground/pixels.js";
import { Price } from "./playground/price.js";
import { Problems } from "./playground/problems.js";
import { newKey } from "./playground/request.js";
import { Results } from "./playground/results.js";
import { BrokenStreamError, carryOut } from "./playground/run.js";

const MOST_THUMBNAILS = 4;
const MOST_PLACES = 20;

class Playground {
  #draft = new Draft();
  /** Counts models chosen, so that a schema that comes late is not taken for the chosen one's. */
  #choices = 0;
  #changes = 0;
  /** From sending until the form changes: an estimate that comes late must not wipe away what was refused. */
  #isSent = false;
  /** The key of a request that is on its way and not answered yet: until then there is no second one. */
  #sending = "";
  /** Ends when the form fits the model chosen last. */
  #fitting = Promise.resolve();

  constructor() {
    this.general = el("div", { class: "problem", role: "alert", tabIndex: -1 });
    this.problems = new Problems(this.general);
    this.form = new Form(this.problems, {
      onChange: () => this.#onChange(), onModel: (id) => this.#onModel(id), onSend: () => this.generate(),
    });
    this.price = new Price(() => this.form.readForPrice(), (said) => this.#tellPrice(said));
    this.results = new Results({ onUse: (blob, name) => this.#useAsInput(blob, name) });
    this.history = new History((entry) => this.#useAgain(entry));
    this.adjustments = el("section", { class: "card quiet", "aria-label": "Adjustments", hidden: true });
    this.code = new Map(["curl", "Python", "Node"].map((name) => [name, el("div", {})]));
    this.button = el("button", { type: "button", class: "primary send", 
      // The second click of a double click is no second wish: it would buy a second time.
      onclick: (event) => event.detail < 2 && this.generate(),
      // Nor is a key held down, of which each repetition would be a click.
      onkeydown: (event) => event.repeat && event.preventDefault(),
    }, "Generate");
    page("Playground", this.#layout(), { lead: "The price before, each image the moment it exists, and the same request as code." });
  }

  /** Show the model that the address names, or the gateway's own default. */
  async start() {
    const models = await json("/v1/models");
    this.form.picker.offer(models.data);
    const given = { ...Object.fromEntries(new URLSearchParams(location.search)), ...takeOver(location.search.slice(1)) };
    const fields = Object.keys(given).some((name) => name !== "model") ? given : { ...this.#draft.read(given.model), ...given };
    await this.#choose(fields.model ?? (await defaultModel(models.data)), fields);
  }

  async generate() {
    if (this.#sending) return;
    const key = newKey();
    this.#setSending(key);
    this.#isSent = true;
    this.problems.clear();
    let request;
    try {
      this.form.picker.settle();
      await this.#fitting;
      request = await this.form.read();
    } catch (error) {
      this.#setSending("");
      this.problems.show(error, { focus: true });
      return;
    }
    const { prompt, model, n } = request.fields;
    // What is no number of images is refused in a moment, and needs no places.
    const run = this.results.begin(Math.min(Math.max(1, Math.trunc(n) || 1), MOST_PLACES), prompt ?? model);
    run.node.scrollIntoView({ block: "nearest" });
    await this.#follow(run, request, key);
  }

  /** Not `disabled`, which would take the focus away from whoever uses the keyboard. */
  #setSending(key) {
    this.#sending = key;
    this.button.setAttribute("aria-disabled", String(Boolean(key)));
  }

  #onAnswer(key) {
    if (this.#sending === key) this.#setSending("");
  }

  /** Carry a request out, or join it again under the same key. */
  async #follow(run, request, key) {
    const stop = new AbortController();
    const button = el("button", { type: "button", class: "small", onclick: () => stop.abort() }, "Cancel");
    fill(run.actions, button);
    try {
      for await (const said of carryOut(request, key, stop.signal)) {
        if (said.id) {
          run.name(said.id);
          this.#onAnswer(key);
        }
        if (said.image) run.add(said.image);
        if (said.error) throw said.error;
      }
      run.end();
      fill(run.actions);
    } catch (error) {
      this.#onAnswer(key);
      this.#onFailure(error, run, stop.signal.aborted, () => {
        run.resume();
        this.#follow(run, request, key);
      });
    }
    await this.#remember(run, request);
  }

  #onFailure(error, run, wasStopped, goOn) {
    const again = el("button", { type: "button", class: "small", onclick: goOn }, "Continue");
    if (wasStopped) {
      run.end("Stopped");
      fill(run.problem, `You stopped waiting after ${duration(run.elapsed)}. What was sent is made and paid for all the same: continue to collect it.`);
      fill(run.actions, again);
      // It takes the place of the button that was pressed.
      again.focus();
    } else if (error instanceof BrokenStreamError || error.status === 0) {
      run.end("Interrupted");
      fill(run.problem, error.message);
      fill(run.actions, again);
    } else {
      // Refused before anything began: there is no run to show, only what to change.
      if (run.id) {
        run.end("Failed");
        fill(run.problem, failure(error));
        fill(run.actions);
      } else this.results.discard(run);
      this.problems.show(error, { focus: true });
    }
  }

  async #remember(run, request) {
    if (!run.id || !run.made.length) return;
    const images = run.made.map((tile) => tile.image);
    const thumbnails = await Promise.all(images.slice(0, MOST_THUMBNAILS).map((image) => thumbnail(image.blob)));
    await this.history.add({
      id: run.id, at: Date.now(), fields: request.fields, inputs: request.images.length, count: images.length, cost: run.cost,
      thumbnails: thumbnails.filter(Boolean),
    });
  }

  #onModel(id) {
    this.#fitting = this.#choose(id);
  }

  async #choose(id, fields = null) {
    const choice = ++this.#choices;
    this.form.picker.value = id;
    const address = new URL(location.href);
    address.search = new URLSearchParams({ model: id }).toString();
    window.history.replaceState(null, "", address);
    try {
      const schema = await json(`/v1/models/${encodeURIComponent(id)}?schema=true`);
      if (choice !== this.#choices) return;
      this.form.fit(schema);
      if (fields) this.form.write(fields);
      this.#onChange();
    } catch (error) {
      if (choice !== this.#choices) return;
      this.price.clear();
      this.problems.show(error);
    }
  }

  #onChange() {
    this.#isSent = false;
    this.price.ask();
    this.#draft.write(this.form.readFields());
    this.#showCode();
  }

  async #showCode() {
    const change = ++this.#changes;
    const request = await this.form.read().catch(() => null);
    if (!request) return;
    // The mask of a large image takes a while: what came after it is not overtaken.
    if (change !== this.#changes) return;
    for (const { name, code } of snippets(request, at("v1"))) fill(this.code.get(name), copyable(code, name));
  }

  #tellPrice({ estimate, error }) {
    if (error) {
      showAdjustments(this.adjustments, "", []);
      if (!this.#isSent) this.problems.show(error);
      return;
    }
    if (!this.#isSent) this.problems.clear();
    showAdjustments(this.adjustments, "What will differ", estimate.adjustments);
    this.form.sizes.tell(estimate.size, estimate.adjustments);
  }

  #useAsInput(blob, name) {
    this.form.images.add([new File([blob], name, { type: blob.type })], true);
    this.form.images.node.scrollIntoView({ block: "nearest" });
    this.form.prompt.focus({ preventScroll: true });
  }

  #useAgain(entry) {
    this.#fitting = this.#choose(String(entry.fields.model), entry.fields);
    this.form.prompt.scrollIntoView({ block: "center" });
    this.form.prompt.focus({ preventScroll: true });
  }

  #layout() {
    const send = el("div", { class: "send-bar" }, this.price.node, this.button);
    const panels = [...this.code].map(([name, content]) => ({ name, content }));
    return el("div", { class: "playground" },
      el("section", { class: "card ask", "aria-label": "Request" }, this.form.node, this.general, send),
      el("div", { class: "stack" },
        this.adjustments, this.results.node,
        el("section", { class: "card", "aria-label": "Code" }, el("h2", {}, "The same request as code"), tabs("Language", panels)),
        this.history.node));
  }
}

/** The gateway's own choice for whoever names no model; the first in the list where that is not allowed. */
async function defaultModel(models) {
  try {
    const estimate = await json("/v1/images/generations?dryRun=true", { method: "POST", body: { prompt: "an image" }, quiet: true });
    return estimate.model;
  } catch {
    return models[0]?.id ?? "";
  }
}

const playground = new Playground();
playground.start().catch((error) => fill(playground.general, failure(error)));
