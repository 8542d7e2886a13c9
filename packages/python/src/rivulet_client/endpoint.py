"""Where the gateway is, who is asking, and plain requests to it."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable
from http.client import HTTPException
from typing import Any

from .errors import Refused, RivuletError, Unreachable
from .wire import Frame

Credential = str | Callable[[bool], "str | None | Awaitable[str | None]"]
"""A token or API key; or what gives one, or `None`, each time that one is needed. It is told whether the gateway has not
taken the last one, so that one which is kept somewhere will not do."""

REQUEST_LIMIT_S = 15.0
# As much as a page of messages can have, and far more than it has.
ANSWER_LIMIT_BYTES = 64 << 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect to elsewhere would take the token there."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Endpoint:
    """The address of a gateway, with or without a path, and the credentials for it."""

    def __init__(self, url: str, token: Credential | None, ticket: Callable[[], str | Awaitable[str]] | None) -> None:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        if scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(f"{url!r} is no address of a gateway: http://HOST:PORT, or https://HOST")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("the address of a gateway has no user, query or fragment: give the token as `token`")
        self.base = f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._token = token
        self._ticket = ticket

    @property
    def can_renew(self) -> bool:
        """Whether a socket's credentials can be had anew. A ticket has the end of the token that it was made with."""
        return callable(self._token) or self._ticket is not None

    @property
    def only_sockets(self) -> bool:
        """A ticket opens a socket; a request takes a token."""
        return self._ticket is not None and self._token is None

    async def token(self, expired: bool = False) -> str | None:
        """The token to go with. Whatever its callback raises is the caller's."""
        if not callable(self._token):
            return self._token
        value = await asyncio.wait_for(_value(self._token, expired), REQUEST_LIMIT_S)
        return value or None

    async def headers(self, expired: bool = False) -> dict[str, str]:
        token = await self.token(expired)
        return {"Authorization": f"Bearer {token}"} if token else {}

    async def socket(
        self, session: str | None, cursor: str | None, assistant: str | None, expired: bool
    ) -> tuple[str, dict[str, str]]:
        """The address of a socket, and the headers of its handshake."""
        query: dict[str, str] = {}
        if session and cursor:
            query["resume"] = cursor
        if not session and assistant:
            query["assistant"] = assistant
        headers: dict[str, str] = {}
        if self._ticket is not None:
            ticket: str | None = await asyncio.wait_for(_value(self._ticket), REQUEST_LIMIT_S)
            query["ticket"] = ticket or ""
        else:
            headers = await self.headers(expired)
        path = "ws" if session is None else f"ws/{urllib.parse.quote(session, safe='')}"
        return self.address(path, query).replace("http", "ws", 1), headers

    def address(self, path: str, query: dict[str, str] | None = None) -> str:
        return f"{self.base}/api/v1/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")

    async def request(
        self, method: str, path: str, body: Frame | None = None, query: dict[str, str] | None = None
    ) -> Frame:
        """One request and its answer, in JSON. A token that is not taken is renewed once. Raises `Refused`, `Unreachable`."""
        for expired in (False, True):
            headers = await self.headers(expired)
            try:
                return await asyncio.to_thread(_request, method, self.address(path, query), headers, body)
            except Refused as refused:
                if refused.status != 401 or expired or not callable(self._token):
                    raise
        raise AssertionError("unreachable")


async def _value(make: Callable[..., Any], *arguments: bool) -> str | None:
    value = make(*arguments)
    if asyncio.iscoroutine(value) or isinstance(value, Awaitable):
        value = await value
    return value if isinstance(value, str) else None


def _request(method: str, url: str, headers: dict[str, str], body: Frame | None) -> Frame:
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        headers = {**headers, "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=REQUEST_LIMIT_S) as answer:
            return _object(answer.read(ANSWER_LIMIT_BYTES))
    except urllib.error.HTTPError as refused:
        with refused:
            raise problem(refused.code, refused.read(1 << 20), refused.headers.get("Retry-After")) from None
    except (OSError, HTTPException) as error:
        raise Unreachable(f"{url}: {error}") from error


def problem(status: int, body: bytes, retry_after: str | None) -> Refused:
    """What a refusal over HTTP says."""
    try:
        said = _object(body)
    except RivuletError:
        said = {}
    wait = float(retry_after) if retry_after and retry_after.isdigit() else None
    return Refused(
        str(said.get("code", f"http_{status}")),
        str(said.get("detail", f"the gateway answered with status {status}")),
        retryable=status in (408, 429, 502, 503, 504),
        retry_in=wait,
        status=status,
    )


def _object(body: bytes) -> Frame:
    if not body:
        return {}
    try:
        value = json.loads(body)
    except ValueError as error:
        raise RivuletError("the gateway's answer is no JSON") from error
    return value if isinstance(value, dict) else {}
