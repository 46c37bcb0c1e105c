// Makes elements. Whatever text a caller gave becomes text and never HTML: there is no way in here for markup.

const SVG = "http://www.w3.org/2000/svg";
const SAFE_LINK = /^(https?:|blob:|data:image\/|mailto:)/i;

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [props] `class`, `style` (an object), `dataset`, `on…` (functions), attributes and properties.
 * @param {...(Node | string | number | null | undefined | false | Array)} children Strings become text.
 * @returns {HTMLElement}
 */
export function el(tag, props = {}, ...children) {
  return build(document.createElement(tag), props, children);
}

/** The same for SVG, whose props are attributes. */
export function svg(tag, props = {}, ...children) {
  return build(document.createElementNS(SVG, tag), props, children);
}

function build(node, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    set(node, name, value);
  }
  node.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false).map(toNode));
  return node;
}

function toNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child));
}

function set(node, name, value) {
  if (typeof value === "function" && name.startsWith("on")) {
    node.addEventListener(name.slice(2), value);
  } else if (name === "style") {
    // Not the attribute, which the content security policy refuses.
    for (const [property, one] of Object.entries(value)) node.style.setProperty(property, String(one));
  } else if (name === "dataset") {
    Object.assign(node.dataset, value);
  } else if (name === "href" || name === "src") {
    const address = safeAddress(value);
    if (address !== null) node.setAttribute(name, address);
  } else if (name === "value" || name === "checked" || name === "selected" || name === "indeterminate") {
    node[name] = value;
  } else if (/^(on|srcdoc$|innerhtml$|outerhtml$)/i.test(name)) {
    throw new TypeError(`${name} would be code`);
  } else {
    node.setAttribute(attribute(name), value === true ? "" : String(value));
  }
}

function attribute(name) {
  return { maxLength: "maxlength", tabIndex: "tabindex", readOnly: "readonly", htmlFor: "for" }[name] ?? name;
}

/** @returns {string | null} The address, unless following it would run something. */
export function safeAddress(value) {
  const text = String(value);
  let scheme;
  try {
    scheme = new URL(text, document.baseURI).href;
  } catch {
    return null;
  }
  return SAFE_LINK.test(scheme) ? text : null;
}

/** Put these in the place of whatever a node holds. */
export function fill(node, ...children) {
  node.replaceChildren();
  return build(node, {}, children);
}
