// Users of a Rivulet gateway for k6, which measures the first text and the whole answer of each question:
//
//     k6 run --vus 50 --duration 1m -e RIVULET_URL=http://127.0.0.1:8080 k6.js
//
// RIVULET_TOKEN is a token or an API key where one is needed, RIVULET_ASSISTANT who is to answer. Each text is put together by
// its offsets and compared with the length that the gateway tells. It does not resume: a lost connection counts as a failure.
// What keeps conversations over lost connections is `rivulet load`.
import { check } from "k6";
import { WebSocket } from "k6/websockets";
import { Counter, Trend } from "k6/metrics";

const QUESTIONS = ["What is a rivulet?", "And where does it begin?", "Who gives it a name?"];
const ROUNDS = 3;
const PATIENCE_MS = 60000;

const firstText = new Trend("rivulet_first_text", true);
const wholeAnswer = new Trend("rivulet_whole_answer", true);
const broken = new Counter("rivulet_broken");

export const options = { thresholds: { rivulet_broken: ["count==0"], checks: ["rate==1"] } };

export default function () {
  const base = (__ENV.RIVULET_URL || "http://127.0.0.1:8080").replace(/^http/, "ws");
  const assistant = __ENV.RIVULET_ASSISTANT;
  const query = assistant ? `?assistant=${encodeURIComponent(assistant)}` : "";
  const headers = __ENV.RIVULET_TOKEN ? { Authorization: `Bearer ${__ENV.RIVULET_TOKEN}` } : {};
  const socket = new WebSocket(`${base}/api/v1/ws${query}`, ["chat.v1"], { headers });
  let round = 0;
  let run = null;
  let text = "";
  let began = 0;
  const tooLate = setTimeout(() => fail("took too long"), PATIENCE_MS);

  function fail(why) {
    broken.add(1);
    console.error(why);
    leave();
  }

  function leave() {
    clearTimeout(tooLate);
    socket.close();
  }

  function ask() {
    run = null;
    text = "";
    began = Date.now();
    const id = `q-${__VU}-${__ITER}-${round}`;
    socket.send(JSON.stringify({ type: "send", id, text: QUESTIONS[round % QUESTIONS.length] }));
  }

  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.type === "welcome") ask();
    else if (frame.type === "ping") socket.send(JSON.stringify({ type: "pong", t: frame.t }));
    else if (frame.type === "run.start") run = frame.run;
    else if (frame.type === "error") fail(`${frame.code}: ${frame.message}`);
    else if (frame.run !== run) return;
    else if (frame.type === "failover") text = text.slice(0, frame.keep);
    else if (frame.type === "delta") {
      if (text === "") firstText.add(Date.now() - began);
      text += frame.text.slice(text.length - frame.off);
    } else if (frame.type === "run.done") {
      wholeAnswer.add(Date.now() - began);
      check(frame, {
        "the answer is complete": (done) => done.status === "complete",
        "no text is missing": (done) => done.len === text.length,
      });
      round += 1;
      if (round < ROUNDS) ask();
      else leave();
    }
  };
  socket.onerror = (event) => fail(`lost: ${event.error}`);
}
