// Errors at the field they name. Owns which control stands for which parameter, and nothing of what they hold.

import { el, fill } from "../shell.js";

let made = 0;

/** A place for the message of one control. */
export function problemFor(control) {
  const id = `problem-${++made}`;
  const place = el("p", { class: "problem", id });
  control.setAttribute("aria-describedby", [control.getAttribute("aria-describedby"), id].filter(Boolean).join(" "));
  return place;
}

export class Problems {
  /** @type {Map<string, {control: HTMLElement, place: HTMLElement, resolve?: (param: string) => HTMLElement | null}>} */
  #fields = new Map();

  /** @param {HTMLElement} general Where a message goes that names no control. */
  constructor(general) {
    this.general = general;
  }

  /**
   * @param {string[]} names What the API calls it, and its other names.
   * @param {HTMLElement} control @param {HTMLElement} place
   * @param {(param: string) => HTMLElement | null} [resolve] The part of the control that a name like `image[1]` means.
   */
  register(names, control, place, resolve) {
    for (const name of names) this.#fields.set(name, { control, place, resolve });
  }

  /** Forget the controls under these names. @param {Iterable<string>} names */
  forget(names) {
    for (const name of names) this.#fields.delete(name);
  }

  clear() {
    for (const { control, place } of this.#fields.values()) {
      control.removeAttribute("aria-invalid");
      fill(place);
    }
    fill(this.general);
  }

  /**
   * Show what was refused.
   * @param {{message: string, param?: string | null, requestId?: string | null}} error
   * @param {{focus?: boolean}} [options] Only where the reader asked for something: nobody is interrupted while typing.
   */
  show(error, { focus = false } = {}) {
    this.clear();
    const field = this.#find(error.param ?? "");
    if (!field) {
      this.#showGeneral(error, focus);
      return;
    }
    const { control, place, resolve } = field;
    control.setAttribute("aria-invalid", "true");
    fill(place, error.message);
    const target = focus ? unfold(resolve?.(error.param) ?? control) : control;
    // Folded away, or of no use on this model: what nobody sees is said where everybody looks.
    if (!target.getClientRects().length) this.#showGeneral(error, focus);
    else if (focus) {
      target.scrollIntoView({ block: "center", behavior: "auto" });
      target.focus({ preventScroll: true });
    }
  }

  #showGeneral(error, focus) {
    fill(this.general, error.param ? el("strong", {}, `${error.param}: `) : null, error.message);
    if (focus) this.general.focus();
  }

  /** The control of the longest name that `param` begins with: `lora[1].weight` is at `lora`. */
  #find(param) {
    for (let name = param; name; name = name.replace(/(\.[^.[\]]*|\[[^\]]*\]|[^.[\]]+)$/, "")) {
      const field = this.#fields.get(name);
      if (field) return field;
    }
    return null;
  }
}

/** A control with everything open that it is folded into. */
function unfold(control) {
  for (let node = control.parentElement; node; node = node.parentElement) if (node.tagName === "DETAILS") node.open = true;
  return control;
}
