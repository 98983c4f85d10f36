#!/usr/bin/env python3
"""Runs every query of docs/queries.md against what a simulated run stored - all venues, and a collector that was killed on
the way, so that there are gaps -: each brings rows, except those that say that no rows is the good answer. What some
of them say is computed a second time here, from the raw rows, with exact decimals. Views have the columns that docs/data.md
lists.

usage: queries_test.py MARKETPRISM [DATA]      (with DATA: what an earlier run of this test left there)"""

import decimal
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from documents import DOCS, ROOT, sections, skip, tables, unquoted

sys.path.insert(0, str(ROOT / "tests" / "system"))
from system import StoredData, System, wait_for  # noqa: E402

decimal.getcontext().prec = 60
D = decimal.Decimal
DATABASE = "marketprism_sim_hot"
GOOD_WHEN_EMPTY = "No rows is the good answer."
MOMENT = "now64(9) - INTERVAL 1 MINUTE AS at"
PERPETUAL = "exchange = 'binance' AND market_type = 'perpetual' AND symbol = 'BTC-USDT'"
BY_POSITION = "ORDER BY bus_stream, bus_sequence, bus_index"
EXPECTED_QUERIES = 20


def documented_queries():
    """{number: (title, text around it, SQL)}."""
    found = {}
    for heading, text in sections((DOCS / "queries.md").read_text(), "###").items():
        match = re.fullmatch(r"(\d+)\. (.+)", heading)
        if not match:
            continue
        (sql,) = re.findall(r"^```sql\n(.*?)^```$", text, re.M | re.S)
        found[int(match[1])] = (match[2], text.split("```sql")[0], sql)
    return found


def record(program, data):
    """A run of half a minute, with a collector that dies in its middle."""
    system = System(program, "--sim", "--rate", "800", data=data)
    try:
        system.wait_healthy()
        wait_for("books of the perpetual", lambda: int(system.clickhouse.value(
            f"SELECT count() FROM {DATABASE}.orderbooks WHERE {PERPETUAL}")) > 50)
        system.kill("collector")
        wait_for("rows after the collector's death", lambda: int(system.clickhouse.value(
            f"SELECT count() FROM {DATABASE}.gaps WHERE data_type = 'trade' AND cause = 'collector_down'")) > 0)
        # What comes rarely: it ends when it is all there.
        for table, condition in (("liquidations", "market_type != 'options'"), ("lsr_top_positions", "1"), ("lsr_all_accounts", "1"),
                                 ("volatility_indices", "resolution = ''"), ("funding_rates", "is_settled"),
                                 ("trades", "exchange = 'deribit' AND market_type = 'options'"), ("trades", "market_type = 'futures'")):
            wait_for(f"rows of {table}", lambda: int(system.clickhouse.value(
                f"SELECT count() FROM {DATABASE}.{table} WHERE {condition}")) > 0, 120)
        time.sleep(10)  # so that there is a past with data
        status = system.stop()
        assert status == 0, f"`up` ended with status {status}:\n{system.output()}"
    finally:
        if system.process.poll() is None:
            system.process.kill()
            system.process.wait()


def rebuilt_book(clickhouse, at):
    """({price: quantity}, the same of asks): what a reader of the deltas has at this instant."""
    bids, asks = {}, {}
    for row in clickhouse.rows(
            "SELECT is_snapshot, arrayMap(l -> [toString(l.1), toString(l.2)], bids) AS b,"
            f" arrayMap(l -> [toString(l.1), toString(l.2)], asks) AS a FROM {DATABASE}.orderbook_deltas"
            f" WHERE {PERPETUAL} AND timestamp <= {at} {BY_POSITION}"):
        if row["is_snapshot"]:
            bids, asks = {}, {}
        for side, levels in ((bids, row["b"]), (asks, row["a"])):
            for price, quantity in levels:
                if D(quantity) == 0:
                    side.pop(D(price), None)
                else:
                    side[D(price)] = D(quantity)
    return bids, asks


class Queries(unittest.TestCase):
    maxDiff = None

    def ask(self, number, at=None):
        sql = documented_queries()[number][2]
        if at:
            self.assertEqual(sql.count(MOMENT), 1)
            sql = sql.replace(MOMENT, f"{at} AS at")
        return self.rows(sql)

    def rows(self, sql):
        # Decimals as text: exact here too.
        return CLICKHOUSE.rows(sql.rstrip() + "\nSETTINGS output_format_json_quote_decimals = 1,"
                                              " output_format_json_quote_64bit_integers = 0")

    def trades(self, condition):
        return self.rows("SELECT exchange, market_type, symbol, toUnixTimestamp64Nano(timestamp) AS ns, price, quantity, quantity_unit, side,"
                         " execution, trade_id, is_aggregated, bus_stream, bus_sequence, bus_index,"
                         " toUnixTimestamp64Nano(bus_stream) AS stream"
                         f" FROM {DATABASE}.trades WHERE {condition}")

    def test_there_are_enough_and_numbered_one_by_one(self):
        self.assertGreaterEqual(len(documented_queries()), EXPECTED_QUERIES)
        self.assertEqual(list(documented_queries()), list(range(1, len(documented_queries()) + 1)))

    def test_every_query_brings_rows(self):
        moment = a_moment()
        for number, (title, text, sql) in documented_queries().items():
            with self.subTest(query=f"{number}. {title}"):
                rows = self.rows(sql.replace(MOMENT, f"{moment} AS at"))
                print(f"{number:>3}. {title}: {len(rows)} rows", flush=True)
                if GOOD_WHEN_EMPTY in text:
                    self.assertEqual(rows, [])
                else:
                    self.assertTrue(rows, "no rows")

    def test_queries_run_as_they_stand(self):
        # The moment of the document, one minute ago, may be after the end of the recording: the book is then its last one.
        for number, (title, _, sql) in documented_queries().items():
            if MOMENT in sql:
                with self.subTest(query=f"{number}. {title}"):
                    self.rows(sql)

    def test_the_command_of_the_document(self):
        (command,) = re.findall(r"^    (curl .+)$", (DOCS / "queries.md").read_text(), re.M)
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "query.sql").write_text(documented_queries()[4][2])
            port = re.search(r":(\d+)/", CLICKHOUSE.clickhouse.url)[1]
            done = subprocess.run(["bash", "-c", command.replace("8123", port).replace("marketprism_hot", DATABASE)], cwd=folder,
                                  capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("│ binance", done.stdout)

    def test_the_first_queries_of_the_readme(self):
        port = re.search(r":(\d+)/", CLICKHOUSE.clickhouse.url)[1]
        commands = re.findall(r"^    (curl '.*?)\n\n", (ROOT / "README.md").read_text(), re.M | re.S)
        self.assertEqual(len(commands), 2)
        for command in commands:
            # The recording may be older than the last minute by now.
            done = subprocess.run(["bash", "-c", command.replace("8123", port).replace("1 MINUTE", "1 HOUR")], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertNotIn("DB::Exception", done.stdout)
            self.assertTrue("│ binance" in done.stdout or "collector_down" in done.stdout, done.stdout[:500])

    def test_the_analyzer_of_23_8_reads_them_alike(self):
        # ClickHouse has another analyzer since; this engine still has the old one.
        with self.assertRaises(AssertionError):
            CLICKHOUSE.rows("EXPLAIN QUERY TREE SELECT 1 SETTINGS enable_analyzer = 0")
        moment = a_moment()
        for number, (title, _, sql) in documented_queries().items():
            with self.subTest(query=f"{number}. {title}"):
                old, new = (self.comparable(f"{sql.replace(MOMENT, f'{moment} AS at')} SETTINGS enable_analyzer = {use},") for use in (0, 1))
                # Of rows that are equal in the order asked for any may come first.
                if "LIMIT" not in sql:
                    self.assertEqual(old, new)
                self.assertEqual(len(old), len(new))

    def comparable(self, sql):
        """Rows as text, without what depends on now; floats as exact as the order of adding them up leaves them."""
        rows = CLICKHOUSE.rows(f"{sql} output_format_json_quote_decimals = 1")
        return sorted(str({name: f"{value:.9g}" if isinstance(value, float) else value for name, value in row.items()
                           if name not in ("seconds_ago", "percent_per_year")}) for row in rows)

    def candles_by_hand(self, seconds, condition):
        candles = {}
        for t in sorted(self.trades(condition), key=lambda t: (t["ns"], t["stream"], t["bus_sequence"], t["bus_index"])):
            if t["execution"] == "book":
                candles.setdefault(t["ns"] // (seconds * 10**9) * seconds, []).append(t)
        return {start: {"open": D(ts[0]["price"]), "high": max(D(t["price"]) for t in ts), "low": min(D(t["price"]) for t in ts),
                        "close": D(ts[-1]["price"]), "volume": sum(D(t["quantity"]) for t in ts),
                        "buy_volume": sum((D(t["quantity"]) for t in ts if t["side"] == "buy"), D(0)),
                        "quote_volume": sum(D(t["quantity"]) * D(t["price"]) for t in ts),
                        "trades": len(ts)} for start, ts in candles.items()}

    def test_candles_by_minute(self):
        expected = self.candles_by_hand(60, PERPETUAL)
        found = self.ask(1)
        self.assertEqual(len(found), len(expected))
        for row in found:
            start = int(self.rows(f"SELECT toUnixTimestamp(toDateTime('{row['minute']}', 'UTC')) AS s")[0]["s"])
            for column, value in expected[start].items():
                self.assertEqual(D(row[column]), value, f"{row['minute']} {column}")

    def test_candles_of_five_seconds(self):
        expected = self.candles_by_hand(5, PERPETUAL)
        found = self.ask(2)
        self.assertEqual(len(found), len(expected))
        self.assertGreater(len(found), 3)
        for row, (_, want) in zip(found, sorted(expected.items())):
            for column in ("open", "high", "low", "close", "volume", "trades"):
                self.assertEqual(D(row[column]), want[column], f"{row['start']} {column}")
            self.assertAlmostEqual(float(row["vwap"]), float(want["quote_volume"] / want["volume"]), places=6)

    def test_turnover(self):
        expected = {}
        for t in self.trades("market_type != 'options'"):
            key = (t["exchange"], t["market_type"], t["symbol"].split("-")[1])
            # The query brings each product to twelve decimals.
            value = D(t["quantity"]) if t["quantity_unit"] == "quote" else \
                (D(t["quantity"]) * D(t["price"])).quantize(D("1e-12"), rounding=decimal.ROUND_DOWN)
            expected[key] = expected.get(key, D(0)) + value
        found = {(r["exchange"], r["market_type"], r["quote"]): D(r["turnover"]) for r in self.ask(3)}
        self.assertEqual(found, expected)
        self.assertIn("quote", {t["quantity_unit"] for t in self.trades("1")}, "no inverse contract was traded")

    def test_top_of_the_book(self):
        at = a_moment()
        (row,) = self.ask(7, at)
        last = None
        for picture in self.rows(f"SELECT timestamp, best_bid_price, best_ask_price, toUnixTimestamp64Nano(timestamp) AS ns, bus_sequence, bus_index"
                                 f" FROM {DATABASE}.orderbooks WHERE {PERPETUAL} AND depth = 20 AND timestamp <= {at}"):
            if last is None or (picture["ns"], picture["bus_sequence"], picture["bus_index"]) > (last["ns"], last["bus_sequence"], last["bus_index"]):
                last = picture
        self.assertEqual((row["timestamp"], row["best_bid_price"], row["best_ask_price"]),
                         (last["timestamp"], last["best_bid_price"], last["best_ask_price"]))
        (moment,) = self.rows(f"SELECT toUnixTimestamp64Milli({at}) AS ms")
        self.assertEqual(row["age_ms"], moment["ms"] - last["ns"] // 10**6)

    def compare_book(self, at):
        bids, asks = rebuilt_book(CLICKHOUSE, at)
        self.assertGreater(len(bids), 10)
        found = self.ask(8, at)
        self.assertEqual([(D(r["price"]), D(r["quantity"])) for r in found if r["side"] == "bid"], sorted(bids.items(), reverse=True)[:10])
        self.assertEqual([(D(r["price"]), D(r["quantity"])) for r in found if r["side"] == "ask"], sorted(asks.items())[:10])
        self.assertLess(max(bids), min(asks))

    def test_book_rebuilt_at_an_instant(self):
        self.compare_book(a_moment())

    def test_book_rebuilt_before_the_collector_died(self):
        (gap,) = self.rows(f"SELECT min(gap_start) AS s FROM {DATABASE}.gaps WHERE {PERPETUAL}"
                            " AND data_type = 'orderbook_delta' AND cause = 'collector_down'")
        self.compare_book(f"toDateTime64('{gap['s']}', 9, 'UTC') - INTERVAL 1 SECOND")

    def test_rebuilt_book_is_that_of_the_picture(self):
        # The picture was made by the collector, the book by the query: the same update, the same ten levels.
        (picture,) = self.rows(f"SELECT timestamp, last_update_id, arrayMap(l -> [toString(l.1), toString(l.2)], bids) AS b,"
                               f" arrayMap(l -> [toString(l.1), toString(l.2)], asks) AS a"
                               f" FROM {DATABASE}.orderbooks WHERE {PERPETUAL} AND depth = 20 ORDER BY timestamp DESC, bus_sequence DESC LIMIT 1")
        found = self.ask(8, f"toDateTime64('{picture['timestamp']}', 9, 'UTC')")
        for side, levels in (("bid", picture["b"]), ("ask", picture["a"])):
            self.assertEqual([[D(r["price"]), D(r["quantity"])] for r in found if r["side"] == side],
                             [[D(p), D(q)] for p, q in levels[:10]])

    def test_no_snapshot_means_no_book(self):
        self.assertEqual(self.ask(8, "toDateTime64('2020-01-01 00:00:00', 9, 'UTC')"), [])

    def test_market_order(self):
        (row,) = self.ask(10)
        (picture,) = self.rows(f"SELECT arrayMap(l -> [toString(l.1), toString(l.2)], asks) AS a FROM {DATABASE}.orderbooks"
                               f" WHERE {PERPETUAL} AND depth = 400 AND ask_count > 0"
                               " ORDER BY timestamp DESC, bus_stream DESC, bus_sequence DESC, bus_index DESC LIMIT 1")
        left, cost = D(5), D(0)
        for price, size in picture["a"]:
            taken = min(left, D(size))
            left, cost = left - taken, cost + taken * D(price)
        self.assertEqual(D(row["bought"]), 5 - left)
        self.assertAlmostEqual(float(row["average_price"]), float(cost / (5 - left)), places=4)

    def test_funding_carry(self):
        expected = {}
        for r in self.rows(f"SELECT exchange, symbol, funding_rate FROM {DATABASE}.funding_rates WHERE is_settled"):
            expected.setdefault((r["exchange"], r["symbol"]), []).append(D(r["funding_rate"]))
        found = {(r["exchange"], r["symbol"]): (int(r["payments"]), D(r["earned"])) for r in self.ask(16)}
        self.assertEqual(found, {key: (len(rates), sum(rates)) for key, rates in expected.items()})

    def test_clusters_hold_each_liquidation_once(self):
        rows = self.rows(f"SELECT exchange, market_type, symbol, side, toUnixTimestamp64Milli(timestamp) AS ms FROM {DATABASE}.liquidations"
                         " WHERE market_type != 'options' ORDER BY ms")
        clusters, last = {}, {}
        for r in rows:
            key = (r["exchange"], r["market_type"], r["symbol"], r["side"])
            if key not in last or r["ms"] - last[key] > 30000:
                clusters.setdefault(key, []).append(0)
            clusters[key][-1] += 1
            last[key] = r["ms"]
        expected = sorted((n for of_key in clusters.values() for n in of_key), reverse=True)
        self.assertEqual([int(r["orders"]) for r in self.ask(20)], expected[:20])

    def test_ids_that_are_missing_were_confessed(self):
        rows = self.ask(26)
        self.assertTrue(any(int(r["missing"]) > 0 for r in rows), "the collector was dead for a while, and nothing is missing?")
        for row in rows:
            self.assertEqual(int(row["missing"]), int(row["confessed"]), row)

    def test_the_dead_collectors_gaps_are_told(self):
        rows = self.ask(24)
        self.assertIn("collector_down", {r["cause"] for r in rows})
        self.assertTrue({"trade", "orderbook_delta"} <= {r["data_type"] for r in rows})
        self.assertTrue(all(float(r["percent_complete"]) <= 100 for r in self.ask(25)))

    def test_views_have_the_columns_of_the_document(self):
        ((_, views),) = tables(sections((DOCS / "data.md").read_text())["Views"])
        for view, columns, _ in views:
            with self.subTest(view=view):
                found = [r["name"] for r in CLICKHOUSE.rows(f"DESCRIBE TABLE {DATABASE}.{unquoted(view)}")]
                if columns.startswith("as "):
                    of = CLICKHOUSE.rows(f"DESCRIBE TABLE {DATABASE}.{unquoted(columns[3:])}")
                    # SELECT * leaves out what is computed when it is read.
                    self.assertEqual(found, [r["name"] for r in of if r["default_type"] != "ALIAS"])
                else:
                    self.assertEqual([unquoted(c) for c in columns.split(", ")], found)


def a_moment():
    """After nine tenths of the pictures, and between two of them."""
    return (f"assumeNotNull((SELECT arraySort(groupArray(timestamp))[toUInt32(0.9 * count())] + INTERVAL 1 MILLISECOND"
            f" FROM {DATABASE}.orderbooks WHERE {PERPETUAL} AND depth = 20))")


class Served:
    """Queries see the database as a user who names it in the address."""

    def __init__(self, clickhouse):
        self.clickhouse = clickhouse
        self.clickhouse.url += f"?database={DATABASE}"

    def rows(self, sql):
        return self.clickhouse.rows(sql)


if __name__ == "__main__":
    program = os.path.abspath(sys.argv.pop(1))
    kept = sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else None
    data = kept or tempfile.mkdtemp(prefix="mp-queries-")
    if not any((ROOT / ".deps" / "chdb").glob("**/libchdb.so")) and not os.environ.get("MARKETPRISM_LIBCHDB"):
        skip("no libchdb; tools/setup brings it")
    if not pathlib.Path(data, "clickhouse").exists():
        record(program, data)
    with StoredData(program, data) as stored:
        CLICKHOUSE = Served(stored)
        result = unittest.main(exit=False).result
    if result.wasSuccessful() and not kept:
        shutil.rmtree(data)
    elif not kept:
        print("data is left in", data)
    sys.exit(0 if result.wasSuccessful() else 1)
