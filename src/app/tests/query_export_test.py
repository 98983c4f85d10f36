#!/usr/bin/env python3
"""`marketprism query` and `marketprism export` as a user meets them, against the real engine (`marketprism clickhouse`).
Arguments: the program, the schema file. Exit status 77: skipped (no libchdb)."""
import csv
import json
import os
import pathlib
import pty
import signal
import subprocess
import sys
import tempfile
import time
import unittest

PROGRAM = os.path.abspath(sys.argv.pop(1))
SCHEMA = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[3]
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("CLICKHOUSE_", "NATS_"))}


def library():
    return os.environ.get("MARKETPRISM_LIBCHDB") or str(ROOT / ".deps/chdb/libchdb.so")


class Engine:
    def __init__(self, folder, *arguments, **environment):
        self.process = subprocess.Popen([PROGRAM, "clickhouse", "--data", folder, "--http", "127.0.0.1:0", *arguments], stdout=subprocess.PIPE,
                                        text=True, env={**CLEAN, "MARKETPRISM_LIBCHDB": library(), **environment})
        self.ready = self.process.stdout.readline()
        self.url = "http://" + self.ready.split("http://")[1].split(",")[0]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.stdout.read()
        self.process.stdout.close()
        self.process.wait(60)


class WithEngine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.engine = Engine(cls.folder.name + "/ch")
        cls.addClassCleanup(cls.engine.end)
        done = cls.run_program("query", "--file", str(SCHEMA), "--database", "default")
        assert done.returncode == 0, done.stderr

    @classmethod
    def run_program(cls, *arguments, stdin=None, **environment):
        return subprocess.run([PROGRAM, *arguments], input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=120, cwd=cls.folder.name, env={**CLEAN, "CLICKHOUSE_URL": cls.engine.url, **environment})

    def good(self, *arguments, **more):
        done = self.run_program(*arguments, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def refused(self, status, *arguments, **more):
        done = self.run_program(*arguments, **more)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
        return done.stderr


class Query(WithEngine):
    def test_lines_elsewhere_a_table_in_a_terminal(self):
        self.assertEqual(self.good("query", "SELECT 1 AS a, 'x' AS b"), "1\tx\n")
        shown = bytearray()
        leader, follower = pty.openpty()
        process = subprocess.Popen([PROGRAM, "query", "SELECT 1 AS a, 'x' AS b"], stdout=follower, cwd=self.folder.name,
                                   env={**CLEAN, "CLICKHOUSE_URL": self.engine.url, "TERM": "xterm"})
        os.close(follower)
        try:
            while piece := os.read(leader, 4096):
                shown += piece
        except OSError:
            pass  # how a terminal says that the other side is closed
        os.close(leader)
        self.assertEqual(process.wait(60), 0)
        self.assertIn("─", shown.decode())
        self.assertIn("\x1b[1m", shown.decode())

    def test_any_format_and_the_one_of_the_sql_wins(self):
        self.assertEqual(self.good("query", "SELECT 1 AS a", "--format", "JSONEachRow"), '{"a":1}\n')
        self.assertEqual(self.good("query", "SELECT 1 AS a FORMAT CSVWithNames", "--format", "JSONEachRow"), '"a"\n1\n')

    def test_sql_from_a_file_or_standard_input(self):
        file = pathlib.Path(self.folder.name) / "two.sql"
        file.write_text("-- two; statements\nSET max_threads = 1;\nSELECT getSetting('max_threads'), ';';\n")
        self.assertEqual(self.good("query", "--file", str(file)), "1\t;\n")
        self.assertEqual(self.good("query", stdin="SELECT 2"), "2\n")
        self.assertEqual(self.good("query", "-", stdin="SELECT 3;"), "3\n")

    def test_parameters_and_settings(self):
        self.assertEqual(self.good("query", "SELECT {s:String}, getSetting('max_threads')", "--param", "s=it's", "--setting", "max_threads=2"), "it\\'s\t2\n")
        # Each takes one value: what follows is the SQL.
        self.assertEqual(self.good("query", "--param", "s=a", "--setting", "max_threads=2", "SELECT {s:String}"), "a\n")

    def test_errors_have_the_code_and_the_text(self):
        said = self.refused(1, "query", "SELECT * FROM nowhere")
        self.assertIn("code 60", said)
        self.assertIn("nowhere", said)
        said = self.refused(1, "query", "SELECT throwIf(number = 900000) FROM numbers(1000000)")
        self.assertIn("code 395", said)
        said = self.refused(1, "query", "SELECT 1", CLICKHOUSE_URL="http://127.0.0.1:1")
        self.assertIn("127.0.0.1:1", said)

    def test_wrong_usage(self):
        self.assertIn("did you mean --format?", self.refused(2, "query", "SELECT 1", "--fromat", "CSV"))
        self.assertIn("NAME=VALUE", self.refused(2, "query", "SELECT 1", "--param", "x"))
        self.assertIn("/nowhere", self.refused(2, "query", "--file", "/nowhere"))
        self.assertIn("empty", self.refused(2, "query", stdin=" ;\n"))
        self.refused(2, "query", "SELECT 1", "--sim", "--database", "x")

    def test_several_statements_may_insert_values_and_use_a_database(self):
        script = """CREATE DATABASE IF NOT EXISTS other;
            USE other; -- from here on
            CREATE TABLE IF NOT EXISTS t (x UInt8, s String) ENGINE = MergeTree ORDER BY x;
            INSERT INTO t VALUES (1, 'a;b'), (2, 'FORMAT CSV');
            INSERT INTO t (x, s) SELECT 3, currentDatabase();
            SELECT * FROM t ORDER BY x"""
        self.assertEqual(self.good("query", script), "1\ta;b\n2\tFORMAT CSV\n3\tother\n")
        self.assertEqual(self.good("query", "INSERT INTO other.t FORMAT CSV\n4,\"c;d\"\n"), "")
        self.assertEqual(self.good("query", "SELECT s FROM other.t WHERE x = 4"), "c;d\n")
        self.assertIn("stands alone", self.refused(2, "query", "SELECT 1; INSERT INTO other.t FORMAT CSV 5,x"))
        self.assertIn("only comments", self.refused(2, "query", "-- SELECT 1\n/* nothing */"))
        self.assertIn("name the database by --database", self.refused(2, "query", "USE other"))
        self.assertIn("code 81", self.refused(1, "query", "USE nowhere; SELECT 1"))

    def test_a_large_answer_is_not_held_in_memory(self):
        process = subprocess.Popen([PROGRAM, "query", "SELECT * FROM numbers(20000000)"], stdout=subprocess.PIPE, cwd=self.folder.name,
                                   env={**CLEAN, "CLICKHOUSE_URL": self.engine.url})
        size, most = 0, 0
        while piece := process.stdout.read(1 << 20):
            size += len(piece)
            if size % (16 << 20) < len(piece):
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                most = max(most, int(status.split("VmRSS:")[1].split()[0]))
        process.stdout.close()
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(size, sum(count * (digits + 1) for digits, count in [(1, 10)] + [(d, 9 * 10 ** (d - 1)) for d in range(2, 8)]) + 10_000_000 * 9)
        self.assertLess(most, 64 << 10, "kB resident for an answer of 170 MB")

    def test_the_database_is_found(self):
        self.assertEqual(self.good("query", "SELECT currentDatabase()"), "marketprism_hot\n")
        self.assertEqual(self.good("query", "--cold", "SELECT currentDatabase()"), "marketprism_cold\n")
        self.assertIn("code 81", self.refused(1, "query", "--sim", "SELECT 1"))
        self.assertEqual(self.good("query", "SELECT currentDatabase()", CLICKHOUSE_DB="default"), "default\n")
        run = pathlib.Path(self.folder.name) / "data" / "run"
        run.mkdir(parents=True)
        (run / "addresses.yaml").write_text(f'clickhouse: "{self.engine.url}"\ndatabase: "marketprism_cold"\nnats_http: "http://127.0.0.1:1"\n')
        try:
            self.assertEqual(self.good("query", "SELECT currentDatabase()", CLICKHOUSE_URL=""), "marketprism_cold\n", "as `up` wrote it")
            self.assertEqual(self.good("query", "--database", "default", "SELECT currentDatabase()"), "default\n")
        finally:
            (run / "addresses.yaml").unlink()
            run.rmdir()

    def test_only_simulated_data_is_taken_with_a_word(self):
        folder = tempfile.TemporaryDirectory()
        engine = Engine(folder.name)
        self.addCleanup(folder.cleanup)
        self.addCleanup(engine.end)
        self.good("query", "CREATE DATABASE marketprism_sim_hot", CLICKHOUSE_URL=engine.url)
        done = self.run_program("query", "SELECT currentDatabase()", CLICKHOUSE_URL=engine.url)
        self.assertEqual(done.stdout, "marketprism_sim_hot\n")
        self.assertIn("simulated data", done.stderr)

    def test_user_and_password(self):
        folder = tempfile.TemporaryDirectory()
        engine = Engine(folder.name, "--user", "market", CLICKHOUSE_PASSWORD="right")
        self.addCleanup(folder.cleanup)
        self.addCleanup(engine.end)
        ask = ("query", "SELECT 1", "--url", engine.url)
        self.assertEqual(self.good(*ask, CLICKHOUSE_USER="market", CLICKHOUSE_PASSWORD="right"), "1\n")
        said = self.refused(1, *ask, "--user", "market", CLICKHOUSE_PASSWORD="wrong")
        self.assertIn("code 516", said)
        self.assertNotIn("wrong", said)
        secret = pathlib.Path(self.folder.name) / "secret"
        secret.write_text("right\n")
        self.assertEqual(self.good(*ask, "--user", "market", "--password-file", str(secret)), "1\n")


ROWS = 30_000  # over three days, the last hour of the second with most of them


class Export(WithEngine):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Prices with all digits that the column has; texts that CSV must quote; the hours unevenly filled.
        sql = f"""INSERT INTO trades (timestamp, received_at, exchange, market_type, symbol, instrument, data_source, trade_id, price, quantity,
              side, is_maker, is_aggregated, first_trade_id, last_trade_id, bus_stream, bus_sequence, bus_index)
            SELECT toDateTime64('2026-11-20 00:00:00', 9, 'UTC') + if(number < {ROWS // 2}, 86400 + 82800 + intDiv(number, 10), number * 8) AS t, t,
              if(number % 3 = 0, 'okx', 'binance'), 'spot', if(number % 2 = 0, 'BTC-USDT', 'ETH-USDT'), 'a "quoted", instrument\nof two lines', 'live',
              toString(number), toDecimal128('12345678901234.123456789012', 12) + number, toDecimal128('0.000000000001', 12), 'buy', true, false, '', '',
              t, number, 0 FROM numbers({ROWS})"""
        # Live rows of the past would expire at once.
        done = cls.run_program("query", stdin="ALTER TABLE trades REMOVE TTL")
        assert done.returncode == 0, done.stderr
        done = cls.run_program("query", stdin=sql)
        assert done.returncode == 0, done.stderr

    def path(self, name):
        path = pathlib.Path(self.folder.name) / name
        self.addCleanup(lambda: path.unlink(missing_ok=True))
        return path

    def export(self, name, *arguments):
        path = self.path(name)
        self.good("export", "--output", str(path), *arguments)
        return path

    def no_rests(self):
        rests = [p.name for p in pathlib.Path(self.folder.name).iterdir() if "partial" in p.name]
        self.assertEqual(rests, [])

    def test_json_lines_are_exact_and_in_order(self):
        rows = [json.loads(line) for line in self.export("all.jsonl").read_text().splitlines()]
        self.assertEqual(len(rows), ROWS)
        key = [(r["timestamp"], r["exchange"], r["market_type"], r["symbol"], int(r["bus_sequence"])) for r in rows]
        self.assertEqual(key, sorted(key))
        self.assertEqual(len(set(r["trade_id"] for r in rows)), ROWS)
        one = next(r for r in rows if r["trade_id"] == "7")
        self.assertEqual(one["price"], "12345678901241.123456789012")
        self.assertEqual(one["quantity"], "0.000000000001")
        self.assertEqual(one["timestamp"], "2026-11-21T23:00:00.000000000Z")
        self.assertEqual(one["bus_sequence"], "7")
        self.assertNotIn("base_quantity", one, "computed columns are not stored")
        self.no_rests()

    def test_csv_holds_the_same(self):
        with open(self.export("all.csv"), newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), ROWS)
        one = next(r for r in rows if r["trade_id"] == "7")
        self.assertEqual(one["price"], "12345678901241.123456789012")
        self.assertEqual(one["instrument"], 'a "quoted", instrument\nof two lines')

    def test_parquet_holds_the_same(self):
        path = self.export("all.parquet")
        self.assertEqual(path.read_bytes()[:4], b"PAR1")
        read = self.good("query", f"SELECT count(), sum(price), min(timestamp), toTypeName(any(price)), any(symbol) IN ('BTC-USDT', 'ETH-USDT') FROM file('{path}', Parquet)")
        wanted = self.good("query", "SELECT count(), sum(price), min(timestamp), 'Nullable(Decimal(38, 12))', 1 FROM trades")
        self.assertEqual(read.replace("Nullable(", "").replace("))", ")"), wanted.replace("Nullable(", "").replace("))", ")"))

    def test_pieces_make_no_difference(self):
        # The same in one request and in many: the pieces' bounds fall into hours and minutes.
        for ending in ("csv", "jsonl"):
            whole = self.export("whole." + ending).read_bytes()
            small = self.path("small." + ending)
            self.good("export", "--output", str(small), MARKETPRISM_EXPORT_PIECE_ROWS="1000")
            self.assertEqual(small.read_bytes(), whole)
        small = self.path("small.parquet")
        self.good("export", "--output", str(small), MARKETPRISM_EXPORT_PIECE_ROWS="1000")
        one = "count(), groupBitXor(cityHash64(tuple(*))), sum(bus_sequence)"
        self.assertEqual(self.good("query", f"SELECT {one} FROM file('{small}', Parquet)"),
                         self.good("query", f"SELECT {one} FROM file('{self.export('whole.parquet')}', Parquet)"))
        groups = int(self.good("query", f"SELECT num_row_groups FROM file('{small}', ParquetMetadata)"))
        self.assertGreaterEqual(groups, ROWS // 1000)
        # Filters and single columns use the offsets of every row group.
        self.assertEqual(self.good("query", f"SELECT sum(price) FROM file('{small}', Parquet) WHERE trade_id = '29999'"),
                         self.good("query", "SELECT sum(price) FROM trades WHERE trade_id = '29999'"))

    def test_ranges_that_follow_one_another_neither_miss_nor_repeat(self):
        cuts = ["2026-11-20", "2026-11-21T23:00:00Z", "2026-11-21T23:10:00.5", "2026-11-23"]
        parts = [self.export(f"part{i}.jsonl", "--from", a, "--to", b).read_text() for i, (a, b) in enumerate(zip(cuts, cuts[1:]))]
        self.assertTrue(all(parts))
        self.assertEqual("".join(parts), self.export("all.jsonl").read_text())

    def test_choosing(self):
        rows = [json.loads(line) for line in self.export("some.jsonl", "--exchange", "okx", "--symbol", "BTC-USDT,ETH-USDT", "--columns", "symbol,exchange,trade_id").read_text().splitlines()]
        self.assertEqual(len(rows), ROWS // 3)
        self.assertEqual(list(rows[0]), ["symbol", "exchange", "trade_id"])
        view = self.export("bars.csv", "--table", "ohlcv_1m", "--symbol", "BTC-USDT")
        self.assertIn('"minute"', view.read_text().splitlines()[0])

    def test_the_same_again_is_the_same(self):
        for ending in ("csv", "jsonl", "parquet"):
            self.assertEqual(self.export("a." + ending).read_bytes(), self.export("b." + ending).read_bytes())

    def test_an_existing_file_is_kept(self):
        path = self.path("kept.csv")
        path.write_text("mine")
        said = self.refused(1, "export", "--output", str(path))
        self.assertIn("--force", said)
        self.assertEqual(path.read_text(), "mine")
        self.good("export", "--output", str(path), "--force", "--quiet")
        self.assertNotEqual(path.read_text(), "mine")
        self.assertIn("not a file", self.refused(1, "export", "--output", "/dev/null", "--format", "csv", "--force"))

    def test_blanks_after_commas(self):
        out = self.path("blanks.csv")
        self.good("export", "--output", str(out), "--columns", " timestamp, price ,quantity", "--quiet", "--force")
        with open(out) as file:
            self.assertEqual(next(csv.reader(file)), ["timestamp", "price", "quantity"])

    def test_what_is_not_there_is_named(self):
        out = str(self.path("none.csv"))
        self.assertIn("did you mean trades?", self.refused(2, "export", "--output", out, "--table", "trade"))
        self.assertIn("did you mean BTC-USDT?", self.refused(2, "export", "--output", out, "--symbol", "BTC-USD"))
        self.assertIn("did you mean price?", self.refused(2, "export", "--output", out, "--columns", "prise"))
        self.assertIn("no database", self.refused(2, "export", "--output", out, "--database", "nowhere"))
        self.assertIn("2026-13-01", self.refused(2, "export", "--output", out, "--from", "2026-13-01"))
        self.assertIn("is not before", self.refused(2, "export", "--output", out, "--from", "2026-11-22", "--to", "2026-11-22"))
        self.assertIn("does not tell", self.refused(2, "export", "--output", str(self.path("x.dat"))))
        self.assertIn("--output", self.refused(2, "export"))
        self.assertFalse(os.path.exists(out))
        done = self.run_program("export", "--output", out, "--from", "2020-01-01", "--to", "2020-01-02")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("no row", done.stderr)
        self.assertEqual(len(pathlib.Path(out).read_text().splitlines()), 1, "the names")
        self.no_rests()

    def test_whole_or_nothing(self):
        # A view that fails in its last row.
        self.good("query", "CREATE OR REPLACE VIEW broken AS SELECT timestamp, exchange, symbol, throwIf(trade_id = '14999') AS x FROM trades")
        for ending in ("csv", "jsonl", "parquet"):
            path = self.path("broken." + ending)
            self.assertIn("code 395", self.refused(1, "export", "--table", "broken", "--output", str(path)))
            self.assertFalse(path.exists())
        self.no_rests()

    def test_an_interrupt_leaves_nothing(self):
        self.good("query", "CREATE OR REPLACE VIEW slow AS SELECT timestamp, trade_id, sleepEachRow(0.0001) AS x FROM trades")
        path = self.path("slow.jsonl")
        process = subprocess.Popen([PROGRAM, "export", "--table", "slow", "--output", str(path)], cwd=self.folder.name, stderr=subprocess.PIPE, text=True,
                                   env={**CLEAN, "CLICKHOUSE_URL": self.engine.url, "MARKETPRISM_EXPORT_PIECE_ROWS": "1000"})
        self.addCleanup(process.stderr.close)
        deadline = time.monotonic() + 30
        while not any("partial" in p.name for p in pathlib.Path(self.folder.name).iterdir()):
            self.assertLess(time.monotonic(), deadline)
            if process.poll() is not None:
                self.fail(process.stderr.read())
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(30), 1)
        self.assertIn("interrupted", process.stderr.read())
        self.assertFalse(path.exists())
        self.no_rests()

    def test_progress_is_a_bar_in_a_terminal(self):
        leader, follower = pty.openpty()
        path = self.path("shown.csv")
        process = subprocess.Popen([PROGRAM, "export", "--output", str(path)], stderr=follower, stdout=subprocess.DEVNULL, cwd=self.folder.name,
                                   env={**CLEAN, "CLICKHOUSE_URL": self.engine.url, "MARKETPRISM_EXPORT_PIECE_ROWS": "1000"})
        os.close(follower)
        shown = bytearray()
        try:
            while piece := os.read(leader, 4096):
                shown += piece
        except OSError:
            pass
        os.close(leader)
        self.assertEqual(process.wait(60), 0)
        self.assertIn(f"{ROWS} of {ROWS} rows", shown.decode())
        self.assertIn("[####", shown.decode())


if __name__ == "__main__":
    if not os.path.exists(library()):
        print("skipped: no libchdb")
        sys.exit(1 if os.environ.get("MARKETPRISM_REQUIRE_DEPS") == "1" or os.environ.get("CI") == "true" else 77)
    sys.exit(0 if unittest.main(exit=False, verbosity=1).result.wasSuccessful() else 1)
