// Fetches a run by Node's fetch: node.mjs <base URL> <seconds> <at a time>.

const [baseUrl, seconds, atATime] = process.argv.slice(2);
const headers = { authorization: "Bearer org_live_xxxxxxxx" };
const end = performance.now() + 1000 * seconds;

async function repeat() {
  let calls = 0;
  while (performance.now() < end) {
    const response = await fetch(`${baseUrl}/v1/runs/run_3n9x2p`, { headers });
    if (!response.ok) throw new Error(`status ${response.status}`);
    await response.json();
    calls += 1;
  }
  return calls;
}

const calls = await Promise.all(Array.from({ length: Number(atATime) }, repeat));
console.log(calls.reduce((sum, each) => sum + each));
process.stdin.resume();
