#!/usr/bin/env python3
"""Every row of funding, open interest, liquidations, long/short ratios and volatility indices of all simulated sources,
held against the simulator's ledger: each field equal (numbers as decimals), each told event stored once or left out
because nothing had changed for less than `min_interval`, nothing that was not told.

usage: ledger_test.py MARKETPRISM [SECONDS]
       ledger_test.py MARKETPRISM --look DATA LEDGER    (at what such a run has left)
"""

import collections
import decimal
import os
import re
import shutil
import sys
import tempfile

from system import StoredData, System, read_lines

DATABASE = "marketprism_sim_hot"
MIN_INTERVAL_NS = 60 * 10**9

COMMON = ["instrument", "timestamp"]
# Type: its table and all the fields that its events may carry.
TYPES = {
    "funding_rate": ("funding_rates", ["funding_rate", "funding_time", "next_funding_time", "mark_price", "index_price",
                                       "funding_interval_hours", "is_settled"]),
    "open_interest": ("open_interests", ["open_interest", "quantity_unit", "open_interest_value", "contracts"]),
    "liquidation": ("liquidations", ["side", "price", "average_price", "quantity", "quantity_unit", "filled_quantity",
                                     "contracts", "status", "coverage"]),
    "lsr_top_position": ("lsr_top_positions", ["long_position_ratio", "short_position_ratio", "long_short_ratio", "period"]),
    "lsr_all_account": ("lsr_all_accounts", ["long_account_ratio", "short_account_ratio", "long_short_ratio", "period"]),
    "volatility_index": ("volatility_indices", ["index_value", "open", "high", "low", "resolution", "underlying_asset"]),
}
# What decides whether a thinned value has changed.
THINNED = {"funding_rate": ["funding_rate", "funding_time", "next_funding_time", "funding_interval_hours"],
           "open_interest": ["open_interest", "contracts"]}
# What each source must have brought, or the test shows nothing.
EXPECTED = {(exchange, kind, name) for kind, of in {
    "perpetual": {"funding_rate": ("binance", "okx", "deribit"), "open_interest": ("binance", "okx", "deribit"),
                  "liquidation": ("binance", "okx", "deribit"), "lsr_top_position": ("binance", "okx"),
                  "lsr_all_account": ("binance", "okx")},
    "futures": {"open_interest": ("okx", "deribit"), "lsr_top_position": ("okx",), "lsr_all_account": ("okx",)},
    "options": {"open_interest": ("deribit",), "volatility_index": ("deribit",)},
}.items() for name, exchanges in of.items() for exchange in exchanges}

TIME = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?Z?")


def nanoseconds(text):
    """Of a time's day and clock, in the ledger's form or ClickHouse's: comparable, and a number that can be subtracted."""
    day, clock, fraction = TIME.fullmatch(text).groups()
    year, month, day = map(int, day.split("-"))
    hours, minutes, seconds = map(int, clock.split(":"))
    # Days by the civil calendar, without a float.
    shifted = year - (month <= 2)
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day
    return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 10**9 + int((fraction or "").ljust(9, "0"))


def comparable(value):
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    if TIME.fullmatch(value):
        return nanoseconds(value)
    try:
        return decimal.Decimal(value)
    except decimal.InvalidOperation:
        return value


def as_told(name, event):
    values = {field: comparable(event.get(field)) for field in COMMON + TYPES[name][1]}
    if "quantity_unit" in values:
        values["quantity_unit"] = values["quantity_unit"] or "base"
    return values


def stored_rows(clickhouse, name):
    table, fields = TYPES[name]
    columns = ", ".join(f"toString({field}) AS {field}" for field in COMMON + fields)
    rows = clickhouse.rows(f"SELECT exchange, market_type, symbol, toString(received_at) AS received, {columns}"
                           f" FROM {DATABASE}.{table} ORDER BY bus_stream, bus_sequence, bus_index")
    for row in rows:
        yield (row["exchange"], row["market_type"], row["symbol"]), as_told(name, row), nanoseconds(row["received"])


def intervals(ledger):
    """{key of a Binance contract: hours between its settlements}: the venue tells the interval in a list of its own."""
    times = collections.defaultdict(set)
    for event in ledger:
        if event["type"] == "funding_rate" and event["exchange"] == "binance" and event["is_settled"]:
            times[event["exchange"], event["market_type"], event["symbol"]].add(nanoseconds(event["timestamp"]))
    found = {}
    for key, each in times.items():
        each = sorted(each)
        if len(each) > 1:
            found[key] = decimal.Decimal(min(b - a for a, b in zip(each, each[1:]))) / (3600 * 10**9)
    return found


class Comparison:
    def __init__(self, name, hours, end):
        self.name = name
        self.hours = hours
        self.end = end  # {exchange: told later than this, an event may be missing}
        self.problems = []
        self.counts = collections.Counter()

    def complain(self, what, key, example):
        self.problems.append(f"{self.name} {' '.join(key)}: {what}: {example}")

    def matches(self, key, row, told):
        """The row is this event. A Binance interval comes from another answer, and may not be there yet."""
        if row == told:
            return True
        if self.name != "funding_rate" or key[0] != "binance" or row["is_settled"]:
            return False
        hours = row["funding_interval_hours"]
        return (hours is None or hours == self.hours.get(key)) and {**row, "funding_interval_hours": None} == told

    def differences(self, row, told):
        closest = min(told, key=lambda each: sum(each[field] != row[field] for field in row))
        return {field: (str(row[field]), str(closest[field])) for field in row if row[field] != closest[field]}

    def series(self, key, rows, told):
        """One instrument's, both in their order."""
        at = 0
        last = None  # the stored row before, and when it came
        by_time = collections.defaultdict(list)
        for event in told:
            by_time[event["timestamp"]].append(event)
        for row, received in rows:
            found = next((i for i in range(at, len(told)) if self.matches(key, row, told[i])), None)
            if found is None:
                if any(self.matches(key, row, each) for each in told[:at]):
                    self.complain("stored twice, or in another order than told", key, row)
                elif by_time[row["timestamp"]]:
                    self.complain("stored, told", key, self.differences(row, by_time[row["timestamp"]]))
                else:
                    self.complain("stored and never told", key, row)
                continue
            for skipped in told[at:found]:
                self.left_out(key, skipped, last)
            if last and self.thins(row) and not self.changed(row, last[0]) and received - last[1] < MIN_INTERVAL_NS:
                self.complain("unchanged and yet stored", key, row)
            last = (row, received) if self.thins(row) else last
            at = found + 1
            self.counts["stored"] += 1
        for skipped in told[at:]:
            self.left_out(key, skipped, last)

    def thins(self, event):
        return self.name in THINNED and not event.get("is_settled")

    def changed(self, event, before):
        return any(event[field] != before[field] for field in THINNED[self.name])

    def left_out(self, key, event, last):
        if last and self.thins(event) and event["timestamp"] - last[1] < MIN_INTERVAL_NS:
            fields = [f for f in THINNED[self.name] if f != "funding_interval_hours" or event[f] is not None]
            if all(event[field] == last[0][field] for field in fields):
                self.counts["unchanged"] += 1
                return
        if event["timestamp"] > self.end.get(key[0], event["timestamp"]):
            self.counts["never read"] += 1
            return
        self.complain("told and not stored", key, event)


def pushed(event):
    """Binance's mark prices change every second and the collector's stream has each third of them."""
    is_mark_price = event["type"] == "funding_rate" and event["exchange"] == "binance" and not event["is_settled"]
    return not is_mark_price or nanoseconds(event["timestamp"]) // 10**9 % 3 == 0


def last_stored(clickhouse):
    """{exchange: the time of its newest row}."""
    rows = clickhouse.rows(f"SELECT exchange, toString(max(timestamp)) AS last FROM {DATABASE}.orderbook_deltas GROUP BY exchange")
    return {row["exchange"]: nanoseconds(row["last"]) for row in rows}


def compare(clickhouse, ledger, all_was_read):
    problems = []
    hours = intervals(ledger)
    ledger = [event for event in ledger if event["type"] in TYPES and pushed(event)]
    end = {}
    if not all_was_read:
        # The machine was so busy that the simulator had to end with messages under way: nobody can know which.
        end = last_stored(clickhouse)
        print("the simulator ended before all was read: what it told after the newest stored book change may be missing")
    seen = set()
    for name in TYPES:
        told, stored = collections.defaultdict(list), collections.defaultdict(list)
        for event in ledger:
            if event["type"] == name:
                key = (event["exchange"], event["market_type"], event["symbol"])
                told[key].append(as_told(name, event))
        for key, row, received in stored_rows(clickhouse, name):
            stored[key].append((row, received))
        comparison = Comparison(name, hours, end)
        for key in sorted(told.keys() | stored.keys()):
            # Settled rates are a history of their own between those that are pushed.
            for settled in (True, False):
                rows = [each for each in stored[key] if bool(each[0].get("is_settled")) == settled]
                events = [each for each in told[key] if bool(each.get("is_settled")) == settled]
                # Liquidations come in no order, settled rates and ratios in answers of many at once.
                if name not in THINNED or settled:
                    order = lambda event: tuple(str(event[field]) for field in sorted(event))
                    rows.sort(key=lambda each: order(each[0]))
                    events.sort(key=order)
                comparison.series(key, rows, events)
            if stored[key]:
                seen.add((key[0], key[1], name))
        print(f"{name}: {dict(comparison.counts)} of {sum(map(len, told.values()))} told,"
              f" {sum(map(len, stored.values()))} rows, {len(comparison.problems)} problems")
        problems += comparison.problems
    return problems + [f"nothing of {' '.join(missing)}" for missing in sorted(EXPECTED - seen)]


def all_was_read(data):
    with open(os.path.join(data, "logs", "sim.log")) as log:
        return "unread at the end 0" in log.read()


def main():
    binary, arguments = sys.argv[1], sys.argv[2:]
    if arguments[:1] == ["--look"]:
        data, ledger = arguments[1:]
        with StoredData(binary, data) as clickhouse:
            problems = compare(clickhouse, read_lines(ledger), all_was_read(data))
    else:
        data = tempfile.mkdtemp(prefix="mp-ledger-")
        ledger = os.path.join(data, "ledger.jsonl")
        # Longer than min_interval, so that unchanged values come again.
        system = System(binary, "--sim", "--rate", "400", "--seed", "7", "--for", f"{arguments[0] if arguments else 75}s",
                        "--ledger", ledger, data=data)
        try:
            status = system.process.wait(400)
        finally:
            if system.process.poll() is None:
                system.stop()
        with StoredData(binary, data) as clickhouse:
            problems = compare(clickhouse, read_lines(ledger), all_was_read(data))
        if status != 0:
            problems.append(f"`up` ended with status {status}:\n{system.output()}")
    for problem in problems[:40]:
        print("FAILED", problem)
    if problems:
        print(f"{len(problems)} problems; kept: {data}")
    elif not arguments[:1] == ["--look"]:
        shutil.rmtree(data)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
