"""What a user may write, for mypy --strict: the types of the package are those that its pages tell."""

from __future__ import annotations

import asyncio

from rivulet_client import Answer, Approval, Client, Delta, Event, Refused, RunDone, Session, Sources, sync


async def token(expired: bool) -> str:
    return "new" if expired else "kept"


async def ask(session: Session) -> str:
    answer: Answer = await session.ask("How long can I return a tent?", mode="queue")
    cited: list[str] = [answer.text[one.start : one.end] for one in answer.citations]
    return answer.text + "".join(cited) + (answer.model or "")


async def follow(session: Session) -> list[str]:
    seen: list[str] = []
    async with session.stream("And skis?") as stream:
        async for event in stream:
            if isinstance(event, Delta):
                seen.append(event.text)
            elif isinstance(event, Sources):
                seen += [one.title for one in event.items]
            elif isinstance(event, Approval):
                await session.approve(event, False, comment="No.").answer()
            elif isinstance(event, RunDone):
                failed: str | None = event.error.code if event.error else None
                seen.append(failed or event.status)
    return seen


async def main() -> None:
    async with Client("https://chat.example", token=token) as client:
        async with client.session(assistant="loan") as session:
            try:
                print(await ask(session), await follow(session))
            except Refused as refused:
                wait: float | None = refused.retry_in
                print(refused.code, wait)
            await session.feedback("m_1", 1)


def plain() -> None:
    with sync.Client("https://chat.example", token="rk_1") as client, client.session() as session:
        events: list[Event] = list(session.stream("Hello?"))
        print(events, session.regenerate().answer().text)


if __name__ == "__main__":
    asyncio.run(main())
    plain()
