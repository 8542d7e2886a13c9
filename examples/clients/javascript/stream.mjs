/** Asks a question and prints the answer as it is written: node stream.mjs "How long can I return a tent?" Ctrl-C stops it. */
import { stream } from "./answer.mjs";
import { fromEnvironment } from "./gateway.mjs";

const gateway = fromEnvironment();
const { session_id } = await gateway.send("sessions", {});
const stopped = new AbortController();
process.once("SIGINT", () => stopped.abort());

let shown = "";
const { status } = await stream(gateway, session_id, process.argv[2], {
  signal: stopped.signal,
  onText(text) {
    // After a failover a part of the text may be withdrawn. A page would show the new one in its place.
    process.stdout.write(text.startsWith(shown) ? text.slice(shown.length) : `\n(once more)\n${text}`);
    shown = text;
  },
});
console.log(`\n(${status})`);
