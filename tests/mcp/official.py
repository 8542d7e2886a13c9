"""The official packages of the Model Context Protocol, unchanged: the client against the gateway, and the gateway against
servers.

    official.py http://127.0.0.1:8080 RIVULET_BINARY NODE FOLDER

The gateway at that address needs the sample knowledge. FOLDER has the packages of tests/mcp/node, and NODE runs them. What
else is needed is started from the binary and ended by its process. Exits with 1 when something was not as it should be.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.request

from mcp.client import Client
from mcp.shared.exceptions import MCPError

PATIENCE_S = 30
USED = [
    "time.get_current_time", "pipes.echo", "pipes.get-sum", "pipes.get-tiny-image", "web.echo",
    "web.get-structured-content", "web.trigger-long-running-operation",
]
direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def check(kept, what):
    if not kept:
        raise AssertionError(what)


class Programs:
    """Programs that are ended when this is over, and a folder for them."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.folder = pathlib.Path(self.stack.enter_context(tempfile.TemporaryDirectory()))

    def start(self, command, pattern, **settings):
        """Starts one and returns what it tells."""
        log = self.folder / f"log-{time.monotonic_ns()}"
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "NO_COLOR": "1", **settings}
        with log.open("wb") as sink:
            program = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment, cwd=self.folder)
        self.stack.callback(program.wait)
        self.stack.callback(program.terminate)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and program.poll() is None:
            if found := re.search(pattern, log.read_text()):
                return found[0] if not found.groups() else found[1]
            time.sleep(0.05)
        raise AssertionError(f"{command} did not begin: {log.read_text()}")


async def searches(url):
    """The package's client finds passages, with every version that it speaks."""
    for mode, version in [("legacy", "2025-11-25"), ("auto", "2026-07-28"), ("2026-07-28", "2026-07-28")]:
        async with Client(f"{url}/mcp", mode=mode) as client:
            check(client.protocol_version == version, (mode, client.protocol_version))
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            check(list(tools) == ["search_knowledge", "list_collections"], tools)
            check(all(tool.annotations.read_only_hint for tool in tools.values()), tools)
            asked = {"query": "How long can I return a tent?", "top_k": 1}
            found = await client.call_tool("search_knowledge", asked)
            check(not found.is_error and "60 days" in found.content[0].text, found)
            check(found.structured_content["results"][0]["title"] == "Returns and refunds", found)
            listed = await client.call_tool("list_collections", {})
            check(listed.structured_content["collections"][0]["name"] == "default", listed)
            wrong = await client.call_tool("search_knowledge", {"query": "x", "top_k": 51})
            check(wrong.is_error and "1 to 50" in wrong.content[0].text, wrong)
            try:
                await client.call_tool("delete_everything", {})
                raise AssertionError("there is no such tool")
            except MCPError as refused:
                check(refused.error.code == -32602, refused)
    print("mcp: the client of the package finds passages, with every version", flush=True)


def ask(url, name, arguments):
    """What comes of the one call of a question."""
    body = {"message": f"call {name} {json.dumps(arguments)}", "assistant": "desk"}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/api/v1/chat", json.dumps(body).encode(), headers)
    with direct.open(request, timeout=PATIENCE_S) as answer:
        session = json.load(answer)["session_id"]
    with direct.open(f"{url}/api/v1/sessions/{session}", timeout=PATIENCE_S) as answer:
        messages = json.load(answer)["messages"]
    return next(tool for message in messages for tool in message.get("tools", []))


def asks(binary, node, folder):
    """The gateway asks the reference servers, over pipes and over HTTP."""
    programs = Programs()
    with programs.stack:
        everything = pathlib.Path(folder, "node_modules/@modelcontextprotocol/server-everything/dist/index.js")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        programs.start([node, everything, "streamableHttp"], r"listening on port", PORT=str(port))
        servers = {
            "time": f"command = '{sys.executable}'\nargs = ['-m', 'mcp_server_time']",
            "pipes": f"command = '{node}'\nargs = ['{everything}', 'stdio']",
            "web": f"url = 'http://127.0.0.1:{port}/mcp'\nprivate_hosts = ['127.0.0.1']\ncall_s = 1.5",
        }
        written = ""
        for name, reach in servers.items():
            reads = [tool.split(".")[1] for tool in USED if tool.startswith(name + ".")]
            written += f"[[mcp.servers]]\nname = '{name}'\n{reach}\nreads = {reads}\n"
        (programs.folder / "rivulet.toml").write_text(written)
        (programs.folder / "assistants").mkdir()
        (programs.folder / "assistants/desk.toml").write_text(f"[tools]\nuse = {USED}\n")

        here = ["--config", "rivulet.toml", "--data-dir", "data"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(programs.folder)}
        pinned = subprocess.run(
            [binary, "mcp", "pin", *here], cwd=programs.folder, env=environment, check=False, capture_output=True, text=True
        )
        check(pinned.returncode == 0, pinned.stderr)
        for tool in USED:
            check(f"{tool}: new, says that it reads alone" in pinned.stdout, pinned.stdout)

        model = programs.start([binary, "mock-llm"], r"(http://[0-9.:]+/v1)")
        url = programs.start(
            [binary, "serve", *here, "--bind", "127.0.0.1:0"], r"listening on (http://[0-9.:]+)",
            RIVULET_KNOWLEDGE_ENABLED="false", RIVULET_LLM_BASE_URL=model, RIVULET_LLM_MODEL="mock",
        )
        for tool, arguments, expected in [
            ("time__get_current_time", {"timezone": "Asia/Kolkata"}, "+05:30"),
            ("pipes__echo", {"message": "over pipes"}, "over pipes"),
            ("pipes__get-sum", {"a": 20, "b": 22}, "42"),
            ("pipes__get-tiny-image", {}, "image (image/png)"),
            ("web__echo", {"message": "over HTTP"}, "over HTTP"),
            ("web__get-structured-content", {"location": "Chicago"}, "temperature"),
            # Longer than `call_s`: it says how far it is.
            ("web__trigger-long-running-operation", {"duration": 4, "steps": 8}, "completed"),
        ]:
            came = ask(url, tool, arguments)
            check(came["status"] == "ok" and expected in json.dumps(came["data"]), came)
        came = ask(url, "time__get_current_time", {"timezone": "Nowhere/Land"})
        check(came["status"] == "error" and "the tool says" in came["summary"], came)
        with direct.open(f"{url}/health", timeout=PATIENCE_S) as answer:
            health = json.load(answer)["components"]["servers"]
        check([(one["name"], one["state"], one["off"]) for one in health] == [
            ("pipes", "ready", []), ("time", "ready", []), ("web", "ready", []),
        ], health)
    print("mcp: the reference servers are asked over pipes and HTTP", flush=True)


def main(url, binary, node, folder):
    asyncio.run(searches(url))
    asks(binary, node, folder)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception:
        traceback.print_exc()
        sys.exit(1)
