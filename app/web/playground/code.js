// The same request as code to copy: curl, Python, Node. Pure. Holds no key: it is read from the environment.

import { EDITS, toText } from "./request.js";

const COMMON = ["model", "prompt", "n", "size", "quality", "background", "output_format", "output_compression", "user"];
/** Names that Python's SDK takes, each method its own; whatever else a request has goes into `extra_body`. */
const OF_GENERATE = new Set([...COMMON, "style", "moderation"]);
const OF_EDIT = new Set([...COMMON, "input_fidelity"]);
const KEY = "SPILLWAY_API_KEY";

/**
 * @param {import("./request.js").ImageRequest} request
 * @param {string} base What a client is given, such as `http://127.0.0.1:8000/v1`.
 * @returns {{name: string, code: string}[]}
 */
export function snippets(request, base) {
  return [
    { name: "curl", code: inCurl(request, base) },
    { name: "Python", code: inPython(request, base) },
    { name: "Node", code: inNode(request, base) },
  ];
}

function inCurl(request, base) {
  const { images, mask } = fileNames(request);
  const lines = [`curl ${quote(base + request.path.replace("/v1", ""))}`, `-H "Authorization: Bearer $${KEY}"`];
  if (request.path === EDITS) {
    // --form-string: a value that begins with @ or < is text here, not the name of a file.
    for (const [name, value] of Object.entries(request.fields)) lines.push(`--form-string ${quote(`${name}=${toText(value)}`)}`);
    for (const name of images) lines.push(`-F ${quote(`image[]=@"${name}"`)}`);
    if (mask) lines.push(`-F ${quote(`mask=@"${mask}"`)}`);
  } else {
    lines.push(`-H "Content-Type: application/json"`, `-d ${quote(JSON.stringify(request.fields, null, 2))}`);
  }
  return lines.join(" \\\n  ");
}

function inPython(request, base) {
  const isEdit = request.path === EDITS;
  const lines = [];
  if (isEdit) {
    const { images, mask } = fileNames(request);
    lines.push(`    image=[${images.map((name) => `open(${text(name)}, "rb")`).join(", ")}],`);
    if (mask) lines.push(`    mask=open(${text(mask)}, "rb"),`);
  }
  const names = isEdit ? OF_EDIT : OF_GENERATE;
  // The SDK demands a prompt, also for models that have none.
  const fields = Object.entries({ prompt: "", ...request.fields });
  const known = fields.filter(([name]) => names.has(name));
  const other = fields.filter(([name]) => !names.has(name));
  for (const [name, value] of known) lines.push(`    ${name}=${python(value)},`);
  lines.push(`    response_format="b64_json",`);
  if (other.length) lines.push(`    extra_body=${python(Object.fromEntries(other))},`);
  return `import base64
import os

from openai import OpenAI

client = OpenAI(base_url=${text(base)}, api_key=os.environ.get("${KEY}", "none"))
answer = client.images.${isEdit ? "edit" : "generate"}(
${lines.join("\n")}
)
for number, image in enumerate(answer.data, 1):
    with open(f"image-{number}.${ending(request)}", "wb") as file:
        file.write(base64.b64decode(image.b64_json))
`;
}

function inNode(request, base) {
  const isEdit = request.path === EDITS;
  const lines = [];
  if (isEdit) {
    const { images, mask } = fileNames(request);
    lines.push(`  image: [${images.map((name) => `fs.createReadStream(${text(name)})`).join(", ")}],`);
    if (mask) lines.push(`  mask: fs.createReadStream(${text(mask)}),`);
  }
  for (const [name, value] of Object.entries(request.fields)) lines.push(`  ${property(name)}: ${JSON.stringify(value)},`);
  lines.push(`  response_format: "b64_json",`);
  return `import fs from "node:fs";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${text(base)}, apiKey: process.env.${KEY} ?? "none" });
const answer = await client.images.${isEdit ? "edit" : "generate"}({
${lines.join("\n")}
});
answer.data.forEach((image, index) => {
  fs.writeFileSync(\`image-\${index + 1}.${ending(request)}\`, Buffer.from(image.b64_json, "base64"));
});
`;
}

/** One word of a POSIX shell, whatever is in it. */
export function quote(value) {
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}

/** A literal of Python. JSON's escapes are Python's, only the three names differ. */
export function python(value) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object") {
    return `{${Object.entries(value).map(([name, one]) => `${text(name)}: ${python(one)}`).join(", ")}}`;
  }
  return JSON.stringify(value);
}

function text(value) {
  return JSON.stringify(value);
}

function property(name) {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : text(name);
}

/** Names that need no escaping anywhere, each once: whoever runs the code has the files under names of its own anyway. */
function fileNames(request) {
  const used = new Set(request.mask ? [request.mask.name] : []);
  const images = request.images.map(({ name }) => {
    const [, before, ending] = /^(.*?)(\.\w+)?$/s.exec(name);
    const stem = before.replace(/[^\w.-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "") || "image";
    let unused = stem + (ending ?? "");
    for (let count = 2; used.has(unused); count += 1) unused = `${stem}-${count}${ending ?? ""}`;
    used.add(unused);
    return unused;
  });
  return { images, mask: request.mask?.name };
}

function ending(request) {
  const format = request.fields.output_format ?? "png";
  return format === "jpeg" ? "jpg" : format;
}
