#!/usr/bin/env python3
"""`marketprism tier run|status` and the reload of a running storage service, as they are typed, on real parts.
Argument: the program. Exit status 77: skipped (no nats-server or libchdb)."""

import datetime
import json
import os
import signal
import socket
import subprocess
import sys
import unittest

from doctor_test import CLEAN, LIBRARY, PROGRAM, SERVER, Parts
from system import SKIPPED, http, wait_for


class Commands(Parts):
    def write_live_storage(self, more=""):
        p = self.port
        (self.path / "storage.yaml").write_text(f"""
nats: {{url: ["nats://127.0.0.1:{p['nats']}"], max_bytes: 64MB}}
clickhouse: {{url: "http://127.0.0.1:{p['clickhouse']}"}}
storage: {{lease_ttl: 2s}}
tiers: {{interval: 1h}}
health: {{listen: "127.0.0.1:{p['storage_health']}"}}
metrics: {{listen: "127.0.0.1:{p['storage_metrics']}"}}
{more}
""")

    def ask_clickhouse(self, sql):
        status, body = http(f"http://127.0.0.1:{self.port['clickhouse']}/", sql, timeout=60)
        self.assertEqual(status, 200, body)
        return body.strip()

    def tier(self, *arguments):
        return subprocess.run([PROGRAM, "tier", *arguments], capture_output=True, text=True, timeout=120, cwd=self.path, env=CLEAN)

    def start_storage(self):
        for part in ("nats", "clickhouse", "storage"):
            self.start(part)
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0] == 200)

    def test_tier_run_copies_a_day_once(self):
        self.write_live_storage()
        self.start_storage()
        status = self.tier("status", "--config", "storage.yaml", "--json")
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertEqual(json.loads(status.stdout)["rows_copied"], 0)
        status = self.tier("status", "--config", "storage.yaml")
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertIn("done       0 rows copied, 0 days verified", status.stdout)
        self.assertNotIn("{", status.stdout)
        self.assertNotIn("\x1b", status.stdout)
        self.end("storage")
        away = self.tier("status", "--config", "storage.yaml")
        self.assertEqual(away.returncode, 1)
        self.assertIn("does storage run?", away.stderr)
        day = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)).strftime("%Y-%m-%d")
        self.ask_clickhouse("INSERT INTO marketprism_hot.trades (timestamp, received_at, exchange, market_type, symbol, trade_id, price, quantity, bus_stream, bus_sequence, bus_index) "
                            f"SELECT '{day} 00:00:01', '{day} 00:00:01', 'binance', 'spot', 'BTC-USDT', toString(number), 1.5, 2, '2026-01-01 00:00:00', number, 0 FROM numbers(1000)")
        # Yesterday is over for as long as `settle` says, whenever this runs.
        (self.path / "storage.yaml").write_text((self.path / "storage.yaml").read_text().replace("tiers: {interval: 1h}", "tiers: {interval: 1h, settle: 0s}"))
        done = self.tier("run", "--config", "storage.yaml", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["rows_copied"], 1000)
        self.assertEqual(self.ask_clickhouse("SELECT count(), uniqExact(bus_sequence) FROM marketprism_cold.trades"), "1000\t1000")
        done = self.tier("run", "--config", "storage.yaml", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["rows_copied"], 0)
        self.assertEqual(self.ask_clickhouse("SELECT count() FROM marketprism_cold.trades"), "1000")

    def test_tier_run_makes_no_database_of_a_mistyped_name(self):
        self.write_live_storage()
        self.start_storage()
        self.end("storage")
        there = self.ask_clickhouse("SELECT count() FROM system.databases")
        for name, told in (("marketprism_hott", "there is no database marketprism_hott at "), ("qqq", "there are: default, marketprism_cold, marketprism_hot")):
            done = self.tier("run", "--config", "storage.yaml", "--database", name)
            self.assertEqual(done.returncode, 2, done.stdout)
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertIn(told, done.stderr)
        self.assertIn("did you mean marketprism_hot?", self.tier("run", "--config", "storage.yaml", "--database", "marketprism_hott").stderr)
        self.assertEqual(self.ask_clickhouse("SELECT count() FROM system.databases"), there)
        self.end("clickhouse")
        done = self.tier("run", "--config", "storage.yaml")
        self.assertEqual(done.returncode, 1, "it is not there: no mistake in the usage")

    def test_tier_run_says_when_nothing_moves(self):
        done = self.tier("run", "--config", "storage.yaml")  # of simulated data
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing moves: it needs live data", done.stderr)

    def test_storage_takes_over_batches_and_log_level_at_sighup(self):
        self.write_live_storage("batches: {trades: {batch_size: 100000, timeout: 10m}}\nlogging: {level: info}")
        self.start_storage()
        log = self.path / "storage.log"

        def reload(text, told):
            before = len(log.read_text())
            self.write_live_storage(text)
            self.running["storage"].send_signal(signal.SIGHUP)
            return wait_for(told, lambda: (news := log.read_text()[before:]) and told in news and news, 20)

        # One trade waits for its batch's ten minutes …
        publish = """{"type":"trade","exchange":"binance","market_type":"spot","symbol":"BTC-USDT","instrument":"BTCUSDT","timestamp":"2026-11-28T00:00:00.000000000Z"}"""
        self.publish("trade-data.binance.spot.BTC-USDT", publish.encode())
        held = lambda: json.loads(http(f"http://127.0.0.1:{self.port['storage_health']}/health")[1])["data_types"]["trade"]
        wait_for("storage to hold it", lambda: held()["rows_held"] == 1, 30)
        # … and is stored by those of the new configuration.
        said = reload("batches: {trades: {batch_size: 1, timeout: 100ms}}\nlogging: {level: warn}\ntrim: {high_percent: 70}", "needs a restart")
        self.assertIn("key=trim.high_percent", said)
        wait_for("it to be stored", lambda: held()["rows_held"] == 0 and held()["rows"] + held()["rejected"] == 1, 30)
        said = reload("batchs: {}", "cannot be taken over")
        self.assertIn("did you mean 'batches'?", said)
        self.assertEqual(http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0], 200, "what runs goes on")
        self.end("storage")
        self.assertNotIn("stopped", log.read_text().splitlines()[-1], "level warn")

    def publish(self, subject, payload):
        with socket.create_connection(("127.0.0.1", self.port["nats"])) as nats:
            file = nats.makefile("rwb")
            file.readline()
            file.write(b'CONNECT {"verbose":false}\r\nPUB %s %d\r\n%s\r\nPING\r\n' % (subject.encode(), len(payload), payload))
            file.flush()
            while file.readline() != b"PONG\r\n":
                pass


if __name__ == "__main__":
    if not os.path.exists(LIBRARY) or not os.path.exists(SERVER):
        print("skipped: no libchdb or no nats-server")
        sys.exit(1 if os.environ.get("MARKETPRISM_REQUIRE_DEPS") == "1" or os.environ.get("CI") == "true" else SKIPPED)
    sys.exit(0 if unittest.main(exit=False, verbosity=1).result.wasSuccessful() else 1)
