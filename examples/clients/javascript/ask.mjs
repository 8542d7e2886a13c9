/** Asks a question and waits for the whole answer: node ask.mjs "How long can I return a tent?" */
import { randomUUID } from "node:crypto";
import { fromEnvironment } from "./gateway.mjs";

// The same id with each try: the question is asked, and paid for, once.
const question = { id: randomUUID(), message: process.argv[2] };
const { response, status, sources = [] } = await fromEnvironment().send("chat", question);
console.log(`${response}\n(${status})`);
for (const { n, title } of sources) console.log(`[${n}] ${title}`);
