"""Three gateways behind HAProxy, as deploy/compose/cluster.yml has them, each replaced in turn under load.

    rolling.py RIVULET_BINARY [--sessions 1000 --rate 4 --tokens 30]

PostgreSQL, Redis, HAProxy and the gateways are processes of their own on free loopback ports; all are gone when this is over.
HAProxy has the configuration of deploy/proxies without TLS. `rivulet load` talks to it alone and cuts its own sockets, while
one gateway after the other gets SIGTERM and is started anew. What it was told is judged by what is stored: nothing lost,
doubled, altered, out of order, without an end, or foreign; and of a hundred sockets that come back 99 go on where they were.

Before that, HAProxy has two servers that refuse, in the place of gateways that drain or are full: what changes nothing is asked
of another one, and a question is not.
"""

import argparse
import collections
import contextlib
import http.server
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

from run import ROOT, Broken, Process, copy_of, free_port

GATEWAYS = 3
# As in deploy: longer than an answer takes, so that none is interrupted.
DRAIN_S = 30
# Of all of them together, with room for a machine that has other work.
WITHIN_S = 60


def steady_port():
    """One that is free, and that the system gives to nobody while the gateway there is replaced."""
    while True:
        with socket.socket() as probe, contextlib.suppress(OSError):
            port = random.randrange(20000, 32000)
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """PostgreSQL or Redis, by the script for it, which ends with its standard input."""

    def __init__(self, script):
        self.script = subprocess.Popen([ROOT / "scripts" / script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.script.stdout.readline().split()
        if len(line) != 2:
            raise Broken(f"{script} does not start")
        self.url = line[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.script.stdin.close()
        self.script.wait()


def haproxy(folder, addresses):
    """Its process, and the address that clients have."""
    port = free_port()
    config = copy_of("haproxy.cfg", {
        "bind :80": f"bind 127.0.0.1:{free_port()}",
        'bind :443 ssl crt "${RIVULET_CERTIFICATE-/etc/ssl/rivulet/chat.example.pem}" alpn h2,http/1.1': f"bind 127.0.0.1:{port}",
        "maxconn 32768": "maxconn 8192",
    }, folder)
    gateways = {f"RIVULET_GATEWAY_{number}": address for number, address in enumerate(addresses, 1)}
    environment = {"RIVULET_CONTAINER": "yes", "RIVULET_NAME": "127.0.0.1", **gateways}
    subprocess.run(["haproxy", "-c", "-q", "-f", config], check=True,
                   env={"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", **environment})
    process = Process("haproxy", ["haproxy", "-db", "-f", config], environment, folder)
    process.listens(port)
    return process, f"http://127.0.0.1:{port}"


def status(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        return refusal.code, None
    except OSError:
        return None, None


class Gateway:
    """One of several, at an address that it keeps."""

    def __init__(self, binary, number, environment, folder):
        self.address = f"127.0.0.1:{steady_port()}"
        self.arguments = [binary, "serve", "--bind", self.address, "--data-dir", folder / f"gateway-{number}"]
        self.number, self.environment, self.folder, self.starts = number, environment, folder, 0
        self.start()

    def start(self):
        self.starts += 1
        self.process = Process(f"gateway-{self.number}.{self.starts}", self.arguments, self.environment, self.folder)

    def is_ready(self):
        self.process.until("readiness", lambda: True if status(f"http://{self.address}/ready")[0] == 200 else None)

        def found():
            _, health = status(f"http://{self.address}/health")
            return True if health and health["components"]["cluster"]["state"] == "ready" else None

        self.process.until("the way to the others", found)

    def replace(self):
        """By the next process: this one ends as it does by itself."""
        began = time.monotonic()
        self.process.child.send_signal(signal.SIGTERM)
        code = self.process.child.wait(DRAIN_S + 15)
        if code != 0:
            raise Broken(f"gateway {self.number} ended with {code}:\n{self.process.log.read_text(errors='replace')}")
        ended = time.monotonic()
        self.start()
        self.is_ready()
        print(f"gateway {self.number}: drained in {ended - began:.1f} s, back in {time.monotonic() - ended:.1f} s")

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.process.__exit__(*what)


def recoveries(history):
    """How sockets that came back were welcomed, and after how long, by why they were gone."""
    gone, welcomed, waits = {}, collections.Counter(), collections.defaultdict(list)
    for line in history.read_text().splitlines():
        record = json.loads(line)
        conversation = record["conversation"]
        if record["event"] == "lost":
            # Whoever tries in vain is gone since the first time, and for that reason.
            gone.setdefault(conversation, (record["at_us"], "cut" if record["cut"] else "gateway"))
        elif record["event"] == "welcomed" and conversation in gone:
            since, why = gone.pop(conversation)
            if record["recovered"] != "new":
                welcomed[why, record["recovered"]] += 1
                waits[why].append((record["at_us"] - since) / 1e6)
    return welcomed, waits


class Refusing(http.server.ThreadingHTTPServer):
    """Ready, and refuses whatever else it is asked; or does not, when it is the one that has room."""

    def __init__(self, has_room):
        super().__init__(("127.0.0.1", 0), Answering)
        self.has_room, self.asked = has_room, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        pass  # Whoever has read the status may be gone.

    @property
    def address(self):
        return f"127.0.0.1:{self.server_port}"


class Answering(http.server.BaseHTTPRequestHandler):
    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/ready":
            self.server.asked.append(self.command)
        self.send_response(200 if self.path == "/ready" or self.server.has_room else 503)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


def refusals(folder):
    """What two of three refuse is asked of the third, nearly always, and a question of nobody else.

    HAProxy asks another server than the last one, and after three of them gives up: now and then it goes to and fro.
    """
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        servers = [Refusing(has_room=False), Refusing(has_room=False), Refusing(has_room=True)]
        for server in servers:
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
        process, front = haproxy(folder, [server.address for server in servers])
        stack.enter_context(process)
        for body in (None, b"{}"):
            for _ in range(6):
                request = urllib.request.Request(f"{front}/x", data=body)
                with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request, timeout=5) as answer:
                    answer.read()
        asked = [collections.Counter(server.asked) for server in servers]
    gets, posts = sum((each["GET"] for each in asked[:2])), sum(each["POST"] for each in asked)
    if asked[2]["GET"] < 4 or gets == 0 or posts != 6:
        raise Broken(f"6 of each were asked for, and the servers were asked {asked}")
    print(f"ok    {asked[2]['GET']} of 6 answered, {gets} times after a refusal; of 6 questions none was asked twice")


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))] if values else 0.0


def judge(binary, front, history):
    told = subprocess.run([binary, "load", "--json", "--url", front, "--verify", history], capture_output=True, text=True)
    if not told.stdout:
        raise Broken(told.stderr)
    return told.returncode, json.loads(told.stdout)


def roll(args, stack, folder):
    """Whether all that was promised was kept."""
    model = stack.enter_context(Process(
        "mock-llm", [args.binary, "mock-llm", "--rate", str(args.rate), "--tokens", str(args.tokens)], {}, folder))
    database, redis = (stack.enter_context(Server(script)) for script in ("postgres.sh", "redis.sh"))
    environment = {
        "DATABASE_URL": database.url,
        "REDIS_URL": redis.url,
        "OPENAI_BASE_URL": f"http://{model.address()}/v1",
        "RIVULET_KNOWLEDGE_ENABLED": "false",
        "RIVULET_LLM_CACHE_ENTRIES": "0",
        "RIVULET_SERVER_DRAIN_S": str(DRAIN_S),
        "RIVULET_SERVER_TRUSTED_PROXIES": "127.0.0.1",
    }
    # At the same moment, with an empty database.
    gateways = [stack.enter_context(Gateway(args.binary, number, environment, folder)) for number in range(1, GATEWAYS + 1)]
    for gateway in gateways:
        gateway.is_ready()
    process, front = haproxy(folder, [gateway.address for gateway in gateways])
    stack.enter_context(process)
    process.until("a gateway behind it", lambda: True if status(f"{front}/ready")[0] == 200 else None)

    history = folder / "history.jsonl"
    loading = Process("load", [
        args.binary, "load", "--json", "--url", front, "--sessions", str(args.sessions), "--messages", "10000",
        "--ramp", str(args.ramp), "--cut", str(args.cut), "--history", history], {}, folder)
    stack.callback(loading.child.kill)
    time.sleep(args.ramp + args.tokens / args.rate)
    for gateway in gateways:
        gateway.replace()
        # The load goes on with all three for as long as an answer takes.
        time.sleep(args.tokens / args.rate)
    loading.child.send_signal(signal.SIGINT)
    loaded = loading.child.wait(WITHIN_S + args.tokens / args.rate)
    code, verdict = judge(args.binary, front, history)

    welcomed, waits = recoveries(history)
    for why in ("cut", "gateway"):
        full, snapshot = welcomed[why, "full"], welcomed[why, "snapshot"]
        print(f"gone by {why}: {full + snapshot} came back, {full} full, {snapshot} by a snapshot; after "
              f"{quantile(waits[why], 0.5):.2f} s p50, {quantile(waits[why], 0.99):.2f} s p99, {max(waits[why], default=0):.2f} s at most")
    full = welcomed["cut", "full"] + welcomed["gateway", "full"]
    share = full / max(1, welcomed.total())
    print(f"{verdict['sessions']} sessions, {verdict['sent']} messages, {verdict['acked']} acknowledged, {verdict['proven']} answers "
          f"proven ({verdict['answers']}), {verdict['restarts']} new epochs seen; recovered full: {100 * share:.2f} %; "
          f"errors: {verdict['errors'] or 'none'}; violations: {verdict['violations'] or 'none'}")
    if loaded != 0 or code != 0:
        print(loading.log.read_text(errors="replace"), json.dumps(verdict, indent=1), sep="\n")
    return loaded == 0 and code == 0 and verdict["proven"] > args.sessions and share >= args.full


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary", type=lambda path: str(pathlib.Path(path).resolve()))
    parser.add_argument("--sessions", type=int, default=150)
    parser.add_argument("--ramp", type=float, default=1.0, help="seconds over which they begin")
    parser.add_argument("--cut", type=float, default=0.01, help="chance that a socket is cut after a piece of text")
    parser.add_argument("--rate", type=float, default=10.0, help="tokens a second of each answer")
    parser.add_argument("--tokens", type=int, default=20, help="of each answer")
    parser.add_argument("--full", type=float, default=0.99, help="the least share of sockets that go on where they were")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        try:
            refusals(folder / "refusals")
            kept = roll(args, stack, folder)
        except BaseException:
            for log in sorted(folder.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}", file=sys.stderr)
            raise
    print(f"rolling: {'passed' if kept else 'FAILED'}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
