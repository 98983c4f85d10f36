#!/usr/bin/env python3
"""NATS's store is lost while storage is behind: what the journal holds is in ClickHouse afterwards, each event once.

The truth is the journal, read by `marketprism journal cat` and `marketprism normalize`. Storage is stopped in the middle
(SIGSTOP), so that the bus has acknowledged what is not stored; then everything is killed, and NATS's store deleted.

usage: lost_store_test.py MARKETPRISM
"""

import calendar
import collections
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from system import StoredData, System, wait_for

DATABASE = "marketprism_sim_hot"
ARGUMENTS = ["--sim", "--exchange", "binance"]
# What tells an event of a table from others, beside its symbol and receive time.
IDS = {"trade": ("trades", "trade_id"), "orderbook_delta": ("orderbook_deltas", "last_update_id")}


def journal_events(binary, data):
    """{type: Counter of (market_type, symbol, received_at, id)} of everything in the journal."""
    found = {kind: collections.Counter() for kind in IDS}
    for market in ("spot", "derivatives"):
        for journal in glob.glob(os.path.join(data, "journal", "*")):
            cat = subprocess.run([binary, "journal", "cat", journal, "--exchange", "binance"], capture_output=True, check=True)
            lines = [l for l in cat.stdout.splitlines() if b'"market":"%s"' % market.encode() in l]
            if not lines:
                continue
            out = subprocess.run([binary, "normalize", "--exchange", "binance", "--market", market],
                                 input=b"\n".join(lines) + b"\n", capture_output=True, check=True).stdout
            for line in out.splitlines():
                event = json.loads(line)
                if event["type"] in found:
                    found[event["type"]][(event["market_type"], event["symbol"], event["received_at"],
                                          str(event[IDS[event["type"]][1]]))] += 1
    return found


def stored_events(clickhouse):
    found = {}
    for kind, (table, name) in IDS.items():
        rows = clickhouse.rows(
            "SELECT market_type AS m, symbol AS s,"
            f" toString(toUnixTimestamp64Nano(received_at)) AS t, toString({name}) AS i FROM {DATABASE}.{table}")
        found[kind] = collections.Counter((r["m"], r["s"], r["t"], r["i"]) for r in rows)
    return found


def in_nanos(counter):
    out = collections.Counter()
    for (market, symbol, at, ident), count in counter.items():
        seconds = calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))
        out[(market, symbol, str(seconds * 10**9 + int(at[20:29])), ident)] = count
    return out


def main():
    binary = sys.argv[1]
    system = System(binary, *ARGUMENTS)
    data = system.data
    system.wait_healthy()
    wait_for("rows", lambda: int(system.clickhouse.value(f"SELECT count() FROM {DATABASE}.trades")) > 200)
    time.sleep(3)
    storage = system.children()["storage"]
    os.kill(storage, signal.SIGSTOP)  # what follows is acknowledged by the bus and not stored
    time.sleep(4)
    children = system.children()
    system.process.kill()
    for pid in children.values():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    system.process.wait(30)
    time.sleep(1)
    with StoredData(binary, data) as clickhouse:
        before = stored_events(clickhouse)
    shutil.rmtree(os.path.join(data, "nats"))

    again = System(binary, *ARGUMENTS, "--for", "8s", data=data)
    status = again.wait(150)
    print(again.output()[-2500:])
    problems = [] if status == 0 else [f"exit status {status} of the second run"]
    if "stored twice 0" not in again.output() or "not in ClickHouse 0" not in again.output():
        problems.append("the verdict of the second run is not clean")
    journal = journal_events(binary, data)
    with StoredData(binary, data) as clickhouse:
        after = stored_events(clickhouse)
        streams = clickhouse.value(f"SELECT uniqExact(bus_stream) FROM {DATABASE}.trades")
    for kind in IDS:
        wanted = in_nanos(journal[kind])
        missing, extra = wanted - after[kind], after[kind] - wanted
        added = sum((after[kind] - before[kind]).values())
        print(f"{kind}: {sum(wanted.values())} in the journal, {sum(before[kind].values())} stored before, {added} added")
        if not sum(wanted.values()) or missing or extra:
            problems.append(f"{kind}: {sum(missing.values())} missing, {sum(extra.values())} too many: "
                            f"{list(missing)[:2]} {list(extra)[:2]}")
    if streams != "2":
        problems.append(f"rows of {streams} streams, 2 expected: the store was not lost")
    for problem in problems:
        print("FAILED", problem)
    if not problems:
        shutil.rmtree(data)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
