#!/usr/bin/env python3
"""Every part is killed with SIGKILL once in the middle of a simulated session. Afterwards every trade, and every other
event that the market told, is stored exactly once, or lies inside a gap of its own stream; only the collector's own death
leaves gaps. What is asked for again by its time after the death is stored once; no event is stored twice or was never told.

usage: kill_test.py MARKETPRISM [SECONDS [SEED [RATE [EXCHANGE …]]]]
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
    "volatility_index": ("volatility_indices", ["index_value", "open", "high", "low", "resolution"]),
    "lsr_all_account": ("lsr_all_accounts", ["long_account_ratio", "short_account_ratio", "long_short_ratio", "period"]),
}


# An unchanged one is written again after this only.
THINNED = {"funding_rate": ["funding_rate", "is_settled"], "open_interest": ["open_interest"]}
MIN_INTERVAL = 60
PACE = decimal.Decimal("3.1")  # of Binance's mark prices
# Asked for by REST every so often: its gap begins at the last answer.
SAMPLED_EVERY = {("binance", "open_interest"): 10}


def stream_of(event):
    return event["exchange"], event["market_type"], event["symbol"]


def lies_in_gap(gaps, name, event):
    at = seconds_of(event["timestamp"])
    return any(g["data_type"] == name and stream_of(g) == stream_of(event) and g["start"] <= at <= g["end"] for g in gaps)


def is_thinned(name, event, stored):
    """The last one that was written before it says the same, and was written lately; or the next one does, and the venue
    told none in between (the ledger has what was true, a venue tells it at its own pace)."""
    if name not in THINNED:
        return False
    at = seconds_of(event["timestamp"])
    rows = [row for row in stored.get(stream_of(event), [])
            if all(comparable(row.get(field)) == comparable(event.get(field)) for field in THINNED[name])]
    times = [seconds_of(row["timestamp"]) - at for row in rows]
    return any(-MIN_INTERVAL - 1 < distance <= PACE for distance in times)


def comparable(value):
    if value is None or value == "" or isinstance(value, bool):
        return None if value == "" else value
    try:
        return decimal.Decimal(str(value))
    except decimal.InvalidOperation:
        return {"true": True, "false": False}.get(value, value)


def check_statistics(clickhouse, ledger, gaps, killed_at):
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
        by_stream = {}
        for row in rows:
            by_stream.setdefault(stream_of(row), []).append(row)
        known = set(stored)
        missing = [event for k, event in told.items() if k not in known]
        lost = [event for event in missing
                if not lies_in_gap(gaps, name, event) and not is_thinned(name, event, by_stream)]
        # What is asked for by its time comes again, whoever died in between.
        asked_again = {k for k, event in told.items() if name.startswith("lsr_") or event.get("is_settled")}
        problems[name] = {"none": told and not stored, "doubled": len(stored) - len(set(stored)),
                          "never told": [k for k in stored if k not in told][:3],
                          "missing": sorted(map(str, asked_again - known))[:3],
                          "lost": lost[:3],
                          # Whatever of it came before the collector was killed, nobody listened then.
                          "without a gap": [stream for stream, of_it in by_stream.items()
                                            if not name.startswith("lsr_") and not proven_by_ids(name, stream)
                                            and came_before(of_it, killed_at)
                                            and not any(g["data_type"] == name and stream_of(g) == stream
                                                        and g["start"] <= killed_at + 1 and g["end"] >= killed_at
                                                        for g in gaps)][:3]}
        excused = sum(lies_in_gap(gaps, name, event) for event in missing)
        counts.append(f"{name} {len(stored)} of {len(told)} ({excused} in gaps)")
    print("stored of what was told: " + ", ".join(counts))
    return {name: found for name, found in problems.items() if any(found.values())}


def proven_by_ids(name, stream):
    """Deribit marks liquidations in its trades, whose numbers tell whether any is missing."""
    return name == "liquidation" and stream[0] == "deribit"


def came_before(rows, moment):
    """Did any of these come as it happened, before that? (What is asked for later says nothing.)"""
    return any(not comparable(row.get("is_settled")) and not row.get("resolution")
               and seconds_of(row["timestamp"]) < moment - 1 for row in rows)


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
    rate = int(sys.argv[4]) if len(sys.argv) > 4 else 1000
    exchanges = sys.argv[5:] or ["binance"]
    data = tempfile.mkdtemp(prefix="mp-kill-")
    ledger_path = os.path.join(data, "ledger.jsonl")
    chosen = [word for exchange in exchanges for word in ("--exchange", exchange)]
    system = System(binary, "--sim", *chosen, "--rate", str(rate), "--seed", seed, "--for", f"{duration}s",
                    "--ledger", ledger_path, data=data)
    try:
        system.wait_healthy()
        started = time.monotonic()
        downtime, killed_at = {}, {}
        for number, part in enumerate(["collector", "storage", "nats", "clickhouse"]):
            due = started + duration * (number + 1) / 6
            time.sleep(max(0, due - time.monotonic()))
            killed_at[part] = decimal.Decimal(time.time())
            downtime[part] = kill_and_wait(system, part)
            print(f"{part} was back after {downtime[part]:.2f} s", flush=True)
        status = system.wait(duration + 120)
        print(system.output()[-3000:])
        with StoredData(binary, system.data) as clickhouse:
            failures = check(clickhouse, read_lines(ledger_path), downtime["collector"], killed_at["collector"], rate)
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


def check(clickhouse, ledger, collector_downtime, killed_at, rate):
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
    # A gap that ids prove is between two events: where few come, it is as long as they are apart.
    by_ids = set() if rate >= 1000 else {"trade", "orderbook_delta"}
    long_gaps = [g for g in gaps if g["data_type"] not in by_ids and not proven_by_ids(g["data_type"], stream_of(g))
                 and not g["data_type"].startswith("lsr_")
                 and float(g["end"] - g["start"]) >
                 collector_downtime + TOLERANCE + SAMPLED_EVERY.get((g["exchange"], g["data_type"]), 0)]
    other_causes = [g for g in gaps if g["cause"] != "collector_down"]
    rejected = clickhouse.value(f"SELECT count() FROM {DATABASE}.rejected_messages")
    kinds = {}
    for gap in gaps:
        kinds[gap["data_type"], gap["cause"]] = kinds.get((gap["data_type"], gap["cause"]), 0) + 1
    print("gap rows: " + ", ".join(f"{name} {cause} {count}" for (name, cause), count in sorted(kinds.items())))
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
        "no trades": "" if len(trades) > duration_trades(rate) else f"only {len(trades)}",
        "lost": lost[:5], "wrong": wrong[:3], "doubled": doubled[:5], "not in the ledger": unknown[:5],
        "gaps longer than the downtime": long_gaps[:3], "gaps of another cause": other_causes[:3],
        "rejected": "" if rejected == "0" else rejected,
        "books that differ": wrong_books,
        "other types": check_statistics(clickhouse, ledger, gaps, killed_at),
    }


def duration_trades(rate):
    """The least that must have been told, in any run of half a minute and more."""
    return 100 if rate >= 1000 else 10


# A snapshot holds 1000 levels of a side and what lies deeper is not known until it changes, so only the best are compared.
COMPARED_LEVELS = 300


def best(levels, is_bid):
    return sorted(levels.items(), key=lambda level: decimal.Decimal(level[0]), reverse=is_bid)[:COMPARED_LEVELS]


if __name__ == "__main__":
    main()
