// Uses OpenAI's Node SDK as its users do and prints what came back as JSON: node node_client.mjs CASE BASE_URL FILE [KEY]
import fs from "node:fs";
import OpenAI, { toFile } from "openai";

const [name, baseURL, file, apiKey = "test-key"] = process.argv.slice(2);
const client = new OpenAI({ apiKey, baseURL, maxRetries: 0 });
const small = { size: "256x256" };

const cases = {
  generate: () => client.images.generate({ prompt: "a lighthouse", ...small }),
  base64: () => client.images.generate({ prompt: "a lighthouse", response_format: "b64_json", output_format: "webp", ...small }),
  extras: () =>
    client.images.generate({
      model: "flux.1-dev-srpo",
      prompt: "a lighthouse",
      n: 2,
      seed: 7,
      steps: 28,
      lora: [{ model: "a:1@1", weight: 0.5 }],
      ...small,
    }),
  editStream: () => client.images.edit({ model: "flux.2-pro", image: fs.createReadStream(file), prompt: "a hat", ...small }),
  editToFile: async () =>
    client.images.edit({ model: "flux.2-pro", image: await toFile(fs.readFileSync(file)), prompt: "a hat", ...small }),
  editList: () =>
    client.images.edit({
      model: "riverflow-1",
      image: [fs.createReadStream(file), fs.createReadStream(file)],
      prompt: "a hat",
    }),
  editNested: async () =>
    client.images.edit({
      model: "flux.1-dev",
      image: await toFile(fs.readFileSync(file), "a.png", { type: "image/png" }),
      prompt: "a hat",
      lora: [{ model: "a:1@1", weight: 1 }, { model: "b:1@1", weight: 0.5 }],
      ...small,
    }),
  editJSON: () =>
    client.post("/images/edits", {
      body: {
        model: "flux.2-pro",
        prompt: "a hat",
        images: [{ image_url: `data:image/png;base64,${fs.readFileSync(file).toString("base64")}` }],
        ...small,
      },
    }),
  models: async () => ({ ids: (await client.models.list()).data.map((model) => model.id) }),
  model: () => client.models.retrieve("sourceful:1@1"),
  slash: () => client.models.retrieve("runware/riverflow-1"),
  again: async () => {
    // The first takes all images of a minute; the SDK waits for the next one as long as Retry-After says.
    const started = Date.now();
    await client.images.generate({ prompt: "a lighthouse [sim:plain]", n: 10, ...small });
    const made = await client.images.generate({ prompt: "another lighthouse", ...small }, { maxRetries: 3 });
    return Object.assign(made, { elapsed_ms: Date.now() - started });
  },
  badModel: () => client.images.generate({ model: "nobody", prompt: "a pear" }),
  moderation: () => client.images.generate({ prompt: "a pear [sim:moderation]", ...small }),
};

try {
  const { data, request_id } = await Promise.resolve(cases[name]()).then((data) => ({ data, request_id: data._request_id }));
  console.log(JSON.stringify({ ...data, request_id }));
} catch (error) {
  console.log(
    JSON.stringify({
      error: error.constructor.name,
      status: error.status,
      code: error.code,
      param: error.param,
      type: error.type,
      message: error.message,
      retry_after: error.headers?.get("retry-after") ?? null,
      request_id: error.requestID,
    }),
  );
}
