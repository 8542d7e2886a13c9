"""The gateway as a program sees it."""

from __future__ import annotations

import urllib.parse
from collections.abc import Awaitable, Callable
from types import TracebackType

from .endpoint import Credential, Endpoint
from .events import Answer, Message
from .session import Session
from .wire import Frame, message, objects

PATIENCE_S = 60.0


class Client:
    """A gateway, and who asks it.

    `url` is its address, with or without a path. `token` is a token or an API key, or a callback that gives one: it is called
    before each connection and each request, with `True` when the gateway has not taken the last one. `ticket` is a callback
    that gives a ticket for each connection, for a program that may not have a token. `patience`: for so many seconds without a
    connection it is tried again, by the rules of the protocol; then whoever waits gets `Unreachable`.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: Credential | None = None,
        ticket: Callable[[], str | Awaitable[str]] | None = None,
        patience: float = PATIENCE_S,
    ) -> None:
        self._endpoint = Endpoint(url, token, ticket)
        self._patience = patience
        self._sessions: list[Session] = []

    def session(self, id: str | None = None, *, assistant: str | None = None) -> Session:
        """A conversation: the one that `id` names, or a new one, in which `assistant` answers. It is closed with the client."""
        session = Session(self._endpoint, id, assistant, self._patience)
        self._sessions = [one for one in self._sessions if one.end is None]
        self._sessions.append(session)
        return session

    async def ask(self, text: str, *, session: str | None = None, assistant: str | None = None) -> Answer:
        """One question and its whole answer, in a new conversation or in one that there is."""
        async with self.session(session, assistant=assistant) as one:
            return await one.ask(text)

    async def messages(self, session: str, *, before: str | None = None, limit: int = 50) -> list[Message]:
        """The newest messages of a conversation that are older than `before`, oldest first."""
        query = {"limit": str(limit)} | ({} if before is None else {"before": before})
        page = await self._endpoint.request("GET", f"sessions/{_part(session)}", query=query)
        return [message(one) for one in objects(page.get("messages"))]

    async def assistants(self) -> list[Frame]:
        """Who answers here, as the gateway describes them."""
        return objects((await self._endpoint.request("GET", "assistants")).get("assistants"))

    async def delete(self, session: str) -> None:
        """Deletes a conversation. Raises `Refused` (`not_found`) where there is none."""
        await self._endpoint.request("DELETE", f"sessions/{_part(session)}")

    async def close(self) -> None:
        for session in self._sessions:
            await session.close()
        self._sessions.clear()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()


def _part(name: str) -> str:
    return urllib.parse.quote(name, safe="")
