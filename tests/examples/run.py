"""The clients of examples/clients, as they are, against the real gateway.

    run.py RIVULET_BINARY FOLDER-OF-THE-RUST-EXAMPLES

Everybody has to say who they are there, and may make six requests in six seconds. Between the clients and the gateway
stands a relay that cuts connections in the middle of answers. Exits with 1 when a client lost or doubled a character, did
not wait when told to, asked something twice, or did not end as it should. NODE names the program of Node.js.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import random
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import traceback
import urllib.error
import urllib.request

CLIENTS = pathlib.Path(__file__).resolve().parents[2] / "examples" / "clients"
REQUESTS = 6
PATIENCE_S = 60
QUESTION = "How long can I return a tent?"
DELTA = b'"type":"delta"'


def check(kept, what):
    if not kept:
        raise AssertionError(what)


class Programs:
    """A gateway and its model, ended when this is over."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.running = binary, folder, contextlib.ExitStack()
        self.environment = {"PATH": os.environ["PATH"], "HOME": folder, "NO_COLOR": "1"}

    def start(self, *arguments, **settings):
        """Starts one and returns the address that it tells."""
        log = open(os.path.join(self.folder, f"{arguments[0]}.log"), "w+b")
        program = subprocess.Popen(
            [self.binary, *arguments], stdout=log, stderr=log, env=self.environment | settings, cwd=self.folder
        )
        self.running.callback(log.close)
        self.running.callback(program.wait)
        self.running.callback(program.terminate)
        while True:
            log.seek(0)
            said = log.read().decode()
            if found := re.search(r"(?:listening on|mock model at) (http://127\.0\.0\.1:\d+)", said):
                return found.group(1)
            check(program.poll() is None, f"{arguments} ended: {said}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(0.1)

    def say(self, *arguments, **settings):
        done = subprocess.run(
            [self.binary, *arguments], env=self.environment | settings, cwd=self.folder, stdout=subprocess.PIPE, check=True
        )
        return done.stdout.decode().strip()


class Relay:
    """Passes everything on to the gateway, but for what it is told to break."""

    def __init__(self, port):
        self.port = port
        self.cuts = 0  # Connections that are still to be cut in the middle of an answer,
        self.after = 0  # the next one after so many pieces of its text.
        self.drops = 0  # Answers that are still to be lost whole.
        self.refusals = 0  # 429s that were passed on.

    async def serve(self, reader, writer):
        there = await asyncio.open_connection("127.0.0.1", self.port)
        up = asyncio.create_task(self.up(reader, there[1]))
        with contextlib.suppress(OSError):
            await self.down(there[0], writer, [there[1], writer])
        up.cancel()
        for one in (there[1], writer):
            one.close()

    async def up(self, reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.write_eof()

    async def down(self, reader, writer, both):
        deltas = 0
        while data := await reader.read(65536):
            deltas += data.count(DELTA)
            self.refusals += data.startswith(b"HTTP/1.1 429")
            if self.drops and data.startswith(b"HTTP/1.1 200"):
                self.drops -= 1
                return [one.transport.abort() for one in both]
            if self.cuts and deltas >= self.after:
                self.cuts, self.after = self.cuts - 1, 1  # What is left may come as a single piece.
                writer.write(data[: random.randrange(len(data))])
                await asyncio.sleep(0.05)  # So that what was written arrives before the reset.
                return [one.transport.abort() for one in both]
            writer.write(data)
            await writer.drain()


class Bench:
    """What a check of one language needs."""

    def __init__(self, programs, gateway, secret, relay, relay_url, language, command):
        self.programs, self.gateway, self.secret, self.relay = programs, gateway, secret, relay
        self.relay_url, self.language, self.command = relay_url, language, command

    def token(self, what):
        """Of a user whom nobody else is, in the tenant of the language."""
        arguments = ("--user", f"{what}", "--tenant", self.language, "--expires", "1h")
        return self.programs.say("token", *arguments, JWT_SECRET_KEY=self.secret)

    async def start(self, token, program, *arguments):
        environment = {"PATH": os.environ["PATH"], "HOME": self.programs.folder, "NO_PROXY": "*", "no_proxy": "*"}
        # Where scripts/with-node.sh looks.
        environment |= {name: os.environ[name] for name in ["RIVULET_CACHE"] if name in os.environ}
        return await asyncio.create_subprocess_exec(
            *self.command(program), *arguments,
            env=environment | {"RIVULET_URL": self.relay_url, "RIVULET_TOKEN": token},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            # Who starts this in the background may have it ignored, and what is ignored from the start no shell can trap.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip

    async def end(self, program, status=0):
        out, err = await asyncio.wait_for(program.communicate(), PATIENCE_S)
        check((program.returncode == 0) == (status == 0), f"ended with {program.returncode}: {out.decode()} {err.decode()}")
        return out.decode(), err.decode()

    async def run(self, token, program, *arguments, status=0):
        return await self.end(await self.start(token, program, *arguments), status)

    async def get(self, token, path):
        """The answer of the gateway itself, with patience."""
        def ask():
            request = urllib.request.Request(f"{self.gateway}/api/v1/{path}", headers={"Authorization": f"Bearer {token}"})
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            try:
                with opener.open(request, timeout=PATIENCE_S) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as refused:
                return refused.code, json.load(refused)
        for _ in range(PATIENCE_S):
            status, body = await asyncio.to_thread(ask)
            if status != 429:
                return status, body
            await asyncio.sleep(1)
        raise AssertionError("refused for a minute")

    async def stored(self, token):
        """The only conversation of the user."""
        _, page = await self.get(token, "sessions")
        check(len(page["sessions"]) == 1, f"there are {len(page['sessions'])} conversations")
        _, session = await self.get(token, f"sessions/{page['sessions'][0]['session_id']}")
        question, answer = session["messages"]
        check((question["role"], question["text"]) == ("user", QUESTION), f"the question is {question}")
        return answer


async def asking(bench):
    """a question is asked once, though the answer was lost, and who has asked too often waits"""
    token = bench.token("asking")
    spent = asyncio.Event()

    async def flood():
        """Uses up what the user may ask, again and again, until the client has felt it."""
        while bench.relay.refusals == 0:
            if await asyncio.to_thread(status_of, bench.gateway, token) == 429:
                spent.set()

    bench.relay.refusals, bench.relay.drops = 0, 1
    flooding = asyncio.create_task(flood())
    await spent.wait()
    out, _ = await bench.run(token, "ask", QUESTION)
    flooding.cancel()
    check(bench.relay.refusals > 0, "it was never refused")
    check(bench.relay.drops == 0, "no answer was lost")
    answer = await bench.stored(token)
    check(out.startswith(f"{answer['text']}\n("), f"it printed {out!r}")


def status_of(gateway, token):
    request = urllib.request.Request(f"{gateway}/api/v1/jobs", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=PATIENCE_S) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


async def streaming(bench):
    """an answer whose connections were cut is printed whole, nothing twice"""
    token = bench.token("streaming")
    bench.relay.cuts, bench.relay.after = 3, 5
    out, err = await bench.run(token, "stream", QUESTION)
    check(bench.relay.cuts == 0, f"{bench.relay.cuts} cuts are left")
    answer = await bench.stored(token)
    check(out == f"{answer['text']}\n(complete)\n", f"it printed {out!r}, stored is {answer['text']!r}; {err}")


async def stopping(bench):
    """Ctrl-C stops the answer, and what was written stays"""
    token = bench.token("stopping")
    program = await bench.start(token, "stream", QUESTION)
    begun = await asyncio.wait_for(program.stdout.read(20), PATIENCE_S)
    os.killpg(program.pid, signal.SIGINT)  # As a terminal does.
    out, _ = await bench.end(program)
    answer = await bench.stored(token)
    check(answer["status"] == "stopped", f"it ended as {answer['status']}")
    check(begun.decode() + out == f"{answer['text']}\n(stopped)\n", f"it printed {out!r}, stored is {answer['text']!r}")


async def documents(bench):
    """a document is added, followed until it is found, and cited"""
    token = bench.token("documents")
    path = pathlib.Path(bench.programs.folder) / f"{bench.language}.md"
    path.write_text(f"# Parking of {bench.language}\n\nThe {bench.language} car park opens at seven.\n")
    out, err = await bench.run(token, "document", str(path), "When does the car park open?")
    check("done" in err, f"the job was not followed: {err!r}")
    check(f"[1] Parking of {bench.language}" in out, f"the document is not cited: {out!r}")
    out, err = await bench.run(token, "document", str(path), "When does the car park open?")
    check(f"[1] Parking of {bench.language}" in out, f"the same document again is not cited: {out!r}")


async def leaving(bench):
    """a token that was taken back opens nothing, and that is said and not tried again"""
    token = bench.token("leaving")
    await bench.run(token, "sign-out")
    check((await bench.get(token, "sessions"))[0] == 401, "the token is still good")
    for program in ("ask", "stream"):
        _, err = await bench.run(token, program, QUESTION, status=1)
        check("unauthenticated" in err, f"{program} says {err!r}")


LANGUAGES = {
    "curl": lambda program: [str(CLIENTS / "curl" / f"{program}.sh")],
    "javascript": lambda program: [*os.environ["NODE"].split(), str(CLIENTS / "javascript" / f"{program}.mjs")],
    "python": lambda program: [sys.executable, str(CLIENTS / "python" / f"{program.replace('-', '_')}.py")],
    "rust": lambda program: [os.path.join(sys.argv[2], program.replace("-", "_"))],
}


async def main(binary):
    with tempfile.TemporaryDirectory() as folder:
        programs = Programs(binary, folder)
        with programs.running:
            model = programs.start("mock-llm", "--rate", "40", "--tokens", "90")
            secret = secrets.token_hex(32)
            pathlib.Path(folder, "rivulet.toml").touch()
            gateway = programs.start(
                "serve", "--bind", "127.0.0.1:0", "--data-dir", os.path.join(folder, "data"),
                REQUIRE_AUTHENTICATION="true", JWT_SECRET_KEY=secret, OPENAI_BASE_URL=f"{model}/v1",
                RIVULET_LLM_CACHE_ENTRIES="0", RATE_LIMIT_REQUESTS=str(REQUESTS), RATE_LIMIT_WINDOW=str(REQUESTS),
                RIVULET_KNOWLEDGE_MODEL_DIR=os.environ["RIVULET_KNOWLEDGE_MODEL_DIR"], RIVULET_KNOWLEDGE_MIN_SCORE="0",
            )  # fmt: skip
            relay = Relay(int(gateway.rsplit(":", 1)[1]))
            server = await asyncio.start_server(relay.serve, "127.0.0.1", 0)
            relay_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            passed = failed = 0
            for language, command in LANGUAGES.items():
                bench = Bench(programs, gateway, secret, relay, relay_url, language, command)
                for one in (asking, streaming, stopping, documents, leaving):
                    relay.cuts = relay.drops = 0
                    try:
                        await one(bench)
                        passed += 1
                        print(f"ok: {language}: {one.__doc__}", flush=True)
                    except Exception:
                        failed += 1
                        print(f"FAILED: {language}: {one.__doc__}\n{traceback.format_exc()}", flush=True)
            server.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: run.py RIVULET_BINARY FOLDER-OF-THE-RUST-EXAMPLES")
    sys.exit(asyncio.run(main(os.path.realpath(sys.argv[1]))))
