#!/usr/bin/env python3
"""Every part is killed with SIGKILL once in the middle of a simulated session. Afterwards every trade that the market
made is stored exactly once, or lies inside a gap that says so; only the collector's own death leaves gaps. What is polled,
and told again after the death, is stored once; no other event is stored twice or was never told.

usage: kill_test.py MARKETPRISM [SECONDS [SEED]]
"""

import datetime
import decimal
import os
import shutil
import sys
import tempfile
import time

from system import StoredData, System, held_books, read_lines, rebuilt_books, wait_for

DATABASE = "marketprism_sim_hot"
TOLERANCE = 2.0  # seconds that a gap may exceed the collector's downtime


def seconds_of(text):
    """Epoch seconds of an ISO or ClickHouse time, as an exact decimal."""
    text = text.rstrip("Z").replace("T", " ")
    whole, _, fraction = text.partition(".")
    moment = datetime.datetime.fromisoformat(whole + "+00:00")
    return decimal.Decimal(int(moment.timestamp())) + decimal.Decimal("0." + (fraction or "0"))


def trade_key(event):
    aggregated = "first_trade_id" in event if "type" in event else bool(event["is_aggregated"])
    return event["exchange"], event["market_type"], event["symbol"], aggregated, event["trade_id"]


# Of each other type: its table, and what tells two of its events apart beside market, symbol and time.
STATISTICS = {
    "funding_rate": ("funding_rates", ["funding_rate", "mark_price", "index_price", "is_settled"]),
    "open_interest": ("open_interests", ["open_interest"]),
    "liquidation": ("liquidations", ["side", "price", "average_price", "quantity", "filled_quantity", "status"]),
    "lsr_top_position": ("lsr_top_positions", ["long_position_ratio", "short_position_ratio", "long_short_ratio", "period"]),
    "lsr_all_account": ("lsr_all_accounts", ["long_account_ratio", "short_account_ratio", "long_short_ratio", "period"]),
}


def comparable(value):
    if value is None or isinstance(value, bool):
        return value
    try:
        return decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        return {"true": True, "false": False}.get(value, value)


def check_statistics(clickhouse, ledger):
    problems, counts = {}, []
    for name, (table, fields) in STATISTICS.items():
        columns = ", ".join(f"toString({field}) AS {field}" for field in fields)
        rows = clickhouse.rows("SELECT exchange, market_type, symbol, toString(timestamp) AS timestamp, "
                               f"{columns} FROM {DATABASE}.{table}")

        def key(event):
            return (event["exchange"], event["market_type"], event["symbol"], seconds_of(event["timestamp"]),
                    *(comparable(event.get(field)) for field in fields))

        stored = [key(row) for row in rows]
        told = {key(event): event for event in ledger if event["type"] == name}
        # What is asked for by its time comes again, whoever died in between.
        asked_again = {k for k, event in told.items() if name.startswith("lsr_") or event.get("is_settled")}
        problems[name] = {"none": not stored, "doubled": len(stored) - len(set(stored)),
                          "never told": [k for k in stored if k not in told][:3],
                          "missing": sorted(map(str, asked_again - set(stored)))[:3]}
        counts.append(f"{name} {len(stored)} of {len(told)}")
    print("stored of what was told: " + ", ".join(counts))
    return {name: found for name, found in problems.items() if any(found.values())}


def kill_and_wait(system, part):
    """Kills a part; how long it was away, in seconds."""
    pid = system.children()[part]
    before = time.monotonic()
    print(f"killing {part} (pid {pid})", flush=True)
    system.kill(part)
    wait_for(f"{part} to be started again",
             lambda: system.still_running() and system.children().get(part) not in (None, pid), 30)
    if part in ("collector", "storage"):
        wait_for(f"{part} to answer", lambda: system.health(part)[0] == 200, 60)
    return time.monotonic() - before


def main():
    binary = sys.argv[1]
    duration = int(sys.argv[2]) if len(sys.argv) > 2 else 90
    seed = sys.argv[3] if len(sys.argv) > 3 else "11"
    data = tempfile.mkdtemp(prefix="mp-kill-")
    ledger_path = os.path.join(data, "ledger.jsonl")
    system = System(binary, "--sim", "--exchange", "binance", "--rate", "1000", "--seed", seed, "--for", f"{duration}s", "--ledger", ledger_path,
                    data=data)
    try:
        system.wait_healthy()
        started = time.monotonic()
        downtime = {}
        for number, part in enumerate(["collector", "storage", "nats", "clickhouse"]):
            due = started + duration * (number + 1) / 6
            time.sleep(max(0, due - time.monotonic()))
            downtime[part] = kill_and_wait(system, part)
            print(f"{part} was back after {downtime[part]:.2f} s", flush=True)
        status = system.wait(duration + 120)
        print(system.output()[-3000:])
        with StoredData(binary, system.data) as clickhouse:
            failures = check(clickhouse, read_lines(ledger_path), downtime["collector"])
        # The collector was killed: what it missed is lost, and the launcher must say so.
        gaps = int(failures.pop("gaps"))
        if (status == 0) != (gaps == 0):
            failures["exit status"] = f"{status} with {gaps} gaps"
    finally:
        if system.process.poll() is None:
            system.process.kill()
    problems = {name: text for name, text in failures.items() if text}
    for name, text in problems.items():
        print(f"FAILED {name}: {text}")
    if not problems:
        shutil.rmtree(system.data)
    sys.exit(1 if problems else 0)


def check(clickhouse, ledger, collector_downtime):
    stored = clickhouse.rows(
        "SELECT exchange, market_type, symbol, is_aggregated, trade_id, toString(price) AS price,"
        f" toString(quantity) AS quantity, toString(side) AS side, toString(timestamp) AS timestamp FROM {DATABASE}.trades")
    gaps = clickhouse.rows(
        "SELECT exchange, market_type, symbol, toString(data_type) AS data_type, toString(cause) AS cause,"
        f" toString(gap_start) AS gap_start, toString(gap_end) AS gap_end FROM {DATABASE}.gaps")
    for gap in gaps:
        gap["start"], gap["end"] = seconds_of(gap["gap_start"]), seconds_of(gap["gap_end"])
    trades = {trade_key(e): e for e in ledger if e["type"] == "trade"}
    by_key = {}
    for row in stored:
        by_key.setdefault(trade_key(row), []).append(row)

    lost, wrong, excused = [], [], 0
    for key, event in trades.items():
        rows = by_key.get(key, [])
        if not rows:
            at = seconds_of(event["timestamp"])
            if any(g["data_type"] == "trade" and (g["exchange"], g["market_type"], g["symbol"]) == key[:3]
                   and g["start"] <= at <= g["end"] for g in gaps):
                excused += 1
            else:
                lost.append(key)
            continue
        row = rows[0]
        if (row["price"], row["quantity"], row["side"]) != (event["price"], event["quantity"], event["side"]) or \
                seconds_of(row["timestamp"]) != seconds_of(event["timestamp"]):
            wrong.append((event, row))
    doubled = [key for key, rows in by_key.items() if len(rows) > 1]
    unknown = [key for key in by_key if key not in trades]
    long_gaps = [g for g in gaps if float(g["end"] - g["start"]) > collector_downtime + TOLERANCE]
    other_causes = [g for g in gaps if g["cause"] != "collector_down"]
    rejected = clickhouse.value(f"SELECT count() FROM {DATABASE}.rejected_messages")
    print(f"{len(trades)} trades in the ledger, {len(stored)} stored, {excused} inside gaps, {len(gaps)} gap rows,"
          f" longest {max((float(g['end'] - g['start']) for g in gaps), default=0):.2f} s")

    books = rebuilt_books(clickhouse, DATABASE)
    wrong_books = []
    for key, (bids, asks, _) in held_books(ledger).items():
        mine = books.get(key)
        if mine is None or best(mine[0], True) != best(bids, True) or best(mine[1], False) != best(asks, False):
            wrong_books.append(key)
    return {
        "gaps": len(gaps),
        "no trades": "" if len(trades) > 100 else f"only {len(trades)}",
        "lost": lost[:5], "wrong": wrong[:3], "doubled": doubled[:5], "not in the ledger": unknown[:5],
        "gaps longer than the downtime": long_gaps[:3], "gaps of another cause": other_causes[:3],
        "rejected": "" if rejected == "0" else rejected,
        "books that differ": wrong_books,
        "other types": check_statistics(clickhouse, ledger),
    }


# A snapshot holds 1000 levels of a side and what lies deeper is not known until it changes, so only the best are compared.
COMPARED_LEVELS = 300


def best(levels, is_bid):
    return sorted(levels.items(), key=lambda level: decimal.Decimal(level[0]), reverse=is_bid)[:COMPARED_LEVELS]


if __name__ == "__main__":
    main()
