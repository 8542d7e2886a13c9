"""The gateway, and requests to it; the programs beside this one begin with it. Needs the package httpx.

RIVULET_URL names the gateway, RIVULET_TOKEN is a token or an API key, where one is needed.
"""

import os
import random
import time

import httpx

URL = os.environ.get("RIVULET_URL", "http://127.0.0.1:8080")
TOKEN = os.environ.get("RIVULET_TOKEN")
HEADERS = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
TRIES = 7

client = httpx.Client(base_url=f"{URL}/api/v1/", headers=HEADERS, timeout=150)  # A whole answer may take two minutes.


class Refused(Exception):
    """What the gateway does not do: `code` is for programs, the request's id is what its log has."""

    def __init__(self, problem):
        super().__init__("{status} {code}: {detail} (request {request_id})".format(**problem))
        self.code = problem["code"]


def backoff(attempt):
    """Full jitter, so that not all clients come back at once: 1 second at most, then 2, 4, up to 30."""
    return random.uniform(0, min(30, 2**attempt))


def call(method, path, **options):
    """Makes a request. What is lost, and what the gateway cannot do just now, is tried again: after as long as it says, or
    longer each time. So what changes something needs an id of its own."""
    for attempt in range(TRIES):
        try:
            answer = client.request(method, path, **options)
        except httpx.TransportError:
            if attempt + 1 == TRIES:
                raise
            time.sleep(backoff(attempt))
            continue
        if answer.is_success:
            return answer
        if answer.status_code not in (408, 429, 503) or attempt + 1 == TRIES:
            raise Refused(answer.json())
        seconds = float(answer.headers.get("Retry-After", 0))
        time.sleep(seconds + backoff(0 if seconds else attempt))
