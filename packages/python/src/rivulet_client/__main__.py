"""`python -m rivulet_client ask URL "QUESTION"`, and the same as the program `rivulet-ask`.

It is not called `rivulet`, because the gateway's own program is. The answer goes to standard output as it is written; Ctrl-C
stops it. Exits with 0 when the answer is complete, 1 when it is not, 2 when it could not be asked for, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys

from .client import Client
from .errors import RivuletError
from .events import Delta, Event, RunDone, Source, Sources, Withdrawn
from .stream import Stream


def _arguments(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("url", metavar="URL", help="the gateway's address, like http://127.0.0.1:8080")
    parser.add_argument("question", metavar="QUESTION", help="what to ask; - reads it from standard input")
    parser.add_argument("--assistant", metavar="NAME", help="who is to answer in a new conversation")
    parser.add_argument("--session", metavar="ID", help="a conversation to go on with")
    parser.add_argument(
        "--token", default=os.environ.get("RIVULET_TOKEN"),
        help="a token or API key; better in RIVULET_TOKEN, for others on the machine see what a program is called with",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one event a line, as JSON")
    parser.add_argument("--patience", type=float, default=30.0, metavar="S", help="seconds to wait for a connection (30)")
    return parser


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m rivulet_client", description="A client of a Rivulet gateway")
    commands = parser.add_subparsers(dest="command", required=True)
    _arguments(commands.add_parser("ask", help="asks a question and prints the answer as it is written"))
    return _run(parser.parse_args(arguments))


def ask() -> int:
    """The program `rivulet-ask`."""
    parser = argparse.ArgumentParser(prog="rivulet-ask", description="Asks a Rivulet gateway, and prints its answer")
    return _run(_arguments(parser).parse_args())


def _run(arguments: argparse.Namespace) -> int:
    if arguments.question == "-":
        arguments.question = sys.stdin.read()
    try:
        return asyncio.run(_ask(arguments))
    except (RivuletError, ValueError) as error:
        print(f"rivulet-ask: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


async def _ask(arguments: argparse.Namespace) -> int:
    stopped = False
    client = Client(arguments.url, token=arguments.token, patience=arguments.patience)
    async with client, client.session(arguments.session, assistant=arguments.assistant) as session:
        stream = session.stream(arguments.question)

        def stop() -> None:
            nonlocal stopped
            if stopped:  # Who asks twice does not want to wait.
                raise KeyboardInterrupt
            stopped = True
            stopping.append(asyncio.create_task(_stop(stream)))

        stopping: list[asyncio.Task[None]] = []
        with contextlib.suppress(NotImplementedError):  # On Windows Ctrl-C cancels, which stops the answer as well.
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stop)
        done = await (_lines(stream) if arguments.json else _text(stream))
        if not arguments.json:
            print(f"\n(session {session.id})", file=sys.stderr)
    if stopped:
        return 130
    return 0 if done is not None and done.status == "complete" and done.proven else 1


async def _stop(stream: Stream) -> None:
    with contextlib.suppress(RivuletError):
        await stream.stop()


async def _text(stream: Stream) -> RunDone | None:
    sources: tuple[Source, ...] = ()
    done, withdrawn = None, False
    async for event in stream:
        if isinstance(event, Delta):
            print(event.text, end="", flush=True)
        elif isinstance(event, Sources):
            sources = event.items
        elif isinstance(event, Withdrawn):
            # What is printed cannot be taken back.
            withdrawn = True
            print("\n(a part of this is taken back; the whole answer follows)", flush=True)
        elif isinstance(event, RunDone):
            done = event
    if done is None:
        return None
    print(f"\n\n{done.text}" if withdrawn else "")
    for source in sources:
        print(f"[{source.n}] {source.title}")
    if done.status != "complete":
        print(f"({done.status}{f': {done.error.message}' if done.error else ''})", file=sys.stderr)
    return done


async def _lines(stream: Stream) -> RunDone | None:
    done = None
    async for event in stream:
        print(json.dumps(_as_json(event), ensure_ascii=False), flush=True)
        done = event if isinstance(event, RunDone) else done
    return done


def _as_json(event: Event) -> dict[str, object]:
    fields = {one.name: getattr(event, one.name) for one in dataclasses.fields(event) if one.name != "raw"}
    return {"event": type(event).__name__, **{name: _plain(value) for name, value in fields.items() if value is not None}}


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.name != "raw"}
        return {name: _plain(one) for name, one in fields.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value


if __name__ == "__main__":
    sys.exit(main())
