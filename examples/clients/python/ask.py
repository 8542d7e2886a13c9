"""Asks a question and waits for the whole answer: python ask.py "How long can I return a tent?" """

import sys
import uuid

from gateway import call

# The same id with each try: the question is asked, and paid for, once.
answer = call("POST", "chat", json={"id": str(uuid.uuid4()), "message": sys.argv[1]}).json()
print(f"{answer['response']}\n({answer['status']})")
for source in answer.get("sources", []):
    print(f"[{source['n']}] {source['title']}")
