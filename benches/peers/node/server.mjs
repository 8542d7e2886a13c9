// The same gateway in Node.js: ws and the openai SDK, conversations in memory.
//
// OPENAI_BASE_URL and OPENAI_API_KEY come from the environment; the port is the argument.
import { randomUUID } from "node:crypto";
import OpenAI from "openai";
import { WebSocketServer } from "ws";

const client = new OpenAI({ maxRetries: 0 });
const sessions = new Map();

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), path: "/ws" });
server.on("connection", (socket) => {
  const messages = [];
  sessions.set(randomUUID(), messages);
  socket.on("message", async (data) => {
    try {
      messages.push({ role: "user", content: JSON.parse(data).message });
      let answer = "";
      const stream = await client.chat.completions.create({ model: "mock", messages, stream: true });
      for await (const chunk of stream) {
        const text = chunk.choices[0]?.delta?.content;
        if (text) {
          socket.send(JSON.stringify({ type: "delta", off: answer.length, text }));
          answer += text;
        }
      }
      messages.push({ role: "assistant", content: answer });
      socket.send(JSON.stringify({ type: "run.done", status: "complete", len: answer.length }));
    } catch (error) {
      socket.send(JSON.stringify({ type: "error", code: "upstream", message: String(error) }));
    }
  });
});
