"""What the benchmarks share: servers as processes, what they use, the mock model, and tables."""

import contextlib
import hashlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = pathlib.Path(os.environ.get("RIVULET_CACHE", pathlib.Path.home() / ".cache/rivulet"))
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
RIVULET = os.environ.get("RIVULET", str(TARGET / "rivulet"))
RELAY = os.environ.get("RELAY", str(TARGET / "examples/relay"))
PROBE = os.environ.get("PROBE", str(TARGET / "examples/probe"))


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process that listens on a port, with the processes it started. `ready` is a path that answers when it is."""

    def __init__(self, name, command, port, env=None, cwd=None, ready=None):
        self.name, self.port = name, port
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, env={**os.environ, **(env or {})}, cwd=cwd, stdout=self.log, stderr=self.log
        )
        deadline = time.monotonic() + 300
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                if ready:
                    self.get(ready)
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{name} did not start:\n{self.said()}")
            time.sleep(0.05)

    def said(self):
        """The end of what it wrote to its log."""
        self.log.seek(0)
        return "\n".join(self.log.read().decode(errors="replace").splitlines()[-12:])

    def pids(self):
        found = [self.process.pid]
        for pid in found:
            for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found += [int(child) for child in children.read_text().split()]
        return found

    def cpu_s(self):
        """Seconds of processor time so far, in user and system mode; to the nanosecond."""
        # As `clock_getcpuclockid` makes it of a process: what /proc says has steps of ten milliseconds.
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids())

    def memory_kb(self, field="VmRSS"):
        total = 0
        for pid in self.pids():
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith(field + ":"):
                    total += int(line.split()[1])
        return total

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.read().decode()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def running(server):
    try:
        yield server
    finally:
        server.stop()


def mock(rate, tokens=None, stamped=True, faults=()):
    """A model. The faults are those of its requests in their order."""
    port = free_port()
    command = [RIVULET, "mock-llm", "--addr", f"127.0.0.1:{port}", "--rate", str(rate)]
    command += ["--tokens", str(tokens)] if tokens else []
    command += ["--stamped"] if stamped else []
    # One argument must stay below 128 KiB.
    for at in range(0, len(faults), 2000):
        command += ["--fault", ",".join(faults[at:at + 2000])]
    return running(Server("mock-llm", command, port))


# Only what this gateway knows: an unknown setting is refused.
SETTINGS = {
    "knowledge.enabled": "false",
    "limits.connections_per_ip": "0",
    "limits.messages_per_min": "0",
    "limits.requests": "0",
    "llm.max_output_tokens": "100000",
    "llm.cache_entries": "0",
    "server.drain_s": "1",
}


@contextlib.contextmanager
def rivulet(model, **more):
    """The gateway before a model; further settings as environment variables, for those that it knows."""
    known = (ROOT / "docs/configuration.md").read_text()
    settings = {
        "RIVULET_" + key.upper().replace(".", "_"): value for key, value in SETTINGS.items() if f"`{key}`" in known
    }
    if "RIVULET_LLM_TARGETS" not in more:
        settings["OPENAI_BASE_URL"] = f"http://127.0.0.1:{model.port}/v1"
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        command = [RIVULET, "--bind", f"127.0.0.1:{port}", "--data-dir", folder, "serve"]
        env = {"LOG_LEVEL": "warn", **settings, **more}
        with running(Server("Rivulet", command, port, env, cwd=folder)) as server:
            yield server


@contextlib.contextmanager
def peer(name, command, model):
    port = free_port()
    env = {"OPENAI_BASE_URL": f"http://127.0.0.1:{model.port}/v1", "OPENAI_API_KEY": "none"}
    with running(Server(name, [*command, str(port)], port, env)) as server:
        yield server


def cache_folder(name, *pins):
    mark = hashlib.sha256(b"".join(pin.read_bytes() for pin in pins)).hexdigest()[:16]
    return CACHE / "deps" / f"peer-{name}-{mark}"


def python_folder(name):
    """A virtual environment with what `name/requirements.txt` pins by hash."""
    pins = HERE / name / "requirements.txt"
    folder = cache_folder(name, pins)
    if not (folder / "installed").exists():
        say(f"installing {', '.join((HERE / name / 'requirements.in').read_text().split())}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                        "--require-hashes", "--requirement", pins], check=True, stdout=sys.stderr)
        (folder / "installed").touch()
    return folder


def table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)
