"""A gateway and a model's server for it as ordinary processes on free loopback ports, and what they take of the machine."""

import contextlib
import dataclasses
import os
import pathlib
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
import time

SECRET = os.urandom(32).hex()
TICK = os.sysconf("SC_CLK_TCK")
STARTED_WITHIN_S = 60
# What a gateway that others can reach has by itself; behind a loopback address it has none of these.
LIMITS = {"CONNECTIONS_PER_IP": 100, "REQUESTS": 100, "MESSAGES_PER_MIN": 30, "SESSIONS_PER_HOUR": 600, "UPLOADS_PER_HOUR": 1000}
TOKENS, RATE = 100, 50


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(folder):
    """One for this machine, signed by itself."""
    crt, key = folder / "flood.crt", folder / "flood.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-keyout", key, "-out", crt],
        check=True, capture_output=True,
    )
    return crt, key


class Process:
    """A program in the background; it ends with the block that it was started for."""

    def __init__(self, arguments, environment, log):
        with log.open("wb") as output:
            self.child = subprocess.Popen(list(map(str, arguments)), env=environment, cwd=log.parent, stdout=output, stderr=output)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def cpu(self):
        """Seconds of processor time so far."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self):
        """Megabytes of memory that it has now."""
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def files(self):
        """Open files, which are its connections and a few others."""
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))


@dataclasses.dataclass
class Gateway:
    process: Process
    host: str
    has_tls: bool
    command: list
    environment: dict

    def url(self, path, scheme="http"):
        return f"{scheme}{'s' if self.has_tls else ''}://{self.host}{path}"

    @property
    def address(self):
        name, port = self.host.split(":")
        return name, int(port)

    def context(self):
        if not self.has_tls:
            return None
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def token(self, user, *scopes):
        more = [part for scope in scopes for part in ("--scope", scope)]
        made = subprocess.run([*self.command, "token", "--user", user, *more], env=self.environment, check=True,
                              capture_output=True, text=True)
        return made.stdout.strip()


def wait_for(address, process, log):
    until = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < until and process.child.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=1):
            return
        time.sleep(0.02)
    sys.exit(f"{process.child.args[0]} does not listen:\n{log.read_text()}")


@contextlib.contextmanager
def place(binary, folder, is_open=False, has_tls=False, knows=False, **limits):
    """A gateway where everybody has to say who they are, unless it is open, with the limits of one that others can reach."""
    model, port = free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"], "NO_COLOR": "1", "REQUIRE_AUTHENTICATION": str(not is_open).lower(), "JWT_SECRET_KEY": SECRET,
        "OPENAI_BASE_URL": f"http://127.0.0.1:{model}/v1", "RIVULET_KNOWLEDGE_ENABLED": str(knows).lower(),
        "RIVULET_LLM_CACHE_ENTRIES": "0", "RIVULET_TELEMETRY_LOG_FORMAT": "json",
    }
    if knows:
        environment["RIVULET_KNOWLEDGE_MODEL_DIR"] = os.environ["RIVULET_KNOWLEDGE_MODEL_DIR"]
    environment |= {f"RIVULET_LIMITS_{name}": str(value) for name, value in (LIMITS | limits).items()}
    if has_tls:
        environment["RIVULET_SERVER_TLS_CERT"], environment["RIVULET_SERVER_TLS_KEY"] = map(str, certificate(folder))
    command = [str(binary)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    serve = [*command, "serve", "--bind", f"127.0.0.1:{port}", "--data-dir", folder / "data"]
    mock = [*command, "mock-llm", "--addr", f"127.0.0.1:{model}", "--rate", RATE, "--tokens", TOKENS]
    model_log, log = folder / "model.log", folder / "gateway.log"
    with Process(mock, {"PATH": os.environ["PATH"]}, model_log) as server, Process(serve, environment, log) as process:
        wait_for(("127.0.0.1", model), server, model_log)
        wait_for(("127.0.0.1", port), process, log)
        yield Gateway(process, f"127.0.0.1:{port}", has_tls, command, environment)
