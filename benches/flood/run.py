"""What neighbours notice while somebody floods a gateway, or is slow on thousands of connections.

    run.py RIVULET_BINARY [--only floods,slow] [--seconds N] [--connections N]

Prints tables in Markdown. Everything runs on this machine: the gateway, the model's server, twenty neighbours who ask and
read, and who floods. Neighbours come from another address than the flood. Needs `slowhttptest` for what is slow.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from place import place

HERE = pathlib.Path(__file__).parent
NEIGHBOURS = 20
# Neighbours are there before a flood begins, and begin one after the other.
SETTLED_AFTER_S = 3
FLOODS = ("requests", "sign-ins", "sockets", "messages", "uploads")
SLOW = {
    "heads": ["-H", "-i", "5", "-x", "24"],
    "bodies": ["-B", "-i", "5", "-x", "24", "-s", "8192", "-f", "application/json"],
    "reading": ["-X", "-w", "1", "-y", "16", "-n", "5", "-z", "8", "-k", "10"],
    "ranges": ["-R", "-a", "5", "-b", "2000"],
}
# After the longest of the gateway's times for what is slow.
RELEASED_WITHIN_S = 110


class Watch(threading.Thread):
    """The most memory and files that the gateway has while this is open."""

    def __init__(self, process):
        super().__init__(daemon=True)
        self.process, self.over = process, threading.Event()
        self.memory, self.files = process.memory(), process.files()
        self.start()

    def run(self):
        while not self.over.wait(0.1):
            self.memory = max(self.memory, self.process.memory())
            self.files = max(self.files, self.process.files())

    def end(self):
        self.over.set()
        self.join()
        return self.memory, self.files


class Neighbours:
    """A process in which they are, and what they saw."""

    def __init__(self, gateway, tokens, seconds):
        program = [sys.executable, HERE / "neighbours.py", gateway.url(""), str(seconds), *tokens]
        self.child = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        time.sleep(SETTLED_AFTER_S)

    def seen(self):
        told, _ = self.child.communicate()
        return json.loads(told)


def calm(gateway, tokens, seconds):
    """What they see when nothing else goes on, and what that costs."""
    neighbours = Neighbours(gateway, tokens, seconds + SETTLED_AFTER_S)
    before = gateway.process.cpu()
    time.sleep(seconds)
    cost = gateway.process.cpu() - before
    return neighbours.seen(), cost / seconds


def figures(seen):
    def pair(name):
        one = seen[name]
        return "–" if one["p50"] is None else f"{one['p50']:.0f} / {one['p99']:.0f}"

    def exact(name):
        one = seen[name]
        return "–" if one["p50"] is None else f"{one['p50']:.1f} / {one['p99']:.0f} / {one['max']:.0f}"
    failed = len(seen["failed"])
    if failed:
        print(f"flood: {failed} neighbours failed, the first: {seen['failed'][0]}", file=sys.stderr)
    return f"{pair('first')} | {pair('whole')} | {exact('livez')} | {failed} of {seen['answers'] + failed}"


def flood(binary, kind, is_counted, seconds):
    with tempfile.TemporaryDirectory() as folder, place(binary, pathlib.Path(folder), knows=kind == "uploads") as gateway:
        tokens = [gateway.token(f"quiet-{at}") for at in range(NEIGHBOURS)]
        greedy = gateway.token("greedy", *([] if is_counted else ["chat", "knowledge:write", "unlimited"]))
        usual, idle = calm(gateway, tokens, seconds)
        if is_counted and kind in (FLOODS[0], FLOODS[-1]):
            print(f"| none{', with knowledge' if kind == FLOODS[-1] else ''} | | {figures(usual)} | {idle * 100:.0f} % | | |", flush=True)
        neighbours = Neighbours(gateway, tokens, seconds + SETTLED_AFTER_S)
        watch, before, cpu = Watch(gateway.process), gateway.process.memory(), gateway.process.cpu()
        began = time.monotonic()
        done = subprocess.run([sys.executable, HERE / "floods.py", kind, gateway.host, str(seconds - 1), greedy],
                              capture_output=True, text=True, check=True)
        cpu, took = gateway.process.cpu() - cpu, time.monotonic() - began
        seen, (peak, _) = neighbours.seen(), watch.end()
        became = json.loads(done.stdout)
        sent = became.pop("sent")
        each = max(0, cpu - idle * took) / max(1, sent) * 1e6
        what = ", ".join(f"{count:,} {name}" for name, count in sorted(became.items(), key=lambda pair: -pair[1])[:3])
        name = f"{kind}, {'beyond the limits' if is_counted else 'without limits'}"
        print(f"| {name} | {sent / took:,.0f} a second: {what} | {figures(seen)} "
              f"| {cpu / took * 100:.0f} % | {each:.0f} µs | {before:.0f} → {peak:.0f} MB |", flush=True)


def large_file(gateway):
    """The script of the page, which is the largest thing that everybody may read."""
    with urllib.request.urlopen(gateway.url("/"), context=gateway.context()) as page:
        script = re.search(rb'src="\.?(/assets/[^"]+)"', page.read())[1].decode()
    return gateway.url(script)


def slow(binary, kind, has_tls, of_one, connections, seconds):
    # slowhttptest comes from one address. Whoever has a whole network of them is as good as one without a bound, and where
    # nobody needs a token a body is waited for, which it cannot bring.
    with tempfile.TemporaryDirectory() as folder, \
            place(binary, pathlib.Path(folder), is_open=True, has_tls=has_tls, CONNECTIONS_PER_IP=of_one, REQUESTS=0) as gateway:
        tokens = [gateway.token(f"quiet-{at}") for at in range(NEIGHBOURS)]
        url = gateway.url("/api/v1/chat") if kind == "bodies" else large_file(gateway)
        neighbours = Neighbours(gateway, tokens, seconds + SETTLED_AFTER_S)
        watch, before, files = Watch(gateway.process), gateway.process.memory(), gateway.process.files()
        cpu = gateway.process.cpu()
        program = ["slowhttptest", *SLOW[kind], "-c", str(connections), "-r", str(connections // 2), "-l", str(seconds),
                   "-p", "5", "-u", url, "-v", "0"]
        subprocess.run(program, capture_output=True, check=False, cwd=folder)
        cpu = gateway.process.cpu() - cpu
        seen, (peak, most) = neighbours.seen(), watch.end()
        began = time.monotonic()
        while gateway.process.files() > files - NEIGHBOURS and time.monotonic() - began < RELEASED_WITHIN_S:
            time.sleep(0.2)
        name = f"slow {kind}{', TLS' if has_tls else ''}, {f'{of_one} of an address' if of_one else 'no bound of an address'}"
        print(f"| {name} | {most - files:,} | {figures(seen)} | {cpu / seconds * 100:.0f} % "
              f"| {before:.0f} → {peak:.0f} → {gateway.process.memory():.0f} MB |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--only", default="floods,slow")
    parser.add_argument("--kinds", default=",".join((*FLOODS, *SLOW)))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--connections", type=int, default=2000)
    options = parser.parse_args()
    binary, kinds = options.binary.resolve(), options.kinds.split(",")
    times = "first text, ms: p50 / p99 | whole answer | `/livez`: p50 / p99 / most | failed"
    if "floods" in options.only:
        print(f"| flood | sent | {times} | CPU | each | memory |\n|---|---|---|---|---|---|---|---|---|")
        for kind in filter(kinds.__contains__, FLOODS):
            for is_counted in (True, False):
                if kind != "sign-ins" or is_counted:
                    flood(binary, kind, is_counted, options.seconds)
    if "slow" in options.only:
        print(f"\n| {options.connections:,} connections | held | {times} | CPU | memory before → most → after |\n"
              "|---|---|---|---|---|---|---|---|")
        for kind in filter(kinds.__contains__, SLOW):
            for has_tls in (False, True):
                for of_one in (100, 0):
                    slow(binary, kind, has_tls, of_one, options.connections, options.seconds)


if __name__ == "__main__":
    main()
