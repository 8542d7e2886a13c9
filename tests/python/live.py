"""The installed package against the real gateway. Between them stands a relay that breaks connections at random.

    live.py OPEN-GATEWAY GUARDED-GATEWAY MODEL RIVULET_BINARY

Exits with 1 when a text was not that of the gateway, something was asked twice, or an end was not as promised. RIVULET_SEED
repeats a run. JWT_SECRET_KEY is that of the guarded gateway.
"""

import asyncio
import contextlib
import gc
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import tracemalloc
import urllib.request

import rivulet_client as rivulet
from rivulet_client import backoff, sync

PATIENCE_S = 60
QUESTION = "What is a rivulet?"
LETTER = 'say "I can write it." and call sanction_letter {"name":"Asha Rao","principal":500000,"months":36} then say "Here 🌧️."'


def check(kept, what):
    if not kept:
        raise AssertionError(what)


class Relay:
    """Passes everything on, and resets each connection after a random number of bytes."""

    def __init__(self, url, chance, longest):
        self.port = int(url.rsplit(":", 1)[1])
        self.chance, self.longest, self.cuts = chance, longest, 0
        self.is_on = True

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def serve(self, reader, writer):
        there_reader, there = await asyncio.open_connection("127.0.0.1", self.port)
        budget = [self.chance.randrange(1, self.longest)]

        async def passing(source, sink):
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    budget[0] -= len(data)
                    if budget[0] <= 0 and self.is_on:
                        sink.write(data[: self.chance.randrange(len(data))])
                        await asyncio.sleep(0)  # So that what was written is on its way before the reset.
                        self.cuts += 1
                        return
                    sink.write(data)
                    await sink.drain()

        both = [asyncio.create_task(passing(reader, there)), asyncio.create_task(passing(there_reader, writer))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for one in both:
            one.cancel()
        for one in (there, writer):
            one.transport.abort()


class Held:
    """What a caller makes of the events, by the simplest rules."""

    def __init__(self):
        self.text, self.done, self.starts = "", None, 0

    def take(self, event):
        check(self.done is None, f"{event} after the end")
        if isinstance(event, rivulet.Delta):
            check(event.at == len(self.text), f"a piece at {event.at}, held are {len(self.text)}")
            self.text += event.text
        elif isinstance(event, rivulet.Withdrawn):
            self.text = self.text[: event.keep]
        elif isinstance(event, rivulet.Started):
            self.starts += 1
        elif isinstance(event, rivulet.RunDone):
            self.done = event


class Bench:
    def __init__(self, url, guarded, model, binary, chance):
        self.url, self.guarded, self.model, self.binary, self.chance = url, guarded, model, binary, chance

    def token(self, user, *more):
        with tempfile.TemporaryDirectory() as folder:
            command = [self.binary, "token", "--user", user, *more]
            # Variables of the tests are no settings of the gateway.
            environment = {name: os.environ[name] for name in ("PATH", "JWT_SECRET_KEY")}
            done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, check=True)
            return done.stdout.decode().strip()

    def ticket(self, token):
        request = urllib.request.Request(f"{self.guarded}/api/v1/tickets", b"", {"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)["ticket"]


async def stored(client, session, answer):
    """The gateway's own text of an answer."""
    messages = await client.messages(session, limit=200)
    found = [one for one in messages if one.id == answer.message]
    check(len(found) == 1, f"the answer is stored {len(found)} times")
    return messages, found[0]


async def cutting(bench):
    """answers whose connections are cut at any byte are whole, each piece once, and asked once"""
    async with Relay(bench.url, bench.chance, 3000) as relay:

        async def one(number):
            async with rivulet.Client(relay.url) as client, client.session() as session:
                for round in range(3):
                    held, id = Held(), f"q-{number}-{round}"
                    async for event in session.stream(QUESTION, id=id):
                        held.take(event)
                    check(held.done.proven and held.done.status == "complete", f"it ended as {held.done}")
                    check(held.text == held.done.text and held.starts == 1, "the pieces are not the text")
                    async with rivulet.Client(bench.url) as straight:
                        messages, answer = await stored(straight, session.id, held.done)
                    check(answer.text == held.text, f"stored is {answer.text!r}, held {held.text!r}")
                    check([one.id for one in messages if one.role == "user"].count(id) == 1, "it was asked twice")

        await asyncio.gather(*(one(number) for number in range(8)))
        check(relay.cuts > 20, f"there were {relay.cuts} cuts only")
        print(f"    {relay.cuts} cuts in 24 answers", flush=True)


async def repeating(bench):
    """the same id gives the same answer, from another process too, while it is written and afterwards"""
    async with rivulet.Client(bench.url) as client, client.session() as first:
        running = asyncio.create_task(first.ask(QUESTION, id="same"))
        stream = client.session(first.id)
        async with stream as second:
            await asyncio.sleep(0.2)
            again = await second.ask(QUESTION, id="same")
            answer = await running
            later = await second.ask(QUESTION, id="same")
        for one in (again, later):
            same = [(each.text, each.status, each.message, each.run) for each in (answer, one)]
            check(same[0] == same[1], f"{same[0]} is not {same[1]}")
        check(len(await client.messages(first.id)) == 2, "it was asked again")
        with contextlib.suppress(rivulet.Refused):
            await first.ask("Something else", id="same")
            raise AssertionError("another text with the same id was taken")


async def leaving(bench):
    """stop, break, and being cancelled end the answer; what was written stays"""
    before = asyncio.all_tasks()
    async with rivulet.Client(bench.url) as client:

        async def first_piece(stream):
            async for event in stream:
                if isinstance(event, rivulet.Delta):
                    break

        async def by_stop(session):
            stream, held = session.stream(QUESTION), Held()
            async for event in stream:
                held.take(event)
                if len(held.text) > 20:
                    await stream.stop()
            check(held.done.status == "stopped" and held.text == held.done.text, f"it ended as {held.done}")

        async def by_break(session):
            async with session.stream(QUESTION) as stream:
                await first_piece(stream)

        async def by_cancelling(session):
            task = asyncio.create_task(session.ask(QUESTION))
            await asyncio.sleep(0.3)
            task.cancel()
            check((await asyncio.gather(task, return_exceptions=True))[0].__class__ is asyncio.CancelledError, "not cancelled")

        async def by_closing(session):
            await first_piece(session.stream(QUESTION))  # The session is closed right behind it.

        for leave in (by_stop, by_break, by_cancelling, by_closing):
            async with client.session() as session:
                await leave(session)
            for _ in range(100):
                last = (await client.messages(session.id))[-1]
                if last.role == "assistant" and last.status != "pending":
                    break
                await asyncio.sleep(0.05)
            check(last.status == "stopped", f"{leave.__name__}: it is {last.status}")
    await asyncio.sleep(0.1)
    left = asyncio.all_tasks() - before
    check(not left, f"tasks are left: {left}")


async def another_way(bench):
    """edit, regenerate, feedback, queue and replace"""
    async with rivulet.Client(bench.url) as client, client.session() as session:
        first = await session.ask(QUESTION, id="one")
        again = await session.regenerate().answer()
        check(again.message != first.message and again.text, "nothing was written anew")
        edited = await session.edit("one", "And what is a brook?", id="two").answer()
        await session.feedback(edited.message, -1, "No.")
        messages = await client.messages(session.id)
        check([one.id for one in messages] == ["two", edited.message], f"the conversation is {messages}")
        check(messages[1].raw["feedback"]["value"] == -1, "the feedback is not kept")
        running = session.stream(QUESTION)
        await running.accepted()
        try:
            await session.ask("Busy?")
            raise AssertionError("it was not busy")
        except rivulet.Refused as refused:
            check((refused.code, refused.retryable) == ("busy", True), f"refused as {refused.code}")
        queued = session.stream("Queued?", mode="queue")
        replacing = session.stream("Replaced?", mode="replace")
        ends = [(await one.answer()).status for one in (running, queued, replacing)]
        check(ends == ["stopped", "stopped", "complete"], f"they ended as {ends}")


async def approving(bench):
    """a call that waits is shown, allowed or not, and the answer goes on"""
    async with Relay(bench.url, bench.chance, 9000) as relay, rivulet.Client(relay.url) as client:
        async with client.session(assistant="loan") as session:
            answer = await session.ask(LETTER)
            check(answer.status == "awaiting_approval", f"it is {answer.status}: {answer.text}")
            [approval] = answer.approvals
            check(approval.tool.args["name"] == "Asha Rao", f"the call is {approval.tool}")
            after = await session.approve(approval).answer()
            check(after.status == "complete" and after.results[0].status == "ok", f"after it: {after}")
            check(after.results[0].artifacts, "there is no letter")
            [approval] = (await session.ask(LETTER)).approvals
            denied = await session.approve(approval, False, comment="Not today.").answer()
            check(denied.status == "complete" and not denied.results, f"denied: {denied}")
            try:
                await session.approve(approval).answer()
                raise AssertionError("it was decided the other way")
            except rivulet.Refused as refused:
                check(refused.code == "already_decided", f"refused as {refused.code}")


async def credentials(bench):
    """tokens are asked for anew when they end, tickets work, and what is not good is told and not tried again"""
    asked = []

    async def token(expired):
        asked.append(expired)
        return bench.token("ann", "--expires", "2s" if len(asked) == 1 else "1h")

    async with rivulet.Client(bench.guarded, token=token) as client, client.session() as session:
        first = await session.ask(QUESTION)
        session_id = session.id
        started = time.monotonic()
        while time.monotonic() - started < 8:  # It is closed 5 seconds after its end.
            answer = await session.ask("More?")
            check(answer.proven and answer.status == "complete", f"it ended as {answer}")
        check(True in asked, f"no new token was asked for: {asked}")
        await session.renew_token()
        check(first.proven, "the first answer is not proven")
    good = bench.token("ann")
    async with rivulet.Client(bench.guarded, ticket=lambda: asyncio.to_thread(bench.ticket, good)) as client:
        async with client.session() as session:
            first = await session.stream(QUESTION, id="once").answer()
            check(first.proven, "with a ticket there is no answer")
            again = await session.stream(QUESTION, id="once").answer()
            check(again.message == first.message and again.text == first.text, f"repeated with a ticket: {again}")
            check((await session.ask("More?")).proven, "it does not go on")
    brief = bench.token("ann", "--expires", "2s")
    tokens = iter([brief])
    async with rivulet.Client(
        bench.guarded, ticket=lambda: asyncio.to_thread(bench.ticket, next(tokens, good))
    ) as client, client.session() as session:
        started = time.monotonic()
        while time.monotonic() - started < 8:
            check((await session.ask("More?")).proven, "with tickets it ends with the first token")
    for code, options, arguments in [
        (4001, {"token": "nonsense"}, {}),
        (4004, {"token": bench.token("bob")}, {"session": session_id}),
        (4004, {"token": good}, {"assistant": "nobody"}),
    ]:
        started = time.monotonic()
        try:
            async with rivulet.Client(bench.guarded, **options) as client:
                await client.ask(QUESTION, **arguments)
            raise AssertionError(f"{options} {arguments} is taken")
        except rivulet.Closed as closed:
            check(closed.code == code, f"{arguments}: {closed}")
        check(time.monotonic() - started < 5, "it was tried again")


async def refusals(bench):
    """what is refused raises, and the session goes on; where nobody is, that is said in time"""
    async with rivulet.Client(bench.url) as client, client.session() as session:
        for code, text in [("empty_text", "  "), ("text_too_long", "x" * 16_385), ("too_large", "🌧️" * 16_000)]:
            try:
                await session.ask(text)
                raise AssertionError(f"{code} was taken")
            except rivulet.Refused as refused:
                check(refused.code == code, f"{code}: {refused}")
        check((await session.ask("Half \ud83d of it")).status == "complete", "it does not go on")
        check((await client.messages(session.id))[0].text == "Half \ufffd of it", "the half is not told as U+FFFD")
        await client.delete(session.id)
        try:
            await session.ask(QUESTION)
            raise AssertionError("a deleted session answers")
        except rivulet.Closed as closed:
            check(closed.code == 4004, f"deleted: {closed}")
    started = time.monotonic()
    try:
        await rivulet.Client("http://127.0.0.1:9", patience=1.5).ask(QUESTION)
        raise AssertionError("nobody answers")
    except rivulet.Unreachable:
        check(time.monotonic() - started < 5, "it took too long")


async def following(bench):
    """another socket sees all of it, and memory does not grow with what nobody takes"""
    async with rivulet.Client(bench.url) as client, client.session() as session:
        await session.ask(QUESTION)
        async with client.session(session.id) as other:
            kinds, held = [], Held()

            async def follow():
                async for event in other.events():
                    kinds.append(type(event).__name__)
                    if isinstance(event, rivulet.OfRun):
                        held.take(event)
                    if held.done:
                        return

            following = asyncio.create_task(follow())
            await asyncio.sleep(0)
            answer = await session.ask("And then?")
            await asyncio.wait_for(following, PATIENCE_S)
            check(held.text == answer.text and "Said" in kinds, f"the other one saw {kinds}")
        # A reader that takes nothing until the end gets it in few pieces.
        stream = session.stream("Once more?")
        other = client.session(session.id)
        async with other:
            async for event in other.events():
                if isinstance(event, rivulet.RunDone):
                    break
        pieces = [event async for event in stream if isinstance(event, rivulet.Delta)]
        check(len(pieces) < 10, f"{len(pieces)} pieces waited")
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(20):
            await session.ask("Again?")
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        check(grown < 100_000, f"20 answers later there are {grown} bytes more")


async def without_async(bench):
    """the same from plain threads, over connections that break"""
    async with Relay(bench.url, bench.chance, 6000) as relay:

        def work():
            with sync.Client(relay.url) as client, client.session() as session:
                held = Held()
                for event in session.stream(QUESTION):
                    held.take(event)
                check(held.done.proven and held.text == held.done.text, f"it ended as {held.done}")
                check(session.ask("And then?").proven, "the second answer is not proven")
                check(session.regenerate().answer().proven, "the third answer is not proven")
                relay.is_on = False  # A stop that waits for a connection may come after the end, and this is about the stop.
                for event in session.stream("A long one?"):
                    if isinstance(event, rivulet.Delta):
                        break
                return session.id

        ids = await asyncio.gather(*(asyncio.to_thread(work) for _ in range(3)))
        async with rivulet.Client(bench.url) as client:
            for id in ids:
                for _ in range(100):
                    last = (await client.messages(id))[-1]
                    if last.status not in ("pending", "complete") and last.role == "assistant":
                        break
                    await asyncio.sleep(0.05)
                check(last.status == "stopped", f"leaving it early: {last.status}")
    check(not [one for one in threading.enumerate() if one.name == "rivulet-client"], "a thread is left")


async def as_a_program(bench):
    """rivulet-ask prints the answer as it is written, over cuts; Ctrl-C stops it; as JSON it is one event a line"""
    program = os.path.join(os.path.dirname(sys.executable), "rivulet-ask")

    async def start(*arguments):
        return await asyncio.create_subprocess_exec(
            *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    async with Relay(bench.url, bench.chance, 6000) as relay, rivulet.Client(bench.url) as client:
        ran = await start(program, relay.url, QUESTION)
        out, err = await asyncio.wait_for(ran.communicate(), PATIENCE_S)
        session = err.decode().split("(session ")[1].split(")")[0]
        text = (await client.messages(session))[1].text
        check((ran.returncode, out.decode()) == (0, f"{text}\n"), f"it printed {out!r}, {err!r}; stored is {text!r}")
        ran = await start(sys.executable, "-m", "rivulet_client", "ask", relay.url, QUESTION, "--json", "--session", session)
        out, err = await asyncio.wait_for(ran.communicate(), PATIENCE_S)
        lines = [json.loads(line) for line in out.decode().splitlines()]
        check(lines[-1]["event"] == "RunDone" and "".join(x["text"] for x in lines if x["event"] == "Delta") == lines[-1]["text"], err)
        relay.is_on = False
        ran = await start(program, relay.url, QUESTION, "--session", session)
        begun = await asyncio.wait_for(ran.stdout.read(10), PATIENCE_S)
        os.killpg(ran.pid, signal.SIGINT)
        out, err = await asyncio.wait_for(ran.communicate(), PATIENCE_S)
        last = (await client.messages(session))[-1]
        check(ran.returncode == 130 and last.status == "stopped", f"Ctrl-C: {ran.returncode}, {last.status}, {err!r}")
        check((begun + out).decode() == f"{last.text}\n", f"it printed {begun + out!r}, stored is {last.text!r}")
        ran = await start(program, relay.url, QUESTION, "--session", "s_nothing")
        _, err = await asyncio.wait_for(ran.communicate(), PATIENCE_S)
        check(ran.returncode == 2 and b"4004" in err, f"an unknown session: {ran.returncode} {err!r}")


async def crashing(bench):
    """a gateway that is killed in the middle of an answer leaves what it has saved, and the conversation goes on"""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        settings = {"RIVULET_KNOWLEDGE_ENABLED": "false", "OPENAI_BASE_URL": f"{bench.model}/v1", "PATH": os.environ["PATH"]}

        def start():
            command = [bench.binary, "serve", "--bind", f"127.0.0.1:{port}", "--data-dir", folder]
            return subprocess.Popen(command, cwd=folder, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        gateway = start()
        try:
            # It is not there yet: the client waits for it.
            async with rivulet.Client(f"http://127.0.0.1:{port}") as client, client.session() as session:
                held, is_killed = Held(), False
                async for event in session.stream(QUESTION):
                    held.take(event)
                    if len(held.text) > 20 and not is_killed:
                        is_killed = True
                        gateway.kill()
                        await asyncio.to_thread(gateway.wait)
                        gateway = start()
                check(held.done.status == "interrupted" and held.text == held.done.text, f"it ended as {held.done}")
                _, answer = await stored(client, session.id, held.done)
                check(answer.text == held.text, f"stored is {answer.text!r}, held {held.text!r}")
                check((await session.ask("Again?")).status == "complete", "it does not go on")
        finally:
            gateway.kill()
            gateway.wait()


CHECKS = [cutting, repeating, leaving, crashing, another_way, approving, credentials, refusals, following, without_async, as_a_program]


async def main(url, guarded, model, binary):
    seed = int(os.environ.get("RIVULET_SEED") or random.randrange(1_000_000))
    print(f"seed {seed}", flush=True)
    backoff.CAP_S = 0.5  # So many cuts in a minute would have it wait for longer each time.
    failed = 0
    for one in CHECKS:
        try:
            began = time.monotonic()
            await asyncio.wait_for(one(Bench(url, guarded, model, binary, random.Random(seed))), 3 * PATIENCE_S)
            print(f"ok: {one.__doc__} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED: {one.__doc__}\n{traceback.format_exc()}", flush=True)
    print(f"{len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: live.py OPEN-GATEWAY GUARDED-GATEWAY MODEL RIVULET_BINARY")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # What was started is ended.
    sys.exit(asyncio.run(main(*sys.argv[1:4], os.path.realpath(sys.argv[4]))))
