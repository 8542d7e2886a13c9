#!/usr/bin/env python3
"""What it costs that many gateways are one: benches/cluster/run.py BINARY delay|cost|redis|takeover.

`delay`: each conversation is watched at the gateway that writes it and at another one, by one process with one clock: from
when the first has a piece of text to when the second has it. `cost`: what a token costs the gateway that is alone, with a
database and a Redis, and, where `--before` names an older binary, that one alone, in turns. `redis`: what Redis, PostgreSQL and each of three
gateways use of the processor while so many answers are written at once, each shown at another gateway than the one that
writes it and nowhere else. `takeover`: from when a gateway
is killed to when its conversations are welcomed at another one. PostgreSQL and Redis are those of scripts/. What the gateways
and Redis use of the processor is theirs alone. Needs the package `websockets`.
"""

import argparse
import asyncio
import base64
import bisect
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import websockets

ROOT = Path(__file__).resolve().parents[2]


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


async def listening(process):
    """Where it listens, from its log."""
    while line := (await process.stderr.readline()).decode():
        if "listening on http" in line:
            asyncio.ensure_future(drain(process.stderr))
            return line.split("://", 1)[1].split()[0]
    sys.exit("a gateway does not start")


async def drain(stream):
    while await stream.readline():
        pass


async def gateway(binary, folder, **env):
    env = {
        "PATH": os.environ["PATH"],
        "RIVULET_KNOWLEDGE_ENABLED": "false",
        "RIVULET_LLM_CACHE_ENTRIES": "0",
        "RIVULET_LLM_MAX_OUTPUT_TOKENS": "100000",
        "RIVULET_TELEMETRY_LOG_LEVEL": "info",
        **env,
    }
    process = await asyncio.create_subprocess_exec(
        binary, "serve", "--bind", "127.0.0.1:0", "--data-dir", folder, env=env, stderr=subprocess.PIPE
    )
    return process, await listening(process)


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def watch(socket, pieces):
    """Notes when which end of the text was there."""
    async for message in socket:
        frame = json.loads(message)
        if frame["type"] == "delta":
            end = frame["off"] + len(frame["text"].encode("utf-16-le")) // 2
            pieces.append((end, asyncio.get_running_loop().time()))
        elif frame["type"] == "run.done":
            if frame["status"] != "complete":
                sys.exit(f"an answer is {frame['status']}")
            return
        elif frame["type"] == "error":
            sys.exit(f"refused: {frame}")


async def conversation(writer, other, delays, tokens):
    async with websockets.connect(f"ws://{writer}/api/v1/ws", max_size=None) as owner:
        session = json.loads(await owner.recv())["session"]
        await owner.send(json.dumps({"type": "send", "id": "first", "text": f"? {os.urandom(8).hex()}"}))
        await watch(owner, [])
        async with websockets.connect(f"ws://{other}/api/v1/ws/{session}", max_size=None) as guest:
            while json.loads(await guest.recv())["type"] != "snapshot":
                pass
            await owner.send(json.dumps({"type": "send", "id": "second", "text": f"? {os.urandom(8).hex()}"}))
            near, far = [], []
            await asyncio.gather(watch(owner, near), watch(guest, far))
    ends = [end for end, _ in near]
    for end, at in far:
        delays.append(at - near[bisect.bisect_left(ends, end)][1])
    tokens.append(len(near))


class Stage:
    """A model, a database and a Redis, each of its own."""

    def __init__(self, args):
        self.args = args

    async def __aenter__(self):
        args = self.args
        self.scripts = [
            subprocess.Popen([ROOT / "scripts" / name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for name in ("postgres.sh", "redis.sh")
        ]
        postgres, self.database = self.scripts[0].stdout.readline().split()
        self.postgres_pid = int(postgres.split("@")[0])
        servers, self.redis = self.scripts[1].stdout.readline().split()
        self.redis_pid = int(servers.split("@")[0])
        self.model = await asyncio.create_subprocess_exec(
            args.binary, "mock-llm", "--rate", str(args.rate), "--tokens", str(args.tokens),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        base = (await self.model.stdout.readline()).decode().strip().split()[-1]
        base = base if base.endswith("/v1") else base.rstrip("/") + "/v1"
        self.alone = {"RIVULET_LLM_BASE_URL": base}
        self.shared = {**self.alone, "DATABASE_URL": self.database, "REDIS_URL": self.redis}
        return self

    async def __aexit__(self, *_):
        self.model.terminate()
        await self.model.wait()
        for script in self.scripts:
            script.stdin.close()
            script.wait()


async def end(process):
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def delay(args):
    with tempfile.TemporaryDirectory() as folder:
        async with Stage(args) as stage:
            gateways = [await gateway(args.binary, f"{folder}/{n}", **stage.shared) for n in range(3)]
            try:
                await asyncio.sleep(2)  # Until all have found each other.
                delays, tokens = [], []
                processes = {"redis": stage.redis_pid}
                processes |= {f"gateway {n}": process.pid for n, (process, _) in enumerate(gateways)}
                before = {name: cpu(pid) for name, pid in processes.items()}
                began = asyncio.get_running_loop().time()
                addresses = [address for _, address in gateways]
                await asyncio.gather(
                    *(conversation(addresses[n % 3], addresses[(n + 1) % 3], delays, tokens)
                      for n in range(args.sessions))
                )
                took = asyncio.get_running_loop().time() - began
                milliseconds = [1000 * delay for delay in delays]
                print(
                    f"{args.sessions} conversations, {2 * sum(tokens) / took:.0f} pieces/s in all: "
                    f"added delay p50 {quantile(milliseconds, 0.5):.1f} ms, p99 {quantile(milliseconds, 0.99):.1f} ms"
                )
                for name, pid in processes.items():
                    print(f"{name}: {(cpu(pid) - before[name]) / took:.3f} cores")
            finally:
                for process, _ in gateways:
                    await end(process)


async def answers(address, sessions):
    """So many answers at once; how many pieces of text came."""

    async def one():
        async with websockets.connect(f"ws://{address}/api/v1/ws", max_size=None) as socket:
            await socket.recv()
            await socket.send(json.dumps({"type": "send", "id": "first", "text": f"? {os.urandom(8).hex()}"}))
            pieces = []
            await watch(socket, pieces)
            return len(pieces)

    return sum(await asyncio.gather(*(one() for _ in range(sessions))))


async def cost(args):
    with tempfile.TemporaryDirectory() as folder:
        async with Stage(args) as stage:
            kinds = {"alone": (args.binary, stage.alone), "one of many": (args.binary, stage.shared)}
            if args.before:
                kinds["alone, before"] = (args.before, stage.alone)
            gateways = {}
            try:
                for name, (binary, env) in kinds.items():
                    gateways[name] = await gateway(binary, f"{folder}/{name}", **env)
                    await answers(gateways[name][1], 10)  # Warm.
                spent = {name: [] for name in kinds}
                for _ in range(args.rounds):
                    for name, (process, address) in gateways.items():
                        before = cpu(process.pid)
                        tokens = await answers(address, args.sessions)
                        spent[name].append(1e6 * (cpu(process.pid) - before) / tokens)
            finally:
                for process, _ in gateways.values():
                    await end(process)
            base = statistics.median(spent["alone"])
            for name, all_rounds in spent.items():
                here = statistics.median(all_rounds)
                print(f"{name}: {here:.1f} µs of a core for a piece of text, {here / base:.3f} times alone")


class Reader:
    """A socket whose text is passed over as cheaply as can be: thousands of pieces a second are no measure of a client."""

    @classmethod
    async def at(cls, address, session):
        self = cls()
        host, port = address.split(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.writer.write(
            f"GET /api/v1/ws/{session} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        await self.until(b'"type":"snapshot"')
        return self

    async def until(self, mark):
        tail = b""
        while mark not in tail:
            read = await self.reader.read(1 << 16)
            if not read or b'"type":"error"' in read:
                sys.exit(f"a socket does not go on: {tail + read}")
            tail = tail[-1000:] + read

    async def ask(self):
        text = json.dumps({"type": "send", "id": "second", "text": f"? {os.urandom(8).hex()}"}).encode()
        assert len(text) < 126, "a short frame"
        self.writer.write(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)  # Masked by zeros, which change nothing.
        await self.until(b'"type":"run.done"')


def mirrors(addresses):
    """How many conversations are shown at another gateway than their own."""
    count = 0
    for address in addresses:
        with urllib.request.urlopen(f"http://{address}/metrics") as told:
            lines = told.read().decode().splitlines()
        count += sum(float(line.split()[1]) for line in lines if line.startswith("cluster_mirrors "))
    return int(count)


def cpu_of_all(pid):
    """With the processes that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return cpu(pid) + sum(cpu(child) for child in children if Path(f"/proc/{child}").exists())


async def redis(args):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory() as folder:
        async with Stage(args) as stage:
            gateways = [await gateway(args.binary, f"{folder}/{n}", **stage.shared) for n in range(3)]
            addresses = [address for _, address in gateways]
            processes = {"redis": stage.redis_pid, "postgres": stage.postgres_pid, "model": stage.model.pid}
            processes |= {f"gateway {n}": process.pid for n, (process, _) in enumerate(gateways)}
            try:
                await asyncio.sleep(2)  # Until all have found each other.
                some, readers = asyncio.Semaphore(20), []

                async def begin(n):
                    async with some, websockets.connect(f"ws://{addresses[n % 3]}/api/v1/ws", max_size=None) as owner:
                        session = json.loads(await owner.recv())["session"]
                        # A conversation is there for others when something was said in it.
                        await owner.send(json.dumps({"type": "send", "id": "first", "text": f"? {os.urandom(8).hex()}"}))
                        while json.loads(await owner.recv())["type"] != "delta":
                            pass
                        await owner.send(json.dumps({"type": "stop"}))
                        while json.loads(await owner.recv())["type"] != "run.done":
                            pass
                        readers.append(await Reader.at(addresses[(n + 1) % 3], session))

                await asyncio.gather(*(begin(n) for n in range(args.sessions)))

                async def use(seconds):
                    before = {name: cpu_of_all(pid) for name, pid in processes.items()}
                    began = time.monotonic()
                    await seconds
                    took = time.monotonic() - began
                    return took, {name: (cpu_of_all(pid) - before[name]) / took for name, pid in processes.items()}

                _, at_rest = await use(asyncio.sleep(5))
                elsewhere = mirrors(addresses)
                took, busy = await use(asyncio.gather(*(reader.ask() for reader in readers)))
                for reader in readers:
                    reader.writer.close()
                print(
                    f"{args.sessions} answers of {args.tokens} tokens at once, {elsewhere} shown elsewhere: in {took:.1f} s, "
                    f"{args.sessions * args.tokens / took:.0f} tokens/s of {args.sessions * args.rate:.0f}"
                )
                for name, cores in busy.items():
                    print(f"{name}: {cores:.3f} cores, at rest {at_rest[name]:.3f}")
            finally:
                for process, _ in gateways:
                    await end(process)


async def takeover(args):
    took = []
    with tempfile.TemporaryDirectory() as folder:
        async with Stage(args) as stage:
            other, address = await gateway(args.binary, f"{folder}/other", **stage.shared)
            try:
                for n in range(args.rounds):
                    one, lost = await gateway(args.binary, f"{folder}/{n}", **stage.shared)
                    await asyncio.sleep(2)
                    took += await lose(one, lost, address, args.sessions)
            finally:
                await end(other)
    print(f"{len(took)} conversations of {args.rounds} gateways that were killed: "
          f"welcomed elsewhere after p50 {quantile(took, 0.5):.2f} s, p99 {quantile(took, 0.99):.2f} s")


async def lose(process, lost, other, sessions):
    async def begin():
        socket = await websockets.connect(f"ws://{lost}/api/v1/ws", max_size=None)
        session = json.loads(await socket.recv())["session"]
        await socket.send(json.dumps({"type": "send", "id": "first", "text": f"? {os.urandom(8).hex()}"}))
        while json.loads(await socket.recv())["type"] != "delta":
            pass
        return socket, session

    begun = await asyncio.gather(*(begin() for _ in range(sessions)))
    process.kill()
    killed = asyncio.get_running_loop().time()
    await process.wait()

    async def come_back(session):
        while True:
            try:
                async with websockets.connect(f"ws://{other}/api/v1/ws/{session}", max_size=None) as socket:
                    if json.loads(await socket.recv())["type"] == "welcome":
                        return asyncio.get_running_loop().time() - killed
            except (OSError, websockets.WebSocketException):
                await asyncio.sleep(0.25)

    back = await asyncio.gather(*(come_back(session) for _, session in begun))
    for socket, _ in begun:
        await socket.close()
    return back


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary")
    parser.add_argument("what", choices=("delay", "cost", "redis", "takeover"))
    parser.add_argument("--before", help="an older binary, for `cost`")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5, help="for `cost` and `takeover`")
    parser.add_argument("--rate", type=float, default=50, help="tokens a second")
    parser.add_argument("--tokens", type=int, default=300)
    args = parser.parse_args()
    asyncio.run({"delay": delay, "cost": cost, "redis": redis, "takeover": takeover}[args.what](args))


if __name__ == "__main__":
    main()
