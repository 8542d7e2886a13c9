#!/usr/bin/env python3
"""From `send` to `ack` with SQLite and with PostgreSQL: benches/store/run.py BINARY.

Both gateways run at once and are asked in turns, so that what else the machine does falls on both. The model answers one
token at once. PostgreSQL is scripts/postgres.sh's, on the same disk, with fsync. Needs the package `websockets`.
"""

import argparse
import asyncio
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
    while True:
        line = (await process.stderr.readline()).decode()
        if not line:
            sys.exit("a gateway does not start")
        if "listening on http" in line:
            address = line.split("://", 1)[1].split()[0]
            asyncio.ensure_future(drain(process.stderr))
            return address


async def drain(stream):
    while await stream.readline():
        pass


async def gateway(binary, folder, model, **env):
    env = {
        "PATH": os.environ["PATH"],
        "RIVULET_KNOWLEDGE_ENABLED": "false",
        "RIVULET_LLM_BASE_URL": model,
        "RIVULET_LLM_CACHE_ENTRIES": "0",
        "RIVULET_TELEMETRY_LOG_LEVEL": "info",
        **env,
    }
    process = await asyncio.create_subprocess_exec(
        binary, "serve", "--bind", "127.0.0.1:0", "--data-dir", folder, env=env, stderr=subprocess.PIPE
    )
    return process, await listening(process)


async def talk(address, messages, acks):
    """One conversation: a question, its ack, its answer, the next one."""
    async with websockets.connect(f"ws://{address}/api/v1/ws", max_size=None) as socket:
        for number in range(messages):
            said = asyncio.get_running_loop().time()
            await socket.send(json.dumps({"type": "send", "id": f"q{number}", "text": f"? {os.urandom(8).hex()}"}))
            acked = False
            while True:
                frame = json.loads(await socket.recv())
                if frame["type"] == "ack":
                    acks.append(asyncio.get_running_loop().time() - said)
                    acked = True
                elif frame["type"] == "error":
                    sys.exit(f"refused: {frame}")
                elif frame["type"] == "run.done" and acked:
                    break


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(args):
    with tempfile.TemporaryDirectory() as folder:
        script = subprocess.Popen(
            [ROOT / "scripts/postgres.sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        _, url = script.stdout.readline().split()
        model = await asyncio.create_subprocess_exec(
            args.binary, "mock-llm", "--rate", "0", "--tokens", "1", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        base = (await model.stdout.readline()).decode().strip().split()[-1]
        base = base if base.endswith("/v1") else base.rstrip("/") + "/v1"
        stores = {
            "SQLite": await gateway(args.binary, f"{folder}/sqlite", base),
            "PostgreSQL": await gateway(args.binary, f"{folder}/postgres", base, DATABASE_URL=url),
        }
        try:
            print(f"{'writers':>8} {'store':<12} {'p50 ms':>8} {'p99 ms':>8} {'gateway µs/message':>20}")
            for writers, messages in [(1, args.messages), (100, max(args.messages // 20, 2))]:
                told = {}
                for name in list(stores) * args.rounds:
                    process, address = stores[name]
                    acks, used = told.setdefault(name, ([], [0.0]))
                    before = cpu(process.pid)
                    await asyncio.gather(*(talk(address, messages, acks) for _ in range(writers)))
                    used[0] += cpu(process.pid) - before
                for name, (acks, used) in told.items():
                    milliseconds = [1000 * ack for ack in acks]
                    print(
                        f"{writers:>8} {name:<12} {quantile(milliseconds, 0.5):>8.2f} {quantile(milliseconds, 0.99):>8.2f}"
                        f" {1e6 * used[0] / len(acks):>20.0f}"
                    )
                medians = [quantile(acks, 0.5) for acks, _ in told.values()]
                print(f"{writers:>8} PostgreSQL takes {medians[1] / medians[0]:.2f} times as long")
        finally:
            for process, _ in stores.values():
                process.terminate()
                await process.wait()
            model.terminate()
            await model.wait()
            script.stdin.close()
            script.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary")
    parser.add_argument("--messages", type=int, default=200, help="of one writer in a round; of a hundred, a twentieth each")
    parser.add_argument("--rounds", type=int, default=3)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
