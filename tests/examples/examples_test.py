#!/usr/bin/env python3
"""Runs examples/python or examples/node against a simulated system: what they print is what stands in ClickHouse, to the last
digit; messages of several lines and compressed ones are understood.

usage: examples_test.py node|python --marketprism PROGRAM --work FOLDER

Packages are installed into FOLDER. Exit status 77: skipped, with the reason."""

import argparse
import ctypes
import ctypes.util
import decimal
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))
from system import StoredData, System, skip, wait_for  # noqa: E402

decimal.getcontext().prec = 100
D = decimal.Decimal
DATABASE = "marketprism_sim_hot"
SYMBOL = "exchange = 'binance' AND market_type = 'perpetual' AND symbol = 'BTC-USDT'"


def give_up(reason, tool_is_there=False):
    # In CI packages that could have been fetched must be: only the lack of npm or pip excuses.
    if tool_is_there and os.environ.get("CI") == "true":
        sys.exit(f"FAILED: {reason} (and CI=true)")
    skip(reason)


class Language:
    """The examples of one language, copied beside their packages."""

    def __init__(self, name, work):
        self.name = name
        self.folder = work / name
        source = ROOT / "examples" / name
        wanted = (source / ("requirements.txt" if name == "python" else "package.json")).read_text()
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in source.iterdir():
            if file.is_file():
                shutil.copy(file, self.folder)
        mark = self.folder / "installed"
        if not mark.exists() or mark.read_text() != wanted:
            {"python": self.install_python, "node": self.install_node}[name]()
            mark.write_text(wanted)

    def run_quietly(self, *command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, cwd=self.folder)

    def install_python(self):
        made = self.run_quietly(sys.executable, "-m", "venv", "venv")
        if made.returncode != 0:
            give_up(f"no virtual environment can be made (python3-venv): {made.stdout.strip()[-200:]}")
        done = self.run_quietly("venv/bin/pip", "install", "--quiet", "-r", "requirements.txt")
        if done.returncode != 0:
            give_up(f"pip: {done.stdout.strip()[-400:]}", tool_is_there=True)

    def install_node(self):
        if not shutil.which("npm") or not shutil.which("node"):
            give_up("node and npm are not installed")
        done = self.run_quietly("npm", "install", "--no-audit", "--no-fund")
        if done.returncode != 0:
            give_up(f"npm: {done.stdout.strip()[-400:]}", tool_is_there=True)

    def run(self, example, *arguments, **environment):
        """(standard output, standard error) of an example that ends well."""
        program = {"python": ["venv/bin/python", f"{example}.py"], "node": ["node", f"{example}.mjs"]}[self.name]
        done = subprocess.run([*program, *arguments], cwd=self.folder, env={**os.environ, **environment}, timeout=90,
                              capture_output=True, text=True)
        assert done.returncode == 0, f"{example}: status {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done.stdout, done.stderr


class Nats:
    """As much of the protocol as is needed to publish and to ask."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.socket.makefile("rb")
        assert self.file.readline().startswith(b"INFO ")
        self.socket.sendall(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB _INBOX.examples 1\r\n')

    def close(self):
        self.file.close()
        self.socket.close()

    def ask(self, subject, payload, headers=None):
        """The answer, as JSON."""
        if headers:
            head = ("NATS/1.0\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode()
            line = f"HPUB {subject} _INBOX.examples {len(head)} {len(head) + len(payload)}\r\n"
            self.socket.sendall(line.encode() + head + payload + b"\r\n")
        else:
            self.socket.sendall(f"PUB {subject} _INBOX.examples {len(payload)}\r\n".encode() + payload + b"\r\n")
        while True:
            line = self.file.readline().split()
            assert line, "NATS has closed the connection"
            if line[0] == b"PING":
                self.socket.sendall(b"PONG\r\n")
            elif line[0] == b"MSG":
                answer = json.loads(self.file.read(int(line[-1]) + 2))
                assert "error" not in answer, answer
                return answer
            else:
                raise AssertionError(line)


def compressed(data):
    """By the library that the program itself uses."""
    library = ctypes.CDLL(ctypes.util.find_library("zstd") or "libzstd.so.1")
    library.ZSTD_compress.restype = library.ZSTD_compressBound.restype = ctypes.c_size_t
    library.ZSTD_compressBound.argtypes = [ctypes.c_size_t]
    library.ZSTD_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]
    room = ctypes.create_string_buffer(library.ZSTD_compressBound(len(data)))
    size = library.ZSTD_compress(room, len(room), data, len(data), 3)
    assert 0 < size < len(data), size
    return room.raw[:size]


# Digits that a float or a default Decimal would lose.
EXACT_TRADE = json.loads((ROOT / "src" / "wire" / "fixtures" / "trade.jsonl").read_text().splitlines()[0]) | {
    "price": "123456789012345.123456789012", "quantity": "98765432109876.987654321098"}


def line(event):
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.data = tempfile.mkdtemp(prefix="mp-examples-")
        system = System(OPTIONS.marketprism, "--sim", "--symbols", "3", "--rate", "500", data=cls.data)
        nats = f"nats://127.0.0.1:{system.ports['nats-port']}"
        try:
            system.wait_healthy()
            wait_for("trades", lambda: int(system.clickhouse.value(f"SELECT count() FROM {DATABASE}.trades WHERE {SYMBOL}")) > 10)
            cls.live = LANGUAGE.run("follow_nats", "--count", "60", "trade-data.binance.*.*", NATS_URL=nats)
            cls.from_start = LANGUAGE.run("follow_nats", "--from-start", "--count", "40",
                                          "orderbook-delta-data.binance.perpetual.BTC-USDT", NATS_URL=nats)
            bus = Nats(system.ports["nats-port"])
            cls.publish_examples(bus)
            bus.close()
            cls.made = LANGUAGE.run("follow_nats", "--from-start", "--count", "4003", "examples.>", NATS_URL=nats, NATS_STREAM="EXAMPLES")
            cls.unknown = cls.follow_unknown(nats)
            assert system.stop() == 0, system.output()
        finally:
            if system.process.poll() is None:
                system.process.kill()
                system.process.wait()
        cls.stored = StoredData(OPTIONS.marketprism, cls.data)
        cls.clickhouse = cls.stored.clickhouse
        cls.read = LANGUAGE.run("read_clickhouse", CLICKHOUSE_URL=cls.clickhouse.url.rstrip("/"))[0]

    @classmethod
    def tearDownClass(cls):
        cls.stored.__exit__()
        shutil.rmtree(cls.data)

    @classmethod
    def publish_examples(cls, nats):
        """A stream of the test's own, so that nothing of it goes to storage."""
        for name in ("EXAMPLES", "UNKNOWN"):
            nats.ask(f"$JS.API.STREAM.CREATE.{name}", json.dumps({"name": name, "subjects": [f"{name.lower()}.>"], "storage": "memory"}).encode())
        nats.ask("examples.one", line(EXACT_TRADE))
        nats.ask("examples.two", line(EXACT_TRADE | {"trade_id": "2"}) + line(EXACT_TRADE | {"trade_id": "3"}))
        many = b"".join(line(EXACT_TRADE | {"trade_id": str(i), "price": "1", "quantity": "1", "symbol": "ÄÖ-USDT"}) for i in range(4000))
        nats.ask("examples.large", compressed(many), {"MP-Encoding": "zstd"})
        nats.ask("unknown.one", b"?", {"MP-Encoding": "of tomorrow"})

    @classmethod
    def follow_unknown(cls, nats):
        try:
            LANGUAGE.run("follow_nats", "--from-start", "--count", "1", "unknown.>", NATS_URL=nats, NATS_STREAM="UNKNOWN")
        except AssertionError as error:
            return str(error)
        return ""

    def rows_of(self, table, columns):
        return {(int(r["bus_sequence"]), int(r["bus_index"])): r for r in self.clickhouse.rows(
            f"SELECT bus_sequence, bus_index, {columns} FROM {DATABASE}.{table}")}

    def test_events_are_the_rows_of_clickhouse(self):
        rows = self.rows_of("trades", "trade_id, toString(price) AS price, toString(quantity) AS quantity, symbol, instrument, side")
        printed = [json.loads(text) for text in self.live[0].splitlines()]
        self.assertEqual(len(printed), 60)
        for one in printed:
            row = rows[one["bus_sequence"], one["bus_index"]]
            for column in ("trade_id", "price", "quantity", "symbol", "instrument", "side"):
                self.assertEqual(row[column], one["event"][column])

    def test_turnover_is_exact(self):
        expected = {}
        for text in self.live[0].splitlines():
            e = json.loads(text)["event"]
            name = f"{e['exchange']} {e['market_type']} {e['symbol']}"
            expected[name] = expected.get(name, D(0)) + D(e["price"]) * D(e["quantity"])
        self.assertTrue(expected)
        printed = dict(re.findall(r"^turnover of (.+): (\S+)$", self.live[1], re.M))
        self.assertEqual({name: D(value) for name, value in printed.items()}, expected)

    def test_from_the_start_of_the_stream(self):
        printed = [json.loads(text) for text in self.from_start[0].splitlines()]
        # The first that is published of a book is the whole of it.
        self.assertTrue(printed[0]["event"]["is_snapshot"])
        rows = self.rows_of("orderbook_deltas", "last_update_id, bid_count")
        for one in printed:
            row = rows[one["bus_sequence"], one["bus_index"]]
            self.assertEqual(int(row["last_update_id"]), one["event"]["last_update_id"])
            self.assertEqual(row["bid_count"], len(one["event"]["bids"]))

    def test_several_lines_and_compressed_messages(self):
        printed = [json.loads(text) for text in self.made[0].splitlines()]
        self.assertEqual([(p["bus_sequence"], p["bus_index"]) for p in printed[:4]], [(1, 0), (2, 0), (2, 1), (3, 0)])
        self.assertEqual(printed[-1]["bus_index"], 3999)
        self.assertEqual(printed[-1]["event"]["symbol"], "ÄÖ-USDT")
        self.assertEqual(printed[0]["event"], EXACT_TRADE)
        value = 3 * D(EXACT_TRADE["price"]) * D(EXACT_TRADE["quantity"])
        self.assertIn(f"turnover of binance perpetual BTC-USDT: {value.normalize():f}\n", self.made[1])
        self.assertIn("turnover of binance perpetual ÄÖ-USDT: 4000\n", self.made[1])

    def test_an_unknown_encoding_is_no_silence(self):
        self.assertIn("only zstd is known", self.unknown)
        self.assertIn("of tomorrow", self.unknown)

    def test_trades_from_clickhouse(self):
        count, turnover = re.search(r"^trades: (\d+), turnover (\S+)$", self.read, re.M).groups()
        rows = self.clickhouse.rows(f"SELECT toString(price) AS price, toString(quantity) AS quantity FROM {DATABASE}.trades WHERE {SYMBOL}")
        self.assertEqual(int(count), len(rows))
        self.assertEqual(D(turnover), sum(D(r["price"]) * D(r["quantity"]) for r in rows))

    def test_book_from_clickhouse(self):
        (row,) = self.clickhouse.rows(
            "SELECT toString(toUnixTimestamp64Nano(timestamp)) AS ns, toString(best_bid_price) AS bid, toString(best_bid_quantity) AS bids,"
            f" toString(best_ask_price) AS ask, toString(best_ask_quantity) AS asks FROM {DATABASE}.latest_orderbooks WHERE {SYMBOL}")
        self.assertIn(f"book at {row['ns']} ns: bid {row['bids']} @ {row['bid']}, ask {row['asks']} @ {row['ask']}\n", self.read)

    def test_candles_from_clickhouse(self):
        rows = self.clickhouse.rows(f"SELECT formatDateTime(minute, '%H:%i') AS at, toString(open) AS o, toString(high) AS h, toString(low) AS l,"
                                    f" toString(close) AS c, toString(volume) AS v FROM {DATABASE}.ohlcv_1m WHERE {SYMBOL} ORDER BY minute")
        self.assertTrue(rows)
        for r in rows:
            self.assertIn(f"  {r['at']} {r['o']} {r['h']} {r['l']} {r['c']} {r['v']}\n", self.read)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("language", choices=["node", "python"])
    arguments.add_argument("--marketprism", required=True)
    arguments.add_argument("--work", required=True, type=pathlib.Path)
    OPTIONS = arguments.parse_args()
    LANGUAGE = Language(OPTIONS.language, OPTIONS.work.resolve())
    unittest.main(argv=sys.argv[:1])
