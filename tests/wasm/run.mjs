// Runs the functions of lib.rs against the simulator, each with its faults: node run.mjs <module>

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const module = createRequire(import.meta.url)(process.argv[2]);
const { AGENTGATE_BASE_URL: baseUrl, AGENTGATE_API_KEY: key } = process.env;
const real = globalThis.fetch;

/// The responses to the next requests, in order. Later requests go to the simulator.
let next = [];
globalThis.fetch = async (request) => {
  const response = await (next.shift() ?? real)(request);
  // A constructed response has no URL.
  if (response.url === "") Object.defineProperty(response, "url", { value: request.url });
  return response;
};

let aborted = 0;
const noResponse = (request) =>
  new Promise((_, reject) => {
    request.signal.addEventListener("abort", () => {
      aborted += 1;
      reject(request.signal.reason);
    });
  });

const unavailable = () => new Response("", { status: 503, headers: { "retry-after-ms": "50" } });

const exhausted = async (request) => {
  const response = await real(request);
  const headers = new Headers(response.headers);
  headers.set("x-ratelimit-remaining", "0");
  headers.set("x-ratelimit-reset", String(Math.ceil(Date.now() / 1000) + 1));
  headers.delete("date");
  return new Response(await response.text(), { status: response.status, headers });
};

const partialBody = async (request) => {
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode('{"runs": ['));
      request.signal.addEventListener("abort", () => controller.error(request.signal.reason));
    },
  });
  return new Response(body, { status: 200 });
};

const cases = [
  ["retries", [unavailable]],
  ["waits_for_the_rate_limit", [exhausted]],
  ["times_out", [noResponse]],
  ["times_out_within_a_body", [partialBody]],
  ["cancels_a_dropped_call", [noResponse, noResponse]],
  ["calls_are_send", []],
  ["follows_a_run", []],
  ["verifies_a_delivery", []],
];
for (const [name, responses] of cases) {
  next = [...responses];
  aborted = 0;
  const begun = performance.now();
  await module[name](baseUrl, key);
  const duration = performance.now() - begun;
  assert.equal(next.length, 0, `${name}: a request was not sent`);
  await new Promise((resolve) => setTimeout(resolve, 10));
  if (name === "cancels_a_dropped_call") assert.equal(aborted, 2, name);
  console.log(`${name}: ok (${duration.toFixed()} ms)`);
}
