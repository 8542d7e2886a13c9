"""A session against a gateway that says what it is told to: which closes are final, what is said again, what is given back."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import unittest
import zlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from rivulet_client import Client, Closed, Refused, RivuletError, Session, Started, Unanswered, backoff, sync

QUESTION = {"id": "q", "role": "user", "text": "?"}
ANSWER = {"id": "a", "role": "assistant", "text": "ok", "status": "complete", "run": "r", "for": "q"}

Script = Callable[["Socket"], Awaitable[None]]


class Socket:
    """The gateway's end of one."""

    def __init__(self, connection: ServerConnection) -> None:
        self.connection = connection
        assert connection.request is not None
        self.path = connection.request.path
        self.token = connection.request.headers.get("Authorization")

    async def say(self, **frame: Any) -> None:
        await self.connection.send(json.dumps(frame))

    async def welcome(self, recovered: str = "new", **more: Any) -> None:
        await self.say(type="welcome", session="s", epoch="e", seq=0, recovered=recovered, heartbeat_s=25, **more)

    async def hear(self) -> dict[str, Any]:
        frame = json.loads(await asyncio.wait_for(self.connection.recv(), 10))
        assert isinstance(frame, dict)
        return frame

    async def answer(self, question: str, seq: int = 1) -> None:
        await self.say(type="run.start", seq=seq, run="r", message="a", **{"for": question})
        await self.say(type="delta", run="r", off=0, text="ok")
        await self.say(type="run.done", seq=seq + 1, run="r", message="a", status="complete", len=2, crc32=f"{zlib.crc32(b'ok'):08x}")

    async def close(self, code: int) -> None:
        await self.connection.close(code)


class Gateway(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        cap, backoff.CAP_S = backoff.CAP_S, 0.05
        self.addCleanup(setattr, backoff, "CAP_S", cap)
        self.sockets: list[Socket] = []
        self.refusals: list[Response] = []
        self.pages: list[Response] = []
        self.asked: list[str] = []
        self.scripts: list[Script] = []
        self.server = await serve(self.meet, "127.0.0.1", 0, process_request=self.refuse, subprotocols=["chat.v1"])  # type: ignore[list-item]
        self.url = f"http://127.0.0.1:{next(iter(self.server.sockets)).getsockname()[1]}"

    async def asyncTearDown(self) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        if not request.path.startswith("/api/v1/ws"):
            self.asked.append(request.path)
            return self.pages.pop(0)
        return self.refusals.pop(0) if self.refusals else None

    async def meet(self, connection: ServerConnection) -> None:
        socket = Socket(connection)
        self.sockets.append(socket)
        with contextlib.suppress(ConnectionClosed):
            await self.scripts[len(self.sockets) - 1](socket)

    def refusal(self, status: int, code: str, **headers: str) -> Response:
        return self.response(status, {"code": code, "detail": "no"}, **headers)

    def page(self, *messages: dict[str, Any], more: bool) -> Response:
        return self.response(200, {"messages": messages, "more": more})

    def response(self, status: int, said: dict[str, Any], **headers: str) -> Response:
        body = json.dumps(said).encode()
        return Response(status, HTTPStatus(status).phrase, Headers(headers | {"Content-Length": str(len(body))}), body)

    @staticmethod
    async def repeated(socket: Socket) -> None:
        """What is asked was asked before, and its answer is over."""
        await socket.welcome("full")
        frame = await socket.hear()
        await socket.say(type="ack", re=frame["id"], message=frame["id"], run="r", duplicate=True)
        await socket.connection.wait_closed()

    def session(self, **options: Any) -> Session:
        return Client(self.url, **options).session()

    async def test_what_was_not_acknowledged_is_said_again_with_the_same_id(self) -> None:
        async def lost(socket: Socket) -> None:
            await socket.welcome()
            await socket.hear()
            socket.connection.transport.abort()

        async def there(socket: Socket) -> None:
            await socket.welcome("full")
            frame = await socket.hear()
            await socket.say(type="ack", re=frame["id"], message=frame["id"], run="r", duplicate=False)
            await socket.answer(frame["id"])
            await socket.hear()

        self.scripts = [lost, lost, there]
        async with self.session() as session:
            answer = await session.ask("?", id="q")
        self.assertEqual((answer.text, answer.status, answer.proven), ("ok", "complete", True))
        self.assertIn("/ws/s?resume=e%3A0", self.sockets[2].path)

    async def test_final_codes_are_final(self) -> None:
        for code in (1000, 1002, 4001, 4003, 4010):

            async def closing(socket: Socket, code: int = code) -> None:
                await socket.welcome()
                await socket.hear()
                await socket.close(code)

            self.sockets, self.scripts = [], [closing]
            with self.assertRaises(Closed) as closed:
                async with self.session() as session:
                    await session.ask("?")
            self.assertEqual((closed.exception.code, len(self.sockets)), (code, 1))

    async def test_of_several_frames_the_one_that_the_gateway_cannot_take_is_found(self) -> None:
        async def taking(socket: Socket) -> None:
            await socket.welcome("new" if len(self.sockets) == 1 else "full")
            while True:
                frame = await socket.hear()
                if frame.get("text") == "bad":
                    return await socket.close(1009)
                if len(self.sockets) > 1:
                    await socket.say(type="ack", re=frame["id"])

        self.scripts = [taking] * 9
        async with self.session() as session:
            good = [asyncio.create_task(session.feedback(f"m{n}", 1)) for n in range(2)]
            bad = session.stream("bad")
            more = [asyncio.create_task(session.feedback(f"n{n}", 1)) for n in range(2)]
            with self.assertRaises(Refused) as refused:
                await bad.answer()
            self.assertEqual(refused.exception.code, "too_large")
            await asyncio.wait_for(asyncio.gather(*good, *more), 10)

    async def test_a_token_that_has_ended_is_renewed_and_a_refused_one_is_renewed_once(self) -> None:
        asked: list[bool] = []

        def token(expired: bool) -> str:
            asked.append(expired)
            return f"t{len(asked)}"

        async def ending(socket: Socket) -> None:
            await socket.welcome()
            await socket.close(4204)

        async def quiet(socket: Socket) -> None:
            await socket.welcome("full")
            frame = await socket.hear()
            await socket.say(type="ack", re=frame["id"])
            await socket.connection.wait_closed()

        self.scripts = [ending, quiet]
        async with self.session(token=token) as session:
            await session.feedback("m", 1)
        self.assertEqual((asked, self.sockets[1].token), ([False, True], "Bearer t2"))
        asked.clear()
        self.refusals = [self.refusal(401, "unauthenticated")] * 2
        with self.assertRaises(Closed) as closed:
            await self.session(token=token).open()
        self.assertEqual((closed.exception.code, asked), (4001, [False, True]))

    async def test_a_session_with_tickets_outlives_the_token_that_they_were_made_with(self) -> None:
        async def ending(socket: Socket) -> None:
            await socket.welcome()
            await socket.close(4204)

        async def quiet(socket: Socket) -> None:
            await socket.welcome("full")
            frame = await socket.hear()
            await socket.say(type="ack", re=frame["id"])
            await socket.connection.wait_closed()

        tickets = iter(["one", "two", "three"])
        self.scripts = [ending, quiet]
        self.refusals = [self.refusal(401, "unauthenticated")]
        async with self.session(ticket=lambda: next(tickets)) as session:
            await asyncio.wait_for(session.feedback("m", 1), 10)
        self.assertEqual([one.path.rpartition("=")[2] for one in self.sockets], ["two", "three"])

    async def test_who_is_asked_to_wait_waits_and_who_has_nobody_there_gives_up(self) -> None:
        async def quiet(socket: Socket) -> None:
            await socket.welcome()
            await socket.connection.wait_closed()

        self.scripts = [quiet]
        self.refusals = [self.refusal(503, "busy", **{"Retry-After": "1"})]
        began = asyncio.get_running_loop().time()
        async with self.session():
            self.assertGreaterEqual(asyncio.get_running_loop().time() - began, 1)

    async def test_a_gateway_that_ends_takes_no_more_and_the_next_one_does(self) -> None:
        async def leaving(socket: Socket) -> None:
            await socket.welcome()
            await socket.say(type="goaway", reason="drain", retry_in_ms=20, deadline_ms=1000)
            frame = await socket.hear()
            await socket.say(type="error", re=frame["id"], code="busy", message="going away", retryable=True)
            await socket.close(1001)

        async def there(socket: Socket) -> None:
            await socket.welcome("full")
            frame = await socket.hear()
            await socket.say(type="ack", re=frame["id"])
            await socket.connection.wait_closed()

        self.scripts = [leaving, there]
        async with self.session() as session:
            await asyncio.wait_for(session.feedback("m", 1), 10)

    async def test_an_answer_that_is_over_is_looked_for_until_it_is_found(self) -> None:
        self.scripts = [self.repeated]
        newer = [{"id": f"n{n}", "role": "user", "text": "?"} for n in range(2)]
        self.pages = [
            self.refusal(429, "rate_limited", **{"Retry-After": "0"}),
            self.page(*newer, more=True),
            self.refusal(503, "busy"),
            self.page(QUESTION, ANSWER, more=True),
        ]
        async with self.session() as session:
            answer = await asyncio.wait_for(session.ask("?", id="q"), 10)
        self.assertEqual((answer.text, answer.status), ("ok", "complete"))
        first, then = "/api/v1/sessions/s?limit=200", "/api/v1/sessions/s?limit=200&before=n0"
        self.assertEqual(self.asked, [first, first, then, then])

    async def test_an_answer_that_cannot_be_looked_for_fails(self) -> None:
        for patience, page, error in (
            (60.0, self.refusal(403, "forbidden"), "forbidden"),
            (0.5, self.refusal(429, "rate_limited", **{"Retry-After": "9"}), "rate_limited"),
        ):
            self.sockets, self.scripts, self.pages = [], [self.repeated], [page]
            async with self.session(patience=patience) as session:
                with self.assertRaises(Refused) as refused:
                    await asyncio.wait_for(session.ask("?", id="q"), 10)
            self.assertEqual(refused.exception.code, error)

    async def test_with_a_ticket_alone_an_answer_that_is_over_is_looked_for_over_the_socket(self) -> None:
        newer = [{"id": "n0", "role": "user", "text": "?"}]
        snapshots: list[dict[str, Any]] = [{"messages": [QUESTION, ANSWER]}, {"messages": newer, "more": "c"}, {}]

        def showing(shown: dict[str, Any]) -> Script:
            async def script(socket: Socket) -> None:
                await socket.welcome("full")
                hello = await socket.hear()
                if hello["type"] == "send":
                    await socket.say(type="ack", re=hello["id"], message=hello["id"], run="r", duplicate=True)
                    hello = await socket.hear()
                self.assertEqual((hello["type"], "resume" in hello), ("hello", False))
                if len(self.sockets) == 1:
                    return socket.connection.transport.abort()
                if not shown:
                    await socket.say(type="error", re=hello["id"], code="rate_limited", message="no", retryable=True)
                else:
                    await socket.welcome("snapshot")
                    await socket.say(type="snapshot", seq=5, runs=[], **shown)
                await socket.connection.wait_closed()

            return script

        told = []
        for shown in snapshots:
            self.sockets, self.scripts = [], [showing(shown)] * 2
            async with self.session(ticket=lambda: "once") as session:
                try:
                    told.append((await asyncio.wait_for(session.ask("?", id="q"), 10)).text)
                except RivuletError as error:
                    told.append(str(error))
        self.assertEqual(told, ["ok", "the answer is older than all that is shown without a token", "rate_limited: no"])
        self.assertEqual(self.asked, [])

    async def test_a_question_that_somebody_has_edited_away_is_not_waited_for(self) -> None:
        async def gone(socket: Socket) -> None:
            await socket.welcome()
            frame = await socket.hear()
            await socket.say(type="ack", re=frame["id"], message=frame["id"], run="r", queued=True)
            await socket.say(type="snapshot", seq=5, messages=[{"id": "x", "role": "user", "text": "?"}], runs=[])
            await socket.connection.wait_closed()

        self.scripts = [gone]
        async with self.session() as session:
            with self.assertRaises(Unanswered):
                await session.ask("?")

    async def test_an_answer_that_ended_in_a_crash_is_as_the_snapshot_has_it(self) -> None:
        async def crashing(socket: Socket) -> None:
            await socket.welcome()
            frame = await socket.hear()
            await socket.say(type="ack", re=frame["id"], message=frame["id"], run="r")
            await socket.say(type="run.start", seq=1, run="r", message="a", **{"for": frame["id"]})
            await socket.say(type="delta", run="r", off=0, text="all that was wr")
            socket.connection.transport.abort()

        async def back(socket: Socket) -> None:
            await socket.welcome("snapshot")
            text = {"id": "a", "role": "assistant", "text": "all that", "status": "interrupted", "run": "r", "for": "q"}
            await socket.say(type="snapshot", seq=0, messages=[{"id": "q", "role": "user", "text": "?"}, text], runs=[])
            await socket.connection.wait_closed()

        self.scripts = [crashing, back]
        async with self.session() as session:
            seen = [type(event).__name__ async for event in session.stream("?", id="q")]
            self.assertEqual(seen[0], "Started")
            self.assertEqual(seen[-2:], ["Withdrawn", "RunDone"])

    async def test_without_async_an_answer_that_nobody_has_finished_outlives_the_client(self) -> None:
        async def endless(socket: Socket) -> None:
            await socket.welcome()
            frame = await socket.hear()
            await socket.say(type="ack", re=frame["id"], message=frame["id"], run="r")
            await socket.say(type="run.start", seq=1, run="r", message="a", **{"for": frame["id"]})
            stop = await socket.hear()
            # Its run is named, so that said again it does not stop another one.
            self.assertEqual((stop["type"], stop["run"]), ("stop", "r"))
            await socket.say(type="ack", re=stop["id"], run="r")
            await socket.connection.wait_closed()

        def work() -> None:
            client = sync.Client(self.url)
            session = client.session().open()
            events = iter(session.stream("?"))
            self.assertIsInstance(next(events), Started)
            session.stop()
            client.close()
            client.close()
            del events
            with self.assertRaises(RivuletError):
                session.ask("?")

        self.scripts = [endless]
        await asyncio.wait_for(asyncio.to_thread(work), 20)

    async def test_without_async_an_iterator_may_be_collected_in_the_thread_of_the_loop(self) -> None:
        async def endless(socket: Socket) -> None:
            await socket.welcome()
            frame = await socket.hear()
            await socket.say(type="ack", re=frame["id"], message=frame["id"], run="r")
            await socket.say(type="run.start", seq=1, run="r", message="a", **{"for": frame["id"]})
            stop = await socket.hear()
            self.assertEqual((stop["type"], stop["run"]), ("stop", "r"))
            await socket.say(type="ack", re=stop["id"], run="r")
            await socket.connection.wait_closed()

        def work() -> None:
            with sync.Client(self.url) as client, client.session() as session:
                events = iter(session.stream("?"))
                self.assertIsInstance(next(events), Started)
                ring: list[Any] = [events]
                ring.append(ring)
                del events, ring
                client._loop.call(gc.collect)

        self.addCleanup(gc.enable)
        gc.disable()
        self.scripts = [endless]
        await asyncio.wait_for(asyncio.to_thread(work), 20)


if __name__ == "__main__":
    unittest.main()
