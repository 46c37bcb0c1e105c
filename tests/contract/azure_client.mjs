// Uses Azure's class of OpenAI's Node SDK as its users do: node azure_client.mjs CASE ENDPOINT FILE prints what came back.
import fs from "node:fs";
import { AzureOpenAI, toFile } from "openai";

const [name, endpoint, file] = process.argv.slice(2);
const options = { apiKey: "test-key", endpoint, apiVersion: "2025-04-01-preview", maxRetries: 0 };
const byModel = new AzureOpenAI(options);
const byDeployment = new AzureOpenAI({ ...options, deployment: "flux.2-pro" });
const small = { prompt: "a lighthouse", size: "256x256" };
const image = async () => toFile(fs.readFileSync(file), "a.png", { type: "image/png" });

const cases = {
  generate: () => byModel.images.generate({ model: "flux.2-pro", ...small }),
  deployment: () => byDeployment.images.generate({ model: "gpt-image-1", response_format: "url", ...small }),
  edit: async () => byDeployment.images.edit({ image: await image(), ...small }),
  editByModel: async () => byModel.images.edit({ model: "flux.2-pro", image: await image(), ...small }),
  models: async () => ({ count: (await byModel.models.list()).data.length }),
};

const answer = await cases[name]();
console.log(JSON.stringify({ ...answer, request_id: answer._request_id }));
