#!/usr/bin/env python3
"""Chooses from the corpus how clients word each cause, for `whyd explain CAUSE` and docs/causes.md: a text of each family
of clients, in its newest version, as it logs it. Writes src/model/cause_docs/heard.tsv."""
import glob
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
FAMILIES = ["python requests", "python httpx", "python aiohttp", "node fetch", "node axios", "go net/http", "java java.net.http", "java HttpURLConnection", "dotnet HttpClient", "rust reqwest", "curl", "python grpcio"]
# Longest text and most texts for one cause.
LONGEST, MOST = 260, 8


def shown(text):
    """The line that says most, without what only the lab would say: an object's address, the query."""
    text = re.sub(r"<([\w.]+) object at 0x[0-9a-f]+>", r"<\1>", text)
    text = re.sub(r"\?token=hunter2", "", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    # What the driver itself made of a status is no client's wording.
    if re.search(r"Request failed: \d|unexpected status:|Unexpected response code:|socket timeout", text):
        return ""
    if "TypeError: fetch failed" in lines[0] or "TypeError: terminated" in lines[0]:
        inner = [line for line in lines if "cause" in line]
        return (lines[0] + " … " + inner[0]).replace("] {", "]").replace(" {", "") if inner else lines[0].strip("[]{ ")
    if "StatusCode." in text:
        return " ".join(line for line in lines[1:3])
    return lines[0] if not lines[0].startswith("Traceback") else lines[-1]


def versions(path):
    record = json.load(open(path))
    number = [int(n) for n in re.findall(r"\d+", record["version"])]
    return record["client"], number, record


records = sorted((versions(p) for p in glob.glob(HERE + "/../*/*.json")), key=lambda r: (r[0], r[1]), reverse=True)
rows, count, seen = [], {}, set()
causes = sorted({e["cause"] for _, _, r in records for e in r["entries"]})
for cause in causes:
    for family in FAMILIES:
        for client, _, record in records:
            if client != family or (cause, family) in seen or count.get(cause, 0) >= MOST:
                continue
            for e in record["entries"]:
                text = re.sub(r"^\[(.*?)\](?: \{)?(?= … |$)", r"\1", shown(e["text"]))
                told = e["cause"] == cause and e["shape"] == "text" and text.isprintable() and text
                if told and len(text) <= LONGEST and not re.search(r"timed? ?out|deadline", text, re.I) == ("timed_out" in cause or "504" in cause or "deadline" in cause):
                    seen.add((cause, family))
                    count[cause] = count.get(cause, 0) + 1
                    rows.append(f"{cause}\t{client} {record['version']}\t{text}\n")
                    break
with open(HERE + "/../../../src/model/cause_docs/heard.tsv", "w") as out:
    out.writelines(rows)
print(f"{len(rows)} texts of {len(count)} causes")
