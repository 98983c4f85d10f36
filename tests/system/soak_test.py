#!/usr/bin/env python3
"""Every simulated source with every data type and fifty instruments of each market for ten minutes: nothing is lost,
refused or stored twice, every type of every source comes, books are what the venues say they are, and memory is flat.

usage: soak_test.py MARKETPRISM [MINUTES]      (MP_SOAK_MINUTES, MP_SOAK_SYMBOLS and MP_SOAK_RATE, too)

Not part of the default run of ctest: ctest --test-dir build/release -C soak -L soak --output-on-failure
"""

import os
import re
import shutil
import statistics
import sys
import tempfile
import time

from system import StoredData, System, http

MINUTES = float(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("MP_SOAK_MINUTES", "10"))
SYMBOLS = os.environ.get("MP_SOAK_SYMBOLS", "50")
RATE = os.environ.get("MP_SOAK_RATE", "1000")
DATABASE = "marketprism_sim_hot"
SAMPLE_SECONDS = 5
PARTS = ["collector", "storage", "sim", "clickhouse", "nats"]
# Parts that must not grow with uptime. ClickHouse and NATS have caches that fill with what is stored: shown only.
FLAT = ["collector", "storage", "sim"]
# What malloc keeps and gives back, and books that become deeper as the market moves.
GROWTH_FACTOR = 1.10
GROWTH_BYTES = 24 << 20

BOOKS = ["orderbooks", "orderbook_deltas", "trades"]
# (exchange, market type): what must have come of it.
EXPECTED = {
    ("binance", "spot"): BOOKS,
    ("binance", "perpetual"): BOOKS + ["funding_rates", "open_interests", "liquidations", "lsr_top_positions",
                                       "lsr_all_accounts"],
    ("okx", "spot"): BOOKS,
    ("okx", "perpetual"): BOOKS + ["funding_rates", "open_interests", "liquidations", "lsr_top_positions",
                                   "lsr_all_accounts"],
    ("okx", "futures"): BOOKS + ["open_interests"],
    ("deribit", "perpetual"): BOOKS + ["funding_rates", "open_interests", "liquidations"],
    ("deribit", "futures"): BOOKS + ["open_interests"],
    ("deribit", "options"): BOOKS + ["open_interests", "volatility_indices"],
}
TABLES = sorted({table for tables in EXPECTED.values() for table in tables})


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"^VmRSS:\s+(\d+) kB", file.read(), re.M).group(1)) * 1024


def metric(text, name, **labels):
    """The sum of all series of this name with these labels."""
    total = 0.0
    for series, value in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.M):
        if all(f'{key}="{wanted}"' in series for key, wanted in labels.items()):
            total += float(value)
    return total


class Samples:
    def __init__(self, system):
        self.system = system
        self.start = time.monotonic()
        self.rss = {part: [] for part in PARTS}
        self.text = ""

    def take(self):
        for part, pid in self.system.children().items():
            if part in self.rss:
                self.rss[part].append(resident_bytes(pid))
        self.text = http(f"http://127.0.0.1:{self.system.ports['collector-metrics-port']}/metrics")[1]

    def show(self):
        sizes = "  ".join(f"{part} {self.rss[part][-1] >> 20:5d}" for part in PARTS if self.rss[part])
        print(f"{time.monotonic() - self.start:6.0f} s   MB: {sizes}   events {self.count('events_total'):.0f}"
              f"   unpublished {self.count('unpublished_seconds'):.1f} s", flush=True)

    def count(self, name, **labels):
        return metric(self.text, "marketprism_collector_" + name, **labels)

    def problems(self):
        """The last quarter against the second: by then everything is connected, and every book is there."""
        found = []
        for part in FLAT:
            values = self.rss[part]
            quarter = len(values) // 4
            before = statistics.median(values[quarter:2 * quarter])
            after = statistics.median(values[-quarter:])
            print(f"{part}: {before / 2**20:.1f} MB in the second quarter, {after / 2**20:.1f} MB in the last,"
                  f" at most {max(values) / 2**20:.1f}")
            if after > before * GROWTH_FACTOR + GROWTH_BYTES:
                found.append(f"the memory of {part} grows")
        return found


def run(system, folder):
    problems = []
    system.wait_healthy(180)
    samples = Samples(system)
    pids = system.children()
    deadline = time.monotonic() + MINUTES * 60
    shown = 0
    while time.monotonic() < deadline:
        time.sleep(SAMPLE_SECONDS)
        system.still_running()
        samples.take()
        if time.monotonic() - samples.start >= shown:
            samples.show()
            shown += 30
    samples.show()
    problems += samples.problems()
    if system.children() != pids:
        problems.append(f"a part was started again: {pids} became {system.children()}")
    status, health = system.health("collector")
    if status != 200:
        problems.append(f"the collector is not healthy: {health['problem']}")
    bad = [s for s in health["streams"] if s["state"] != "live"]
    if bad:
        problems.append(f"{len(bad)} streams are not live, such as {bad[:5]}")
    print(f"{len(health['streams'])} streams")
    audits = {verdict: samples.count("book_audits_total", verdict=verdict)
              for verdict in ("agrees", "differs", "undecided")}
    print("books held against the venues' own:", audits)
    if audits["differs"] or not audits["agrees"]:
        problems.append(f"audits of books: {audits}")
    for name in ("unknown_total", "records_dropped_total", "resyncs_total", "events_left_out_total"):
        if samples.count(name):
            problems.append(f"{name} is {samples.count(name):.0f}")
    status = system.stop(180)
    if status != 0:
        problems.append(f"`up` ended with status {status}:\n{system.output()}")
    return problems


def look_at_tables(clickhouse):
    problems = []
    gaps = clickhouse.rows(f"SELECT exchange, market_type, data_type, cause, count() AS n FROM {DATABASE}.gaps"
                           " WHERE cause NOT IN ('start', 'end') GROUP BY ALL")
    problems += [f"gaps: {gap}" for gap in gaps]
    rejects = clickhouse.rows(f"SELECT exchange, data_type, reason, count() AS n, any(raw) AS example"
                              f" FROM {DATABASE}.rejected_messages GROUP BY ALL LIMIT 20")
    problems += [f"rejected: {reject}" for reject in rejects]
    found = {}
    for table in TABLES:
        for row in clickhouse.rows("SELECT exchange, market_type, count() AS n, uniqExact(symbol) AS symbols,"
                                   " count() - uniqExact(bus_sequence, bus_index) AS twice"
                                   f" FROM {DATABASE}.{table} GROUP BY ALL"):
            found[row["exchange"], row["market_type"], table] = row
            if int(row["twice"]):
                problems.append(f"{table}: {row['twice']} rows of {row['exchange']} are there twice")
    for (exchange, market_type), tables in EXPECTED.items():
        for table in tables:
            row = found.get((exchange, market_type, table))
            print(f"{exchange:8} {market_type:10} {table:20} {row['n'] if row else 0:>9} rows of"
                  f" {row['symbols'] if row else 0} instruments")
            if not row:
                problems.append(f"nothing of {exchange} {market_type} in {table}")
    return problems


def main():
    folder = tempfile.mkdtemp(prefix="mp-soak-")
    data = os.path.join(folder, "data")
    system = System(sys.argv[1], "--sim", "--symbols", SYMBOLS, "--rate", RATE, "--seed", "11", data=data)
    try:
        problems = run(system, folder)
    finally:
        if system.process.poll() is None:
            system.stop(180)
    with StoredData(sys.argv[1], data) as clickhouse:
        problems += look_at_tables(clickhouse)
    for problem in problems:
        print("FAILED", problem)
    if problems:
        # A machine that is too busy for the simulation makes it silent for seconds: connections end, and that is a loss.
        with open(os.path.join(data, "logs", "sim.log")) as log:
            print("sim.log ends:", *log.read().splitlines()[-3:], sep="\n  ")
        print("kept:", data)
    else:
        shutil.rmtree(folder)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
