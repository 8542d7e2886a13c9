// Runs examples/load/k6.js in Node.js, with what k6 has for it played by this file: `k6.mjs SCRIPT GATEWAY USERS`. Exits with 1
// when a check fails, an answer is lost, or nothing was measured.
import { readFile } from "node:fs/promises";

const [script, gateway, users] = process.argv.slice(2);
const PATIENCE_MS = 60000;

const measured = {};
const checks = {};
let sockets = 0;
let ended;
const allEnded = new Promise((resolve) => {
  ended = resolve;
});

class Metric {
  constructor(name) {
    measured[name] = this.values = [];
  }
  add(value) {
    this.values.push(value);
  }
}

// Those of k6 take a third argument, and hand on errors with the field `error`.
class K6Socket {
  constructor(url, protocols, _options) {
    const socket = new WebSocket(url, protocols);
    socket.onmessage = (event) => this.onmessage(event);
    socket.onerror = () => this.onerror({ error: "the socket broke" });
    socket.onclose = () => ++sockets === Number(users) && ended();
    this.send = (text) => socket.send(text);
    this.close = () => socket.close();
  }
}

globalThis.played = {
  k6: {
    check(value, all) {
      for (const [name, holds] of Object.entries(all)) (checks[name] ??= []).push(holds(value));
    },
  },
  "k6/websockets": { WebSocket: K6Socket },
  "k6/metrics": { Counter: Metric, Trend: Metric },
};

const source = (await readFile(script, "utf8")).replace(
  /^import (\{.*?\}) from "(k6.*?)";$/gm,
  (_, names, module) => `const ${names} = globalThis.played["${module}"];`,
);
if (/^import /m.test(source)) throw new Error("the script imports what is not played here");
const { default: user, options } = await import(`data:text/javascript,${encodeURIComponent(source)}`);

globalThis.__ENV = { RIVULET_URL: gateway };
globalThis.__ITER = 0;
for (globalThis.__VU = 1; __VU <= Number(users); __VU++) user();
const late = setTimeout(() => ended("not over in time"), PATIENCE_MS);
const why = await allEnded;
clearTimeout(late);

const kept = Object.values(checks).flat();
const answers = measured.rivulet_whole_answer.length;
console.log(`${answers} answers of ${users} users, ${kept.filter(Boolean).length} of ${kept.length} checks`);
const isGood = why === undefined && kept.every(Boolean) && kept.length === 2 * answers && measured.rivulet_broken.length === 0;
const isMeasured = answers === 3 * Number(users) && measured.rivulet_first_text.length === answers;
if (!isGood || !isMeasured || !options.thresholds.rivulet_broken) process.exit(1);
process.exit(0);
