"""What authentication and limits cost: the same conversations with and without them, in turn."""

import base64
import contextlib
import json
import os
import random
import socket
import statistics
import struct
import subprocess
import time

from servers import RIVULET, mock, rivulet, say, table

AUTH = {"RIVULET_AUTH_REQUIRED": "true", "JWT_SECRET_KEY": "a secret of a benchmark, which is no secret"}
# All that there are, and so high that none is reached.
LIMITS = {f"RIVULET_LIMITS_{name}": "1000000" for name in (
    "REQUESTS", "MESSAGES_PER_MIN", "SESSIONS_PER_HOUR", "UPLOADS_PER_HOUR", "CONNECTIONS_PER_IP", "RUNS",
    "RUNS_PER_USER",
)} | {f"RIVULET_LIMITS_{name}": "1000000000000" for name in (
    "TOKENS_PER_MIN", "TOKENS_PER_DAY", "TENANT_TOKENS_PER_MIN", "TENANT_TOKENS_PER_DAY",
)}
VARIANTS = {"neither": {}, "authentication": AUTH, "limits": LIMITS, "both": AUTH | LIMITS}
# So many conversations at a time.
AT_ONCE = 10
# Tokens of a long answer, a second.
RATE, TOKENS = 100, 100


def guards(size):
    costs = {what: {name: [] for name in VARIANTS} for what, *_ in ROWS}
    for start in range(size["starts"]):
        with contextlib.ExitStack() as stack:
            models = [stack.enter_context(mock(*model, stamped=False)) for model in ((0, 1), (RATE, TOKENS))]
            # Where a process has its memory makes a difference: in every start it is another one.
            gateways = {name: [Gateway(stack.enter_context(rivulet(model, **VARIANTS[name])), VARIANTS[name])
                               for model in models] for name in shuffled(VARIANTS)}
            for turn in range(size["turns"] + 1):
                for what, model, drive, times, count in ROWS:
                    found = in_turn({name: both[model] for name, both in gateways.items()}, drive, times)
                    if turn > 0:  # The first one warms up.
                        for name, cost in found.items():
                            costs[what][name].append(cost / (AT_ONCE * times * count) * 1e6)
                say(f"  start {start + 1}, round {turn}")
    print("### Authentication and limits\n\nProcessor time of the gateway; what they add is the median of "
          f"{size['starts'] * size['turns']} rounds, each against neither in the same round, and in brackets between which "
          "values lies the middle half.\n")
    table(["", *VARIANTS], [[what, *(added(name, of) for name in VARIANTS)] for what, of in costs.items()])


def in_turn(gateways, drive, times):
    """The processor time of each gateway; they alternate, so that whatever else the machine does hits all of them."""
    opened = {name: [gateway.open() for _ in range(AT_ONCE)] for name, gateway in gateways.items()}
    for sockets in opened.values():
        ask(sockets)
    time.sleep(0.1)  # What is left to be done is done, here and below.
    before = {name: gateway.server.cpu_s() for name, gateway in gateways.items()}
    for _ in range(times):
        for name in shuffled(gateways):
            drive(gateways[name], opened[name])
    time.sleep(0.1)
    costs = {name: gateway.server.cpu_s() - before[name] for name, gateway in gateways.items()}
    for sockets in opened.values():
        close(sockets)
    return costs


def added(name, costs):
    plain = costs["neither"]
    if name == "neither":
        return f"{statistics.median(plain):.1f} µs"
    low, middle, high = statistics.quantiles([guarded - bare for guarded, bare in zip(costs[name], plain)], n=4)
    return f"{middle:+.1f} µs ({low:+.1f} to {high:+.1f})"


def shuffled(names):
    return random.sample(list(names), len(names))


def open_and_close(gateway, _):
    close([gateway.open() for _ in range(AT_ONCE)])


def begin_conversations(gateway, _):
    sockets = [gateway.open() for _ in range(AT_ONCE)]
    ask(sockets)
    close(sockets)


def go_on(_, opened):
    ask(opened)


# What it is of, the model, what is done, how often in a round, and how many there are of it in each of these.
ROWS = [
    ("a socket, from its opening to its end", 0, open_and_close, 10, 1),
    ("the same with a question", 0, begin_conversations, 10, 1),
    ("a question, with an answer of one token", 0, go_on, 40, 1),
    ("a token, with its part of all else", 1, go_on, 1, TOKENS),
]


def ask(sockets):
    for each in sockets:
        each.send(0x1, b'{"type":"send","text":"hello"}')
    for each in sockets:
        each.wait("run.done")


def close(sockets):
    for each in sockets:
        each.send(0x8, struct.pack("!H", 1000))
    for each in sockets:
        while each.stream.read(1 << 12):
            pass
        each.stream.close()
        each.socket.close()


class Gateway:
    def __init__(self, server, settings):
        self.server, self.token = server, None
        if "JWT_SECRET_KEY" in settings:
            command = [RIVULET, "token", "--user", "ann", "--expires", "1h"]
            made = subprocess.run(command, env={**os.environ, **settings}, check=True, capture_output=True, text=True)
            self.token = made.stdout.strip()

    def open(self):
        return Socket(self.server.port, self.token)


class Socket:
    """The smallest client of the protocol."""

    def __init__(self, port, token):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocols = "chat.v1" + (f", bearer.{token}" if token else "")
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {protocols}\r\n\r\n".encode()
        )
        self.stream = self.socket.makefile("rb")
        status = self.stream.readline()
        if b" 101 " not in status:
            raise RuntimeError(f"no socket: {status}")
        while self.stream.readline().strip():
            pass
        self.wait("welcome")

    def send(self, opcode, payload):
        mask = bytes(4)  # Changes nothing, and nobody is in between who could be misled.
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + mask + payload)

    def wait(self, kind):
        """Reads until a frame of this kind; the gateway's are whole."""
        while True:
            opcode, length = self.stream.read(2)
            if length > 125:
                length, = struct.unpack(*(("!H", self.stream.read(2)) if length == 126 else ("!Q", self.stream.read(8))))
            payload = self.stream.read(length)
            said = json.loads(payload)["type"] if opcode == 0x81 else None
            if said == kind:
                return
            if said in ("error", "run.error") or opcode == 0x88:
                raise RuntimeError(f"instead of {kind}: {payload}")
