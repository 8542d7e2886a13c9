"""What a client gets through a proxy. Each check is a function whose documentation says what is promised."""

import asyncio
import dataclasses
import json
import pathlib
import ssl
import time
import zlib

from websockets.asyncio.client import connect

PATIENCE_S = 20
# Longer than the proxies bear silence in this test.
IDLE_S = 32
SPOOFED = "203.0.113.9"
SECRET_WORDS = ("http_requests_total", '"targets"', '"caches"', '"entries"')


class Broken(Exception):
    """A promise that was not kept."""


def check(kept, what):
    if not kept:
        raise Broken(what)


@dataclasses.dataclass
class Client:
    """Somebody outside, and what an operator knows of the gateway behind the proxy."""

    proxy: str
    name: str
    plain: int
    tls: int
    certificate: pathlib.Path
    address: str
    user: str
    token: str
    gateway: str
    admin: str
    folder: pathlib.Path

    @property
    def host(self):
        return f"{self.name}:{self.tls}"

    def trust(self):
        return ssl.create_default_context(cafile=self.certificate)

    def curl_arguments(self, path, *arguments):
        return ["curl", "--noproxy", "*", "--silent", "--show-error", "--max-time", "60", "--cacert", self.certificate,
                "--resolve", f"{self.host}:127.0.0.1", "--interface", self.address, *arguments,
                f"https://{self.host}{path}"]

    async def curl(self, path, *arguments):
        """Status, protocol, head and body."""
        wanted = "\n%{http_code} %{http_version}"
        process = await asyncio.create_subprocess_exec(
            *self.curl_arguments(path, "--include", "--write-out", wanted, *arguments),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
        out, err = await process.communicate()
        text = out.decode(errors="replace")
        check(process.returncode == 0, f"{path}: {err.decode()}")
        answer, _, last = text.rpartition("\n")
        status, protocol = last.split()
        head, _, body = answer.replace("\r\n", "\n").partition("\n\n")
        # The answer to `Expect: 100-continue` comes first.
        while head.split()[1] == "100":
            head, _, body = body.partition("\n\n")
        return int(status), protocol, head.lower(), body

    async def json(self, path, *arguments):
        status, _, _, body = await self.curl(path, "--header", f"Authorization: Bearer {self.token}", *arguments)
        check(status in (200, 201, 202), f"{path}: {status} {body}")
        return json.loads(body)

    async def ask(self, session):
        body = json.dumps({"text": "How is the weather?"})
        return await self.json(f"/api/v1/sessions/{session}/messages", "--header", "Content-Type: application/json",
                               "--data", body)

    async def raw(self, request):
        """Everything that comes back for these bytes, until the connection ends or nothing more comes."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.tls, ssl=self.trust(), server_hostname=self.name, local_addr=(self.address, 0))
        answer = b""
        try:
            writer.write(request)
            await writer.drain()
            while more := await asyncio.wait_for(reader.read(65536), 3):
                answer += more
        except (TimeoutError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()
        return answer

    async def as_operator(self, path):
        """What the gateway itself answers to an operator beside it."""
        reader, writer = await asyncio.open_connection(*self.gateway.split(":"))
        writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {self.admin}\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        check(answer.split()[1] == "200", answer)
        return answer.partition("\r\n\r\n")[2]


async def page(client):
    """the page comes over HTTP/2, with HSTS once, and only over TLS"""
    status, protocol, head, body = await client.curl("/")
    check(status == 200 and "<html" in body.lower(), f"{status} {body[:200]}")
    check(protocol == "2", f"HTTP/{protocol}")
    check(head.count("strict-transport-security:") == 1, head)
    process = await asyncio.create_subprocess_exec(
        "curl", "--noproxy", "*", "--silent", "--output", "/dev/null", "--resolve", f"{client.name}:{client.plain}:127.0.0.1",
        "--write-out", "%{http_code} %{redirect_url}", f"http://{client.name}:{client.plain}/x?y=1",
        stdout=asyncio.subprocess.PIPE)
    status, address = (await process.communicate())[0].decode().split()
    check(status in ("301", "308") and address.startswith(f"https://{client.name}"), f"{status} {address}")
    check(address.endswith("/x?y=1"), address)


async def socket(client):
    """a page's socket is let in by its origin, and the answer is proven by length and CRC"""
    headers = {"Authorization": f"Bearer {client.token}", "X-Forwarded-For": SPOOFED}
    async with connect(
        f"wss://{client.host}/api/v1/ws", host="127.0.0.1", port=client.tls, ssl=client.trust(), proxy=None,
        server_hostname=client.name, local_addr=(client.address, 0), origin=f"https://{client.host}",
        additional_headers=headers, ping_interval=None, open_timeout=PATIENCE_S,
    ) as ws:
        await answered(ws)


async def answered(ws):
    await ws.send(json.dumps({"message": "How is the weather?"}))
    text, pieces = "", 0
    while True:
        frame = json.loads(await asyncio.wait_for(ws.recv(), PATIENCE_S))
        check(frame["type"] != "error", f"{frame}")
        if frame["type"] == "delta":
            text, pieces = text + frame["text"], pieces + 1
        if frame["type"] == "run.done":
            break
    check(frame["status"] == "complete" and frame["len"] == len(text.encode("utf-16-le")) // 2, f"{frame}")
    check(frame["crc32"] == f"{zlib.crc32(text.encode()):08x}", f"{frame}")
    check(pieces >= 10, f"in {pieces} pieces")


async def idle_socket(client):
    """a socket that says nothing for longer than the proxy bears is held by the gateway's pings"""
    headers = {"Authorization": f"Bearer {client.token}"}
    async with connect(
        f"wss://{client.host}/api/v1/ws", host="127.0.0.1", port=client.tls, ssl=client.trust(), proxy=None,
        server_hostname=client.name, local_addr=(client.address, 0), additional_headers=headers, ping_interval=None,
        open_timeout=PATIENCE_S,
    ) as ws:
        check(json.loads(await ws.recv())["type"] == "welcome", "no welcome")
        over = time.monotonic() + IDLE_S
        pings = 0
        while (left := over - time.monotonic()) > 0:
            try:
                frame = json.loads(await asyncio.wait_for(ws.recv(), left))
            except TimeoutError:
                break
            check(frame["type"] == "ping", f"{frame}")
            await ws.send('{"type":"pong"}')
            pings += 1
        check(pings == 1, f"{pings} pings in {IDLE_S} s")
        await answered(ws)


async def events(client):
    """events come one by one, over HTTP/2"""
    session = (await client.json("/api/v1/sessions", "--request", "POST"))["session_id"]
    process = await asyncio.create_subprocess_exec(
        *client.curl_arguments(f"/api/v1/sessions/{session}/events", "--no-buffer", "--http2", "--header",
                               f"Authorization: Bearer {client.token}"),
        stdout=asyncio.subprocess.PIPE)
    try:
        times, asked = [], False
        while True:
            line = (await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)).decode()
            check(line, "the stream ended")
            if not line.startswith("data:"):
                continue
            kind = json.loads(line[5:])["type"]
            if not asked:
                check(kind == "welcome", kind)
                await client.ask(session)
                asked = True
            if kind == "delta":
                times.append(time.monotonic())
            if kind == "run.done":
                break
    finally:
        process.terminate()
        await process.wait()
    # The model takes two seconds for 40 words.
    apart = sum(later - earlier > 0.01 for earlier, later in zip(times, times[1:]))
    check(times[-1] - times[0] > 1 and apart >= 10, f"{len(times)} pieces in {times[-1] - times[0]:.2f} s, {apart} apart")


async def upload(client):
    """a document of 9 MiB comes through, one of 12 MiB is refused, and who sent it is known by address"""
    path = client.folder / "large.html"
    path.write_bytes(b"<!--" + b"x" * (9 << 20) + b"--><h1>Parking</h1><p>Parking is free on Sundays.</p>")
    document = await client.json("/api/v1/documents", "--header", f"X-Forwarded-For: {SPOOFED}", "--header",
                                 f"Forwarded: for={SPOOFED}", "--form", f"file=@{path}",
                                 "--form", f"key={client.user}")
    path.write_bytes(b"x" * (12 << 20))
    for protocol in ("--http1.1", "--http2"):
        status, _, _, body = await client.curl("/api/v1/documents", protocol, "--header",
                                               f"Authorization: Bearer {client.token}", "--form", f"file=@{path}")
        check(status == 413, f"{protocol}: {status} {body}")
    entries = json.loads(await client.as_operator("/api/v1/admin/audit"))["entries"]
    addresses = {entry["address"] for entry in entries if entry["user"] == client.user}
    check(addresses == {client.address}, f"{document}: from {addresses}")


async def hidden(client):
    """what is for administrators is not to be seen from outside, however it is spelled"""
    paths = ("/metrics", "/metrics/", "/%6Detrics", "//metrics", "/x/../metrics", "/METRICS", "/metrics?x",
             "/api/v1/admin/llm", "/api/v1/%61dmin/llm", "/api//v1/admin/llm", "/api/v1/admin%2Fllm",
             "/api/v1/x/../admin/cache", "/api/v1/admin/audit", "/API/v1/admin/audit")
    for path in paths:
        for protocol in ("--http1.1", "--http2"):
            status, _, _, body = await client.curl(path, "--path-as-is", protocol, "--header",
                                                   f"Authorization: Bearer {client.admin}")
            check(status in (400, 404), f"{path}: {status} {body[:200]}")
            check(not any(word in body for word in SECRET_WORDS), f"{path}: {body[:200]}")


async def names(client):
    """other names are not answered to"""
    request = b"GET /api/v1/version HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    answer = await client.raw(request)
    check(b'"version"' not in answer, f"{answer[:300]}")


async def smuggling(client):
    """heads that can be read in two ways get one refusal, or are read in one way by both"""
    inner = b"GET /metrics HTTP/1.1\r\nHost: " + client.host.encode() + b"\r\n\r\n"
    chunked = b"0\r\n\r\n" + inner
    for fields, body in (
        (b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n" % len(chunked), chunked),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", b"2f\r\n" + inner + b"\r\n0\r\n\r\n"),
        (b"Content-Length: 2\r\nContent-Length: %d\r\n" % (2 + len(inner)), b"{}" + inner),
        (b"Content-Length: 2, 3\r\n", b"{}" + inner),
        (b"Content-Length: +2\r\n", b"{}" + inner),
        (b"Transfer-Encoding : chunked\r\n", chunked),
        (b"Transfer-Encoding: xchunked\r\n", chunked),
        (b"Transfer-Encoding: chunked, identity\r\n", chunked),
    ):
        head = b"POST /api/v1/sessions HTTP/1.1\r\nHost: " + client.host.encode() + b"\r\n"
        answer = await client.raw(head + b"Content-Type: application/json\r\n" + fields + b"\r\n" + body)
        first, *further = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
        told = f"{fields}: {answer}"
        check(not any(word.encode() in answer for word in SECRET_WORDS), told)
        if first in (400, 501):
            check(not further, told)
        else:
            # By RFC 9112 a proxy may drop the length and go by the chunks. Then the gateway sees chunks only, and takes
            # the request for what it is: one without credentials. What follows is a request like any other.
            # A proxy that is still writing when that is refused may say that the gateway has hung up.
            check(b"Content-Length" in fields and b"chunked" in fields, told)
            check(first in (401, 502) and further in ([], [400], [404]), told)


CHECKS = (page, socket, idle_socket, events, upload, hidden, names, smuggling)
