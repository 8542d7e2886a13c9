#!/usr/bin/env python3
"""What a gateway between a viewer and the one that writes costs: benches/cluster/run.py BINARY.

Each conversation is watched at the gateway that writes it and at another one, by one process with one clock: the delay is
from when the first has a piece of text to when the second has it. PostgreSQL and Redis are those of scripts/. What the
gateways and Redis use of the processor is theirs alone. Needs the package `websockets`.
"""

import argparse
import asyncio
import bisect
import json
import os
import subprocess
import sys
import tempfile
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


async def measure(args):
    with tempfile.TemporaryDirectory() as folder:
        scripts = [
            subprocess.Popen([ROOT / "scripts" / name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for name in ("postgres.sh", "redis.sh")
        ]
        _, database = scripts[0].stdout.readline().split()
        servers, redis = scripts[1].stdout.readline().split()
        model = await asyncio.create_subprocess_exec(
            args.binary, "mock-llm", "--rate", str(args.rate), "--tokens", str(args.tokens),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        base = (await model.stdout.readline()).decode().strip().split()[-1]
        base = base if base.endswith("/v1") else base.rstrip("/") + "/v1"
        env = {"RIVULET_LLM_BASE_URL": base, "DATABASE_URL": database, "REDIS_URL": redis}
        gateways = [await gateway(args.binary, f"{folder}/{n}", **env) for n in range(3)]
        try:
            await asyncio.sleep(2)  # Until all have found each other.
            delays, tokens = [], []
            processes = {"redis": int(servers.split("@")[0])}
            processes |= {f"gateway {n}": process.pid for n, (process, _) in enumerate(gateways)}
            before = {name: cpu(pid) for name, pid in processes.items()}
            began = asyncio.get_running_loop().time()
            addresses = [address for _, address in gateways]
            await asyncio.gather(
                *(conversation(addresses[n % 3], addresses[(n + 1) % 3], delays, tokens) for n in range(args.sessions))
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
                process.terminate()
                await process.wait()
            model.terminate()
            await model.wait()
            for script in scripts:
                script.stdin.close()
                script.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--rate", type=float, default=50, help="tokens a second")
    parser.add_argument("--tokens", type=int, default=300)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
