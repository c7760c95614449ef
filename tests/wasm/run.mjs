// Runs the functions of lib.rs against the simulator, with the faults that each takes: node run.mjs <module>

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const module = createRequire(import.meta.url)(process.argv[2]);
const { AGENTGATE_BASE_URL: baseUrl, AGENTGATE_API_KEY: key } = process.env;
const real = globalThis.fetch;

/// The answers to the next requests, in order. What follows goes to the simulator.
let next = [];
globalThis.fetch = async (request) => {
  const response = await (next.shift() ?? real)(request);
  // A response that is made here has no URL of its own.
  if (response.url === "") Object.defineProperty(response, "url", { value: request.url });
  return response;
};

let aborted = 0;
const never = (request) =>
  new Promise((_, reject) => {
    request.signal.addEventListener("abort", () => {
      aborted += 1;
      reject(request.signal.reason);
    });
  });

const unavailable = () => new Response("", { status: 503, headers: { "retry-after-ms": "50" } });

const spent = async (request) => {
  const response = await real(request);
  const headers = new Headers(response.headers);
  headers.set("x-ratelimit-remaining", "0");
  headers.set("x-ratelimit-reset", String(Math.ceil(Date.now() / 1000) + 1));
  headers.delete("date");
  return new Response(await response.text(), { status: response.status, headers });
};

const halfABody = async (request) => {
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
  ["waits_for_the_rate_limit", [spent]],
  ["gives_up_after_the_timeout", [never]],
  ["gives_up_in_the_middle_of_a_body", [halfABody]],
  ["cancels_a_call_that_is_dropped", [never, never]],
  ["makes_calls_that_are_send", []],
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
  if (name === "cancels_a_call_that_is_dropped") assert.equal(aborted, 2, name);
  console.log(`${name}: ok (${duration.toFixed()} ms)`);
}
