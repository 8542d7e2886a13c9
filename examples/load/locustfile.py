"""Users of a Rivulet gateway for Locust, which measures the first text and the whole answer of each question:

    pip install locust rivulet-client
    locust --headless --locustfile locustfile.py --host http://127.0.0.1:8080 --users 50 --spawn-rate 5 --run-time 1m

RIVULET_TOKEN is a token or an API key where one is needed, RIVULET_ASSISTANT who is to answer. Every text is compared with the
length and checksum that the gateway tells. What `rivulet load` does besides is in docs/testing.md.
"""

import os
import time

from locust import User, between, events, task
from locust.env import Environment
from rivulet_client import Delta, RivuletError, RunDone
from rivulet_client.sync import Client, Session

QUESTIONS = ["What is a rivulet?", "And where does it begin?", "Who gives it a name?"]

clients: list[Client] = []


@events.test_start.add_listener
def come(environment: Environment, **_: object) -> None:
    """One client for all users of this process, made before there are any: one thread waits for all of their sockets."""
    clients.append(Client(environment.host or "http://127.0.0.1:8080", token=os.environ.get("RIVULET_TOKEN") or None))


@events.test_stop.add_listener
def leave(**_: object) -> None:
    while clients:
        clients.pop().close()


class Visitor(User):
    """Holds one conversation, and thinks between its questions."""

    wait_time = between(0.2, 1.0)
    session: Session | None = None

    def on_start(self) -> None:
        began = time.perf_counter()
        self.session = clients[0].session(assistant=os.environ.get("RIVULET_ASSISTANT") or None)
        error = None
        try:
            self.session.open()
        except RivuletError as broken:
            error = broken
        self.note("connect", began, 0, error)

    def on_stop(self) -> None:
        if self.session is not None:
            self.session.close()

    @task
    def ask(self) -> None:
        if self.session is None:
            return
        began, first, done, error = time.perf_counter(), None, None, None
        try:
            for event in self.session.stream(QUESTIONS[int(began * 1000) % len(QUESTIONS)]):
                if isinstance(event, Delta) and first is None:
                    first = time.perf_counter()
                    self.note("first text", began, 0, None)
                elif isinstance(event, RunDone):
                    done = event
            if done is None or done.status != "complete" or not done.proven:
                error = RivuletError(f"ended as {done.status if done else 'nothing'}")
        except RivuletError as broken:
            error = broken
        self.note("whole answer", began, len(done.text) if done else 0, error)

    def note(self, name: str, began: float, size: int, error: Exception | None) -> None:
        spent = (time.perf_counter() - began) * 1000
        self.environment.events.request.fire(
            request_type="ask", name=name, response_time=spent, response_length=size, exception=error, context={}
        )
