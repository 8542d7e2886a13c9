"""What stops, timeouts and failovers leave behind: connections, files, memory and runs, counted after thousands."""

import contextlib
import http.client
import json
import pathlib
import threading
import time

from servers import mock, rivulet, say, table

# Connections that ask at the same time, each one question after the other.
CALLERS = 50
# Questions of one conversation, which is deleted then: what it may keep is not what is looked for here.
QUESTIONS = 10
# So many failures in a row would have the gateway leave the model alone.
BREAKER_FAILURES = 1000
# In every run of so many requests one is answered as it should.
ONE_GOOD_IN = 500


def leaks(size):
    count, lines = size["leaks"], []
    for name, drive in (("stops", stops), ("first-token timeouts", timeouts), ("failovers", failovers)):
        say(f"  {name}")
        lines.append([name, *drive(count)])
    print(f"### What is left behind\n\nAfter a warm-up of the same kind, {count} of each, {CALLERS} at a time.\n")
    table(["", "made", "files before / after", "connections at the model", "memory before / after", "runs in progress",
           "other outcomes"], lines)


def stops(count):
    with mock(20, 1000, stamped=False) as model, rivulet(model) as server:
        def stop(caller, session):
            run = caller.post(f"/api/v1/sessions/{session}/messages", {"text": "Go on?", "mode": "queue"})["run"]
            status = 409
            while status == 409:  # It may wait behind the one before, which is being stored.
                status = caller.status("POST", f"/api/v1/sessions/{session}/runs/{run}/stop", {})
            return status == 202

        return counted(server, [model], count, stop)


def timeouts(count):
    faults = script("stall-headers", count)
    with mock(0, 3, stamped=False, faults=faults) as model, rivulet(
        model, RIVULET_LLM_FIRST_TOKEN_S="0.05", RIVULET_LLM_RETRIES="0",
        RIVULET_LLM_BREAKER_FAILURES=str(BREAKER_FAILURES),
    ) as server:
        def time_out(caller, session):
            status = caller.status("POST", "/api/v1/chat", {"message": "Anybody?", "session_id": session})
            return None if status == 200 else status == 504

        return counted(server, [model], count, time_out)


def failovers(count):
    faults = script("cut:3", count)
    with mock(0, 10, stamped=False, faults=faults) as first, mock(0, 7, stamped=False) as second:
        targets = [{"name": name, "base_url": f"http://127.0.0.1:{model.port}/v1", "model": "mock"}
                   for name, model in (("first", first), ("second", second))]
        with rivulet(first, RIVULET_LLM_TARGETS=json.dumps(targets), RIVULET_LLM_RETRIES="0",
                     RIVULET_LLM_BREAKER_FAILURES=str(BREAKER_FAILURES)) as server:
            def fail_over(caller, session):
                answer = caller.post("/api/v1/chat", {"message": "Whole?", "session_id": session})
                if answer["usage"]["estimated"] is False:
                    return None  # The first target answered alone.
                return answer["status"] == "complete"

            return counted(server, [first, second], count, fail_over)


def script(fault, count):
    """Faults for a warm-up and for what is counted, with a good answer among them, for the breaker's sake."""
    total = (count + warm_up(count)) * 2
    return ["none" if at % ONE_GOOD_IN == 0 else fault for at in range(total)]


def warm_up(count):
    return max(count // 5, 10 * CALLERS)


def counted(server, models, count, one):
    """Does `one` so often from many callers: true is what was meant, none a good answer between, false anything else."""
    drive(server, warm_up(count), one)
    settled(server, models)
    before = files(server), server.memory_kb() / 1024
    made, other = drive(server, count, one)
    runs, open_at_model = settled(server, models)
    after = files(server), server.memory_kb() / 1024
    return [made, f"{before[0]} / {after[0]}", open_at_model, f"{before[1]:.1f} / {after[1]:.1f} MB", runs, other]


def drive(server, count, one):
    made, other, lock = 0, 0, threading.Lock()

    def work():
        nonlocal made, other
        caller = Caller(server)
        with contextlib.closing(caller.connection):
            while True:
                session = caller.post("/api/v1/sessions", {})["session_id"]
                for _ in range(QUESTIONS):
                    with lock:
                        is_over = made + other >= count
                        made += not is_over
                    result = None if is_over else one(caller, session)
                    if result is not True and not is_over:
                        with lock:
                            made -= 1
                            other += result is False
                caller.status("DELETE", f"/api/v1/sessions/{session}", {})
                if is_over:
                    return

    threads = [threading.Thread(target=work) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return made, other


def settled(server, models):
    """Waits until nothing is being written, and tells what still is after ten seconds."""
    deadline = time.monotonic() + 10
    while True:
        runs = metric(server, "runs_active")
        open_at_model = sum(json.loads(model.get("/stats"))["completions"]["open"] for model in models)
        if (runs == 0 and open_at_model == 0) or time.monotonic() > deadline:
            return int(runs), open_at_model
        time.sleep(0.1)


def metric(server, name):
    lines = [line for line in server.get("/metrics").splitlines() if line.startswith(name + " ")]
    return float(lines[0].split()[1]) if lines else 0.0


def files(server):
    return len(list(pathlib.Path(f"/proc/{server.process.pid}/fd").iterdir()))


class Caller:
    """A connection that is kept, as a browser does."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def answer(self, method, path, body):
        self.connection.request(method, path, json.dumps(body), {"content-type": "application/json"})
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def status(self, method, path, body):
        return self.answer(method, path, body)[0]

    def text(self, method, path, body):
        return self.answer(method, path, body)[1]

    def post(self, path, body):
        return json.loads(self.text("POST", path, body))
