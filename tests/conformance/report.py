"""Judges the report of the Autobahn suite and writes it as a table: `report.py INDEX_JSON DOCUMENT`.

The table replaces what stands below the line `<!-- results -->` of the document. Ends with 1 when a case failed.
"""

import collections
import json
import pathlib
import sys

MARK = "<!-- results -->\n"
# The suite's own words. Whatever is not among these is a failure.
PASSED = ("OK", "NON-STRICT", "INFORMATIONAL")
GROUPS = {1: "framing", 2: "pings and pongs", 3: "reserved bits", 4: "opcodes", 5: "fragmentation", 6: "UTF-8",
          7: "closing", 9: "large messages, many small ones", 10: "automatic fragmentation"}


def main(index, document):
    (cases,) = json.loads(pathlib.Path(index).read_text()).values()
    counts = collections.defaultdict(collections.Counter)
    others = []
    for name, case in sorted(cases.items(), key=lambda item: [int(part) for part in item[0].split(".")]):
        # A case has two marks: for what was said, and for how the connection was closed.
        marks = [case["behavior"], case["behaviorClose"]]
        worst = next((mark for mark in marks if mark not in PASSED), None)
        mark = worst or max(marks, key=PASSED.index)
        counts[int(name.split(".")[0])][mark if mark in PASSED else "FAILED"] += 1
        if mark != "OK":
            others.append((name, mark))
    total = sum(counts.values(), collections.Counter())
    lines = ["| cases | about | OK | NON-STRICT | INFORMATIONAL | failed |", "|---|---|---|---|---|---|"]
    for group, count in sorted(counts.items()):
        lines.append(row(f"{group}.*", GROUPS.get(group, ""), count))
    lines.append(row(f"all {total.total()}", "", total))
    lines += ["", "Not simply OK: " + (", ".join(f"{name} {mark}" for name, mark in others) or "none") + "."]
    text = "\n".join(lines) + "\n"
    path = pathlib.Path(document)
    path.write_text(path.read_text().partition(MARK)[0] + MARK + text)
    print(text, end="")
    return 1 if total["FAILED"] or not total else 0


def row(cases, about, count):
    return f"| {cases} | {about} | " + " | ".join(str(count[mark]) for mark in (*PASSED, "FAILED")) + " |"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
