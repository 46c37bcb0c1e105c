// Reads a model's schema (`?schema=true`): which parameters a form should show, and what each may hold. Pure.

/** These have controls of their own, or belong to programs. */
const ELSEWHERE = new Set([
  "prompt", "model", "n", "size", "aspect_ratio", "resolution", "image", "images", "image_url", "reference_images", "mask", "markup",
  "stream", "partial_images", "response_format", "user", "safety_identifier", "webhook_url", "svg",
  "deliveryMethod", "ttl", "inputs", "uploadEndpoint", "routing",
]);
const USABLE = new Set(["honored", "converted", "emulated", "passed"]);
/** What most people look for, in this order; everything else is a click away. */
const FIRST = ["output_format", "quality", "style", "background", "output_compression", "seed"];

/**
 * @typedef {{name: string, path: string[], kind: "number" | "choice" | "switch" | "text" | "long" | "json" | "group",
 *   description: string, minimum?: number, maximum?: number, step?: number | "any", isWhole?: boolean, choices?: (string | number)[],
 *   fallback?: unknown, maxLength?: number, example?: string, members?: Parameter[], takesNumbers?: boolean}} Parameter
 */

/** @param {object} schema @returns {{first: Parameter[], more: Parameter[]}} */
export function parametersOf(schema) {
  const properties = schema.properties ?? {};
  // Under OpenAI's name it is there already.
  const renamed = new Set(Object.entries(properties).filter(([, one]) => isUsable(one))
    .map(([name, one]) => (one["x-runware-field"] === name ? null : one["x-runware-field"])).filter(Boolean));
  const found = Object.entries(properties)
    .filter(([name, one]) => isUsable(one) && !one["x-same-as"] && !ELSEWHERE.has(name) && !renamed.has(name))
    .map(([name, one]) => toParameter(name, flat(one), [name]));
  return {
    first: FIRST.map((name) => found.find((one) => one.name === name)).filter(Boolean),
    more: found.filter((one) => !FIRST.includes(one.name)),
  };
}

/** Limits of the fields that every form has. */
export function limitsOf(schema) {
  const properties = schema.properties ?? {};
  const [prompt, n, image, size] = ["prompt", "n", "image", "size"].map((name) => flat(properties[name] ?? {}));
  return {
    takesPrompt: isUsable(prompt),
    needsPrompt: (schema.required ?? []).includes("prompt"),
    promptLength: prompt.maxLength,
    mostImages: n.maximum ?? 10,
    takesImages: isUsable(image),
    mostInputs: image["x-maximum-items"] ?? 16,
    leastInputs: image["x-minimum-items"] ?? 0,
    takesMask: isUsable(properties.mask ?? {}),
    takesSize: isUsable(size),
    shapes: size["x-shapes"] ?? [],
  };
}

function isUsable(property) {
  return USABLE.has(property["x-spillway-mode"]);
}

/** One schema out of `anyOf: [it, null]`; what stands beside it narrows it. */
function flat(property) {
  const options = (property.anyOf ?? []).filter((one) => one.type !== "null");
  return options.length ? { ...options[0], ...property } : property;
}

function toParameter(name, property, path) {
  const parameter = { name, path, description: property.description ?? "", fallback: property.default ?? undefined, ...kindOf(name, property, path) };
  return parameter;
}

function kindOf(name, property, path) {
  const choices = choicesOf(name, property);
  if (choices) return { kind: "choice", choices };
  const type = Array.isArray(property.type) ? property.type[0] : property.type;
  if (type === "integer" || type === "number") return numberOf(property, type === "integer");
  if (type === "boolean" && !Array.isArray(property.type)) return { kind: "switch" };
  if (type === "object" && property.properties) {
    const members = Object.entries(property.properties).map(([member, one]) => toParameter(member, flat(one), [...path, member]));
    return { kind: "group", members };
  }
  if (type === "string") return { kind: name.includes("prompt") ? "long" : "text", maxLength: property.maxLength };
  return { kind: "json", example: exampleOf(property) };
}

function choicesOf(name, property) {
  const native = Array.isArray(property["x-native"]) ? property["x-native"] : null;
  if (name === "output_format") return (property.enum ?? []).filter((one) => one !== "jpg" && (one !== "svg" || native?.includes("svg")));
  // The model's own words; OpenAI's others would only become the nearest of them.
  if (native?.length) return native;
  return property.enum?.length ? property.enum : null;
}

function numberOf(property, isWhole) {
  const { minimum, maximum, multipleOf } = property;
  const isBounded = minimum !== undefined && maximum !== undefined;
  const fine = isBounded && maximum - minimum <= 20 ? 0.01 : 0.1;
  return { kind: "number", isWhole, minimum, maximum, step: multipleOf ?? (isWhole ? 1 : fine) };
}

/** What such a value looks like, as far as the schema tells. */
function exampleOf(property) {
  const value = (one) => {
    if (one.default !== undefined && one.default !== null) return one.default;
    if (one.enum) return one.enum[0];
    if (one.type === "array") return one.items ? [value(one.items)] : [];
    if (one.type === "object") {
      const names = one.required?.length ? one.required : Object.keys(one.properties ?? {}).slice(0, 2);
      return Object.fromEntries(names.map((name) => [name, value(one.properties?.[name] ?? {})]));
    }
    if (one.type === "boolean" || Array.isArray(one.type)) return true;
    if (one.type === "integer" || one.type === "number") return one.minimum ?? 1;
    return "…";
  };
  return JSON.stringify(value(property));
}
