// Uses Mindee's Node client: enqueues a file for each product, polls the results, and reads what was posted.
//
//     node_client.mjs poll    WEBHOOKS   enqueues with the webhook of each product; prints the results as JSON lines
//     node_client.mjs errors  WEBHOOK    enqueues with a webhook that was deleted; prints the error
//     node_client.mjs posted             reads bodies with signatures as JSON lines from standard input
//
// INBOX_NODE_MODULES is the directory that `npm install` was run in.
import assert from "node:assert";
import { createRequire } from "node:module";
import path from "node:path";
import readline from "node:readline";
import { pathToFileURL } from "node:url";

const url = new URL(process.env.MINDEE_V2_BASE_URL);
process.env.MINDEE_V2_API_HOST = url.host;

const installed = createRequire(path.join(path.resolve(process.env.INBOX_NODE_MODULES ?? "."), "index.js"));
const client = installed.resolve("mindee");
const { BytesInput, UrlInput, v2 } = await import(pathToFileURL(client));
// The one that the client uses.
const { Agent } = createRequire(client)("undici");

const { product } = v2;
const PRODUCTS = {
  extraction: [product.Extraction, product.ExtractionResponse],
  classification: [product.Classification, product.ClassificationResponse],
  crop: [product.Crop, product.CropResponse],
  split: [product.Split, product.SplitResponse],
  ocr: [product.Ocr, product.OcrResponse],
};
// The shortest delays that the client accepts, in seconds.
const POLLING = { initialDelaySec: 1, delaySec: 1, maxRetries: 20 };

// The client uses https only. This is the proxy that ends TLS in front of the API.
function withoutTls(dispatch) {
  return (options, handler) => {
    const headers = { ...options.headers, "x-forwarded-proto": "https" };
    return dispatch({ ...options, origin: url.origin, headers }, handler);
  };
}

function newClient() {
  return new v2.Client({ apiKey: process.env.MINDEE_V2_API_KEY, dispatcher: new Agent().compose(withoutTls) });
}

function file() {
  return new BytesInput({ inputBytes: new TextEncoder().encode("%PDF-1.4\n%%EOF\n"), filename: "tea.pdf" });
}

function print(value) {
  console.log(JSON.stringify(value));
}

// What is compared with the posted body.
function summary(name, { inference }) {
  return {
    product: name,
    id: inference.id,
    job: inference.job.id,
    alias: inference.file.alias,
    file: inference.file.name,
    text: inference.toString(),
  };
}

async function poll(webhooks) {
  const [client, ids] = [newClient(), webhooks.split(",")];
  for (const [name, [kind]] of Object.entries(PRODUCTS)) {
    const options = { modelId: "m1", alias: "order-7", webhookIds: [ids.shift()] };
    print(summary(name, await client.enqueueAndGetResult(kind, file(), options, POLLING)));
  }
}

async function errors(webhook) {
  for (const source of [file(), new UrlInput({ url: "https://example.com/tea.pdf" })]) {
    try {
      await newClient().enqueue(product.Extraction, source, { modelId: "m1", webhookIds: [webhook] });
    } catch (error) {
      print({ status: error.status, detail: error.detail, pointer: error.errors[0].pointer });
    }
  }
}

async function posted() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const given = JSON.parse(line);
    const body = new v2.LocalResponse(Buffer.from(given.body));
    await body.init();
    assert(body.isValidHmacSignature(given.secret, given.signature), given.product);
    assert(!body.isValidHmacSignature("another", given.signature));
    const [, response] = PRODUCTS[given.product];
    print(summary(given.product, await body.deserializeResponse(response)));
  }
}

const [command, ...rest] = process.argv.slice(2);
await { poll, errors, posted }[command](...rest);
