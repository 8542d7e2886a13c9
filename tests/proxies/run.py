"""Runs the configurations of deploy/proxies: nginx, HAProxy and Caddy, each with the gateway behind it.

    run.py RIVULET_BINARY

Each proxy is an ordinary process on free loopback ports, with a copy of its configuration in which only addresses,
paths and the bound on silence are others. What is checked is in checks.py. All of them are gone when this is over.
"""

import asyncio
import contextlib
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from checks import CHECKS, Broken, Client

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAME = "chat.example"
SECRET = os.urandom(32).hex()
STARTED_WITHIN_S = 60
STOPPED_WITHIN_S = 40
# In place of the 330 seconds of the configurations. The gateway pings after 25 seconds of silence.
SILENCE = "28s"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def copy_of(name, changes, folder):
    """A configuration with these changes; what is to be changed has to be there."""
    text = (ROOT / "deploy" / "proxies" / name).read_text()
    for old, new in changes.items():
        if old not in text:
            raise Broken(f"{name} has no {old!r} any more")
        text = text.replace(old, new)
    path = folder / name
    path.write_text(text)
    return path


def certificate(folder):
    """One for the name, signed by itself."""
    crt, key, pem = folder / "chat.crt", folder / "chat.key", folder / "chat.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", key, "-out", crt],
        check=True, capture_output=True,
    )
    pem.write_text(crt.read_text() + key.read_text())
    return crt, key, pem


def nginx(folder, plain, tls, upstream):
    crt, key, _ = certificate(folder)
    temporary = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.getuid() == 0 else ""
    config = copy_of("nginx.conf", {
        "user www-data;": f"{user}\ndaemon off;",
        "/run/nginx.pid": f"{folder}/nginx.pid",
        "/var/log/nginx/error.log warn": "stderr warn",
        "/var/log/nginx/access.log": f"{folder}/access.log",
        "worker_rlimit_nofile 65536;": "",
        "worker_connections 32768;": "worker_connections 512;",
        "http {\n": "http {\n" + temporary,
        "127.0.0.1:8080": upstream,
        "listen 443": f"listen 127.0.0.1:{tls}",
        "listen 80": f"listen 127.0.0.1:{plain}",
        "/etc/ssl/rivulet/chat.example.crt": str(crt),
        "/etc/ssl/rivulet/chat.example.key": str(key),
        "330s": SILENCE,
    }, folder)
    return ["nginx", "-e", "stderr", "-p", folder, "-c", config]


def haproxy(folder, plain, tls, upstream):
    _, _, pem = certificate(folder)
    config = copy_of("haproxy.cfg", {
        "    log /dev/log local0 notice\n    user haproxy\n    group haproxy\n    chroot /var/lib/haproxy\n":
            "    log stderr format raw local0 notice\n",
        "maxconn 32768": "maxconn 512",
        "bind :80": f"bind 127.0.0.1:{plain}",
        "bind :443": f"bind 127.0.0.1:{tls}",
        "/etc/ssl/rivulet/chat.example.pem": str(pem),
        "127.0.0.1:8080": upstream,
        "330s": SILENCE,
    }, folder)
    return ["haproxy", "-db", "-f", config]


def caddy(folder, plain, tls, upstream):
    crt, key, _ = certificate(folder)
    config = copy_of("Caddyfile", {
        "{\n\tservers": f"{{\n\tadmin off\n\tdefault_bind 127.0.0.1\n\thttp_port {plain}\n\thttps_port {tls}\n\tservers",
        "\n{$RIVULET_NAME:chat.example} {\n": f"\n{{$RIVULET_NAME:chat.example}} {{\n\ttls {crt} {key}\n",
        "127.0.0.1:8080": upstream,
        "330s": SILENCE,
        "idle 75s": f"idle {SILENCE}",
    }, folder)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", config]


class Process:
    """A program in the background with its output in a file. It ends with the block that it was started for."""

    def __init__(self, name, arguments, environment, folder):
        self.log = folder / f"{name}.log"
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        home = {"PATH": path, "HOME": str(folder), "TMPDIR": str(folder), "NO_COLOR": "1"}
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                [str(argument) for argument in arguments], env=home | environment, cwd=folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        self.name = name

    def until(self, what, found):
        """What `found` gives, as soon as it gives something."""
        deadline = time.monotonic() + STARTED_WITHIN_S
        while time.monotonic() < deadline:
            if (value := found()) is not None:
                return value
            if self.child.poll() is not None:
                break
            time.sleep(0.05)
        raise Broken(f"{self.name}: {what} did not come:\n{self.log.read_text(errors='replace')}")

    def address(self):
        pattern = re.compile(r"http://(127\.0\.0\.1:\d+)")

        def found():
            match = pattern.search(self.log.read_text(errors="replace"))
            return match and match[1]

        return self.until("its address", found)

    def listens(self, port):
        def found():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return True

        self.until(f"port {port}", found)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        try:
            self.child.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise Broken(f"{self.name} was still there {STOPPED_WITHIN_S} s after SIGTERM") from None


def token(binary, user, *scopes):
    arguments = [binary, "token", "--user", user, *(f"--scope={scope}" for scope in scopes)]
    environment = {"PATH": os.environ["PATH"], "JWT_SECRET_KEY": SECRET}
    return subprocess.run(arguments, env=environment, cwd="/", check=True, capture_output=True, text=True).stdout.strip()


async def judge(client):
    """How often what held, and a line for each."""
    failed = 0

    async def one(check):
        nonlocal failed
        try:
            await check(client)
            print(f"ok    {client.proxy:8} {check.__doc__}")
        except Exception as error:  # noqa: BLE001: whatever it is, the others are asked, too.
            failed += 1
            told = str(error) if isinstance(error, Broken) else "".join(traceback.format_exception(error))
            print(f"FAIL  {client.proxy:8} {check.__doc__}: {told}")

    await asyncio.gather(*(one(check) for check in CHECKS))
    return failed


def main():
    binary = str(pathlib.Path(sys.argv[1]).resolve())
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        work = pathlib.Path(name)
        model = stack.enter_context(Process(
            "mock-llm", [binary, "mock-llm", "--rate", "20", "--tokens", "40"], {}, work))
        gateway = stack.enter_context(Process("gateway", [binary, "serve", "--bind", "127.0.0.1:0"], {
            "ENVIRONMENT": "production",
            "REQUIRE_AUTHENTICATION": "true",
            "JWT_SECRET_KEY": SECRET,
            "OPENAI_BASE_URL": f"http://{model.address()}/v1",
            "RIVULET_KNOWLEDGE_MODEL_DIR": str(pathlib.Path(os.environ["RIVULET_KNOWLEDGE_MODEL_DIR"]).resolve()),
            "RIVULET_LLM_CACHE_ENTRIES": "0",
            "RIVULET_SERVER_TRUSTED_PROXIES": "127.0.0.1",
            "RIVULET_TELEMETRY_LOG_FORMAT": "pretty",
        }, work))
        upstream = gateway.address()
        clients = []
        for number, start in enumerate((nginx, haproxy, caddy), start=2):
            folder = work / start.__name__
            folder.mkdir()
            plain, tls = free_port(), free_port()
            process = stack.enter_context(
                Process(start.__name__, start(folder, plain, tls, upstream), {}, folder))
            process.listens(tls)
            # A client for each, with an address that is not the proxy's.
            clients.append(Client(
                proxy=start.__name__, name=NAME, plain=plain, tls=tls, certificate=folder / "chat.crt",
                address=f"127.0.0.{number}", user=start.__name__, token=token(binary, start.__name__),
                gateway=upstream, admin=token(binary, "operator", "admin"), folder=folder))

        async def all_of_them():
            return sum(await asyncio.gather(*map(judge, clients)))

        failed = asyncio.run(all_of_them())
        if failed:
            for log in sorted(work.rglob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')}", file=sys.stderr)
    print(f"proxies: {len(clients) * len(CHECKS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
