#!/usr/bin/env python3
"""A recording that is played in pieces as it grows, killed on the way, cut in the middle of a line, with broken lines in it, or with
another one that overlaps it, gives the rows that it gives when it is played whole, each once; and what could not be read is told.

The recording is of the simulated exchange, as `marketprism journal cat` prints it.

usage: recording_test.py MARKETPRISM
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time

from system import StoredData, System, wait_for

DATABASE = "marketprism_replay_hot"
# What tells the events of a table apart, without where they stood on the bus.
COLUMNS = {
    "trades": "market_type, symbol, trade_id, is_aggregated, toString(price), toString(quantity), toString(received_at)",
    "orderbook_deltas": "market_type, symbol, is_snapshot, last_update_id, toString(bids), toString(asks), toString(received_at)",
    "gaps": "market_type, symbol, data_type, cause, toString(gap_start), toString(gap_end)",
    "instruments": "market_type, symbol, status",
}


def record(binary, folder):
    system = System(binary, "--sim", "--exchange", "binance", "--rate", "400", "--seed", "3", "--for", "8s", data=os.path.join(folder, "source"))
    assert system.wait(120) == 0, system.output()
    done = subprocess.run([binary, "journal", "cat", os.path.join(system.data, "journal", "simulated")], capture_output=True, check=True)
    lines = done.stdout.splitlines(True)
    assert len(lines) > 1000, len(lines)
    return lines


class Store:
    """A data directory into which recordings are played."""

    def __init__(self, binary, folder, name):
        self.binary, self.folder, self.data = binary, folder, os.path.join(folder, name)

    def start(self, text, name, *more):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(text)
        return System(self.binary, "--capture", path, "--exit-when-done", *(more or ("--speed", "0")), data=self.data)

    def play(self, text, name, status=0, told=""):
        system = self.start(text, name)
        ended = system.wait(120)
        output = system.output()
        assert ended == status, f"{name}: exit status {ended}, expected {status}:\n{output}"
        assert told in output, f"{name}: {told!r} is not told:\n{output}"
        return output

    def rows(self):
        with StoredData(self.binary, self.data) as clickhouse:
            return {table: sorted(clickhouse.query(f"SELECT {columns} FROM {DATABASE}.{table} FORMAT TSV").splitlines()) for table, columns in COLUMNS.items()}

    def rejected(self):
        with StoredData(self.binary, self.data) as clickhouse:
            return clickhouse.rows(f"SELECT exchange, reason, hex(raw) AS text, origin FROM {DATABASE}.rejected_messages ORDER BY reason")

    def log(self):
        with open(os.path.join(self.data, "logs", "collector.log"), errors="replace") as file:
            return file.read()


def differences(mine, wanted):
    return {table: f"{len(mine[table])} rows, {len(wanted[table])} expected; {[r for r in mine[table] if r not in set(wanted[table])][:2]} too many"
            for table in wanted if mine[table] != wanted[table]}


def in_pieces(store, lines, wanted):
    """As somebody copies a file now and then while a recorder writes it."""
    whole = b"".join(lines)
    first = b"".join(lines[:len(lines) * 2 // 5])
    second = b"".join(lines[:len(lines) * 7 // 10])
    cut = lines[len(lines) * 2 // 5][:40]
    store.play(first + cut, "growing.jsonl", 1, "1 lines of recordings could not be read")
    assert "ends in the middle of a line" in store.log(), store.log()[-3000:]
    # Killed on its way through the second piece, at the recording's own pace.
    system = store.start(second, "growing.jsonl", "--speed", "1")
    wait_for("it to be played", lambda: "goes on behind it" in store.log(), 60)
    time.sleep(1.5)
    children = system.children()
    os.kill(children["collector"], 9)
    system.process.kill()
    system.process.wait(30)
    time.sleep(1)
    # Earlier states, also such that were never played, add nothing.
    for number, text in enumerate((second, whole, first, whole[:len(whole) // 2])):
        store.play(text, f"growing-{number}.jsonl")
    assert "a recording is not played" in store.log(), store.log()[-3000:]
    journals = [name for name in os.listdir(os.path.join(store.data, "journal")) if name.startswith("replay-")]
    assert len(journals) == 1, journals
    return differences(store.rows(), wanted)


def with_broken_lines(store, lines, wanted):
    broken = [b'{"t":17,"dir":\n', b"\x00\xff\xfe garbage \x01\n", b"<html>Bad Gateway</html>\r\n"]
    text = b"\xef\xbb\xbf" + b"".join(lines[:300]) + broken[0] + b"\r\n" + b"".join(lines[300:600]) + broken[1] + broken[2] + b"".join(lines[600:])
    for _ in range(2):
        output = store.play(text, "broken.jsonl", 1, "3 lines of recordings could not be read")
        assert "NOT GOOD" in output, output
        assert "line 301" in store.log() and r"\x00" in store.log(), store.log()[-3000:]
        rejected = store.rejected()
        problems = differences(store.rows(), wanted)
        if len(rejected) != 3 or any(r["origin"] != "collector" or r["exchange"] != "binance" for r in rejected):
            problems["rejected_messages"] = rejected
        if problems:
            return problems
    assert [r["reason"].split(": ")[1] for r in rejected] == ["line 301", "line 603", "line 604"], rejected
    assert [bytes.fromhex(r["text"]) for r in rejected] == [text.strip(b"\r\n") for text in broken], rejected
    return {}


def overlapping(store, lines, wanted):
    half = len(lines) // 2
    store.play(b"".join(lines[:half + 100]), "monday.jsonl")
    before = store.rows()
    output = store.play(b"".join(lines[half:]), "evening.jsonl", 2, "stand in")
    assert "monday.jsonl" in output and "evening.jsonl" in output and "journal join" in output, output
    assert store.rows() == before, "a refused recording changed the tables"
    names = [os.path.join(store.folder, name) for name in ("monday.jsonl", "evening.jsonl", "whole.jsonl")]
    done = subprocess.run([store.binary, "journal", "join", *names[:2], "-o", names[2]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with open(names[2], "rb") as file:
        whole = file.read()
    assert whole == b"".join(lines)
    store.play(whole, "whole.jsonl")
    return differences(store.rows(), wanted)


def main():
    binary = sys.argv[1]
    folder = tempfile.mkdtemp(prefix="mp-recording-")
    lines = record(binary, folder)
    at_once = Store(binary, folder, "at-once")
    at_once.play(b"".join(lines), "at-once.jsonl")
    wanted = at_once.rows()
    print({table: len(rows) for table, rows in wanted.items()}, flush=True)
    assert len(wanted["trades"]) > 300 and len(wanted["orderbook_deltas"]) > 100, "too little to compare"
    problems = {}
    for check in (in_pieces, with_broken_lines, overlapping):
        found = check(Store(binary, folder, check.__name__), lines, wanted)
        print(check.__name__, found or "as at once", flush=True)
        if found:
            problems[check.__name__] = found
    for name, found in problems.items():
        print("FAILED", name, found)
    if not problems:
        shutil.rmtree(folder)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
