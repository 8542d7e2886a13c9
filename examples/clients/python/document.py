"""Adds a document, waits until it is found, and asks: python document.py FILE "When does the office open?" """

import json
import pathlib
import sys
import time
import uuid

import httpx
from gateway import backoff, call, client


def finished(job):
    """Follows a job to its end. Each event has the whole state, so whoever comes back needs no cursor."""
    for attempt in range(100):
        try:
            with client.stream("GET", f"jobs/{job}/events", timeout=40) as events:
                for line in events.iter_lines():
                    if not line.startswith("data:"):
                        continue
                    state = json.loads(line[5:])
                    print(f"{state['state']} {state['done']}/{state['total']}", file=sys.stderr)
                    if state["state"] == "done":
                        return
                    if state["state"] in ("failed", "cancelled"):
                        sys.exit(state.get("error", {}).get("message", state["state"]))
        except httpx.TransportError:
            pass
        time.sleep(backoff(attempt))
        call("GET", f"jobs/{job}")  # Ends here when nobody may ask any more.


path, question = pathlib.Path(sys.argv[1]), sys.argv[2]
# The same key with each try: one document, one version.
key = {"Idempotency-Key": str(uuid.uuid4())}
added = call("POST", "documents", headers=key, files={"file": (path.name, path.read_bytes())}).json()
if "job" in added:  # Without one, the gateway has this very document already.
    finished(added["job"])

answer = call("POST", "chat", json={"id": str(uuid.uuid4()), "message": question}).json()
print(answer["response"])
for source in answer.get("sources", []):
    print(f"[{source['n']}] {source['title']}")
