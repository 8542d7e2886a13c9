"""The small parts: what waits to be taken, how long to wait, what close codes ask for, addresses."""

from __future__ import annotations

import asyncio
import unittest

from rivulet_client import Delta, Lagging, Phase, RunDone
from rivulet_client.backoff import After, Backoff, after_close
from rivulet_client.endpoint import Endpoint
from rivulet_client.feed import Feed
from rivulet_client.held import HeldText
from rivulet_client.wire import read_frame, write_frame


class Waiting(unittest.TestCase):
    def test_delays_grow_to_30_seconds_and_only_a_calm_minute_forgives(self) -> None:
        backoff = Backoff(lambda: 1.0)
        self.assertEqual([backoff.next(soon=True) for _ in range(8)], [1, 2, 4, 8, 16, 30, 30, 30])
        backoff.lasted(59)
        self.assertEqual(backoff.next(soon=True), 30)
        backoff.lasted(60)
        self.assertEqual(backoff.next(soon=True), 1)
        self.assertEqual(Backoff(lambda: 1.0).next(soon=False), 2)
        self.assertEqual(Backoff(lambda: 0.0).next(soon=True), 0)

    def test_each_close_code_has_what_a_client_does(self) -> None:
        for after, codes in {
            After.OVER: [1000, 1002, 1003, 4001, 4003, 4004, 4010, 4099],
            After.WITHOUT: [1007, 1009],
            After.SOON: [1001, 1005, 1006, 4201, 4203, 4204, 4205, 4299],
            After.LATER: [4100, 4108, 4111, 4129, 1011, 1013, 4999],
        }.items():
            for code in codes:
                self.assertEqual(after_close(code), after, code)


class Feeds(unittest.IsolatedAsyncioTestCase):
    async def test_pieces_and_phases_that_wait_become_one(self) -> None:
        feed = Feed()
        for at, text in enumerate("stream"):
            feed.put(Delta(run="r", text=text, at=at))
        for phase in ("waiting", "streaming"):
            feed.put(Phase(run="r", phase=phase))
        feed.put(Delta(run="r", text="s", at=6))
        feed.end()
        taken = []
        while (event := await feed.get()) is not None:
            taken.append(event)
        self.assertEqual(
            taken, [Delta(run="r", text="stream", at=0), Phase(run="r", phase="streaming"), Delta(run="r", text="s", at=6)]
        )

    async def test_whoever_takes_nothing_is_told_so(self) -> None:
        feed = Feed(3)
        for number in range(5):
            feed.put(RunDone(run=str(number), message="m", status="complete", text=""))
        for _ in range(3):
            self.assertIsNotNone(await feed.get())
        with self.assertRaises(Lagging):
            await feed.get()


class Texts(unittest.TestCase):
    def test_a_piece_is_put_where_it_belongs(self) -> None:
        held = HeldText()
        self.assertEqual(held.place(0, "🌧️ r"), "🌧️ r")
        self.assertEqual((held.units, held.chars), (5, 4))
        self.assertEqual(held.place(4, "rain"), "ain")
        self.assertEqual(held.place(0, "🌧️"), "")
        self.assertIsNone(held.place(9, "s"))
        self.assertEqual(held.become("🌧️ ran"), (5, "n"))
        self.assertTrue(held.cut(3))
        self.assertEqual(held.text, "🌧️")

    def test_frames_are_read_or_passed_over(self) -> None:
        for text in ("", "[]", "{", '{"type":1}', "[" * 100_000):
            self.assertIsNone(read_frame(text))
        self.assertEqual(write_frame({"text": "ü \ud83d"}), '{"text":"ü \ufffd"}')


class Addresses(unittest.IsolatedAsyncioTestCase):
    async def test_an_address_may_have_a_path_and_must_have_no_secrets(self) -> None:
        for url in ("http://h:1/chat/", "ws://h:1/chat", "h:1/chat"):
            address, headers = await Endpoint(url, "t", None).socket("s/1", "e:1", "loan", False)
            self.assertEqual(address, "ws://h:1/chat/api/v1/ws/s%2F1?resume=e%3A1")
            self.assertEqual(headers, {"Authorization": "Bearer t"})
        address, headers = await Endpoint("https://h", "t", lambda: "tk_1").socket(None, None, "loan", False)
        self.assertEqual((address, headers), ("wss://h/api/v1/ws?assistant=loan&ticket=tk_1", {}))
        for url in ("ftp://h", "http://u:p@h", "http://h?token=t", "http://"):
            with self.assertRaises(ValueError):
                Endpoint(url, None, None)

    async def test_a_credential_that_does_not_come_is_not_waited_for_for_ever(self) -> None:
        async def broken(_: bool) -> str:
            raise asyncio.TimeoutError

        with self.assertRaises(asyncio.TimeoutError):
            await Endpoint("http://h", broken, None).token()


if __name__ == "__main__":
    unittest.main()
