#!/usr/bin/env python3
"""`marketprism doctor` and `status` on real parts: each trouble is made, its finding appears, the cure that it prints is
applied as it stands, and the finding goes away. (Clock and disk, which a test cannot spoil: src/app/operate/tests.)
Argument: the program. Exit status 77: skipped (no nats-server or libchdb)."""

import http.server as http_server
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from system import SKIPPED, free_ports, http, wait_for

PROGRAM = os.path.abspath(sys.argv.pop(1))
ROOT = pathlib.Path(__file__).resolve().parents[2]
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith(("CLICKHOUSE_", "NATS_", "MARKETPRISM_")) or k in ("MARKETPRISM_LIBCHDB", "MARKETPRISM_NATS_SERVER")}
LIBRARY = os.environ.get("MARKETPRISM_LIBCHDB") or str(ROOT / ".deps/chdb/libchdb.so")
SERVER = os.environ.get("MARKETPRISM_NATS_SERVER") or str(ROOT / ".deps/nats-server/nats-server")
OLD_SERVER = ROOT / ".deps/nats-server-debian/nats-server"
DATABASE = "marketprism_sim_hot"


class Parts(unittest.TestCase):
    """NATS, ClickHouse, storage, simulator and collector, each started when a test wants it."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="mp-doctor-")
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        (self.path / "data").mkdir()
        names = ["nats", "nats_http", "clickhouse", "storage_health", "storage_metrics", "collector_health", "collector_metrics", "sim"]
        self.port = dict(zip(names, free_ports(len(names))))
        self.running = {}
        self.addCleanup(self.end_all)
        self.environment = {}
        self.write_configuration()

    def write_configuration(self, stream_bytes="64MB", venue=None, network=""):
        p = self.port
        (self.path / "storage.yaml").write_text(f"""
nats: {{url: ["nats://127.0.0.1:{p['nats']}"], max_bytes: {stream_bytes}}}
clickhouse: {{url: "http://127.0.0.1:{p['clickhouse']}", database: {DATABASE}}}
storage: {{data_source: simulated, lease_ttl: 2s}}
health: {{listen: "127.0.0.1:{p['storage_health']}"}}
metrics: {{listen: "127.0.0.1:{p['storage_metrics']}"}}
""")
        plain = f'ws_base: "ws://127.0.0.1:{p["sim"]}", rest_base: "http://127.0.0.1:{p["sim"]}"'
        (self.path / "collector.yaml").write_text(f"""
network: {{{network}}}
data_source: simulated
nats: {{url: "nats://127.0.0.1:{p['nats']}", max_bytes: {stream_bytes}}}
journal: {{directory: {self.path}/journal}}
health: {{listen: "127.0.0.1:{p['collector_health']}"}}
metrics: {{listen: "127.0.0.1:{p['collector_metrics']}"}}
exchanges:
  - {{name: binance, market: spot, symbols: [BTCUSDT], {venue or plain}}}
""")

    def run_in_background(self, name, command, **environment):
        """`command` as a shell would run it, if it is one text."""
        words = shlex.split(command) if isinstance(command, str) else command
        settings = {}
        while "=" in words[0]:
            key, value = words.pop(0).split("=", 1)
            settings[key] = value
        log = open(self.path / f"{name}.log", "ab")
        self.running[name] = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=self.path,
                                              env={**CLEAN, "MARKETPRISM_LIBCHDB": LIBRARY, **self.environment, **settings, **environment})
        log.close()

    def start(self, name, folder="data/nats/simulated", **environment):
        p = self.port
        command = {
            "nats": [SERVER, "-js", "-a", "127.0.0.1", "-p", str(p["nats"]), "-m", str(p["nats_http"]), "-sd", f"{self.path}/{folder}"],
            "clickhouse": [PROGRAM, "clickhouse", "--data", f"{self.path}/data/clickhouse", "--http", f"127.0.0.1:{p['clickhouse']}"],
            "storage": [PROGRAM, "storage", "--config", "storage.yaml"],
            "sim": [PROGRAM, "sim", "--listen", f"127.0.0.1:{p['sim']}"],
            "collector": [PROGRAM, "collector", "--config", "collector.yaml"],
        }[name]
        self.run_in_background(name, command, **environment)
        self.await_part(name)

    def await_part(self, name):
        url = {"nats": f"{self.port['nats_http']}/healthz", "clickhouse": f"{self.port['clickhouse']}/ping", "storage": f"{self.port['storage_health']}/health",
               "sim": f"{self.port['sim']}/", "collector": f"{self.port['collector_health']}/health"}[name]
        wait_for(f"{name} to answer", lambda: http(f"http://127.0.0.1:{url}", timeout=5))

    def end(self, name, number=signal.SIGTERM):
        process = self.running.pop(name)
        if process.poll() is None:
            process.send_signal(number)
        process.wait(60)

    def end_all(self):
        for name in ("sim", "collector", "storage", "clickhouse", "nats", *self.running):
            if name in self.running:
                self.end(name, signal.SIGKILL)

    def ask(self, command, *arguments, **environment):
        done = subprocess.run([PROGRAM, command, "--json", "--data", "data", "--storage-config", "storage.yaml", "--collector-config", "collector.yaml",
                               "--nats-http", f"http://127.0.0.1:{self.port['nats_http']}", *arguments],
                              capture_output=True, text=True, timeout=120, cwd=self.path, env={**CLEAN, **self.environment, **environment})
        self.assertEqual(done.stderr, "")
        return done.returncode, json.loads(done.stdout)

    def findings(self, **environment):
        status, answer = self.ask("doctor", **environment)
        self.assertEqual(status, answer["exit_status"])
        errors = [f for f in answer["findings"] if f["severity"] == "error"]
        self.assertEqual(status == 4, bool(errors), answer)
        return {f["id"]: f for f in answer["findings"]}

    def finding(self, name, timeout=60, **environment):
        """Waits until it is there."""
        return wait_for(f"the finding {name}", lambda: self.findings(**environment).get(name), timeout, every=0.5)

    def wait_gone(self, name, timeout=90, **environment):
        def is_gone():
            found = self.findings(**environment)
            return True if name not in found else None
        wait_for(f"the finding {name} to go away", is_gone, timeout, every=0.5)

    def apply(self, finding, name=None):
        """The commands that it prints: in the background when they start a part."""
        self.assertTrue(finding["commands"], finding)
        for command in finding["commands"]:
            if name:
                self.run_in_background(name, command)
                self.await_part(name)
            else:
                done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=60, cwd=self.path, env={**CLEAN, **self.environment})
                self.assertEqual(done.returncode, 0, command + "\n" + done.stderr)


class Doctor(Parts):
    def test_a_port_that_is_taken(self):
        self.start("nats")
        stranger = subprocess.Popen([sys.executable, "-c", f"import socket, time\ns = socket.create_server(('127.0.0.1', {self.port['clickhouse']}))\nprint('.', flush=True)\ntime.sleep(600)"],
                                    stdout=subprocess.PIPE)
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        stranger.stdout.readline()
        found = self.finding("port_taken")
        self.assertIn(f"port {self.port['clickhouse']}", found["what"])
        self.assertIn(f"pid {stranger.pid} (python3", found["what"])
        self.apply(found)
        stranger.wait(30)
        stranger.stdout.close()
        self.assertNotIn("port_taken", self.findings())
        found = self.finding("clickhouse_down")
        self.assertEqual(found["commands"], [], "there is no data of it to be seen")
        self.assertIn("the folder that has its data", found["cure"])

    def test_parts_that_were_started_as_the_guide_says(self):
        """No run/addresses.yaml, no configuration named: the cures start each part with the data and the file that it had."""
        p = self.port
        where = ["--nats", f"nats://127.0.0.1:{p['nats']}", "--url", f"http://127.0.0.1:{p['clickhouse']}"]
        for name in ("storage_health", "storage_metrics", "collector_health", "collector_metrics"):
            where += ["--" + name.replace("_", "-"), f"127.0.0.1:{p[name]}"]

        def ask():
            done = subprocess.run([PROGRAM, "doctor", "--json", "--offline", "--nats-http", f"http://127.0.0.1:{p['nats_http']}", *where],
                                  capture_output=True, text=True, timeout=120, cwd=self.path, env=CLEAN)
            self.assertEqual(done.stderr, "")
            return {f["id"]: f for f in json.loads(done.stdout)["findings"]}

        file = ROOT / "services/data-storage-service/config/unified_storage_service.yaml"
        self.start("nats", folder="data/nats")
        self.start("clickhouse")
        own = self.path / "own.yaml"  # keeps rows longer than the default
        own.write_text(file.read_text().replace("hot_ttl: 3d", "hot_ttl: 9d").replace("tiered_storage_config.yaml", str(file.parent / "tiered_storage_config.yaml")))
        start = [PROGRAM, "storage", "--config", str(own), "--nats", where[1], "--clickhouse", where[3], "--health", where[5], "--metrics", where[7]]
        self.run_in_background("storage", start)
        self.await_part("storage")
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{p['storage_health']}/health")[0] == 200)
        self.assertNotIn("ttl_differs", ask(), "as it is configured")
        for part in ("storage", "clickhouse", "nats"):
            self.end(part)
        found = ask()
        for part, command in (("nats", f"-sd {self.path}/data/nats"), ("clickhouse", f"--data {self.path}/data/clickhouse"), ("storage", f"--config {file} "),
                              ("collector", f"--config {ROOT}/services/data-collector/config ")):
            self.assertEqual(len(found[part + "_down"]["commands"]), 1, found[part + "_down"])
            self.assertIn(command, found[part + "_down"]["commands"][0] + " ")
        check = subprocess.run(found["collector_down"]["commands"][0] + " --check", shell=True, capture_output=True, text=True, timeout=60, cwd=self.path, env=CLEAN)
        self.assertEqual(check.returncode, 0, check.stderr)
        self.apply(found["nats_down"], "nats")
        self.apply(found["clickhouse_down"], "clickhouse")
        found = ask()
        self.assertNotIn("ttl_differs", found, "how long rows are kept is not known here")
        self.assertNotIn("stream_missing", found)
        self.apply(found["storage_down"], "storage")
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{p['storage_health']}/health")[0] == 200)
        found = ask()
        self.assertEqual([i for i in found if i.startswith(("storage", "nats", "clickhouse"))], [])
        self.assertIn("after 9 days", found["ttl_differs"]["what"])
        self.assertIn("rows older than the new time are removed", found["ttl_differs"]["cure"])

    def test_nats_down_and_up_with_its_stream(self):
        found = self.finding("nats_down")
        self.assertIn(str(self.port["nats"]), found["what"])
        # Where its stream is nobody knows: a command could begin an empty one.
        self.assertEqual(found["commands"], [])
        self.assertIn("the store folder it had", found["cure"])
        for folder in ("data/nats", "data/nats/simulated"):  # the guide's, and that of `up`
            with self.subTest(folder):
                self.start("nats", folder=folder)
                self.start("clickhouse")
                self.start("storage")  # makes the stream
                wait_for("the stream", lambda: "stream_missing" not in self.findings())
                self.end("storage")
                self.end("clickhouse")
                self.end("nats", signal.SIGKILL)
                self.apply(self.finding("nats_down"), "nats")
                found = self.findings()
                self.assertNotIn("nats_down", found)
                self.assertNotIn("stream_missing", found)
                self.end("nats")
                shutil.rmtree(self.path / "data/nats")

    def test_clickhouse_down_and_up_with_its_data(self):
        self.start("clickhouse")
        http(f"http://127.0.0.1:{self.port['clickhouse']}/", "CREATE TABLE default.kept (x UInt8) ENGINE = MergeTree ORDER BY x")
        self.end("clickhouse", signal.SIGKILL)
        self.apply(self.finding("clickhouse_down"), "clickhouse")
        self.assertNotIn("clickhouse_down", self.findings())
        self.assertEqual(http(f"http://127.0.0.1:{self.port['clickhouse']}/", "EXISTS default.kept")[1], "1\n")

    def test_a_wrong_password(self):
        self.start("clickhouse", CLICKHOUSE_USER="market", CLICKHOUSE_PASSWORD="right")
        found = self.finding("clickhouse_password", CLICKHOUSE_USER="market", CLICKHOUSE_PASSWORD="wrong")
        self.assertIn("user market", found["cure"])
        self.assertIn("CLICKHOUSE_PASSWORD", found["cure"])
        self.assertNotIn("wrong", json.dumps(found))
        self.assertNotIn("clickhouse_password", self.findings(CLICKHOUSE_USER="market", CLICKHOUSE_PASSWORD="right"))
        # Storage has another one than this command.
        right = {"CLICKHOUSE_USER": "market", "CLICKHOUSE_PASSWORD": "right"}
        self.start("nats")
        self.start("storage", **right)
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0] == 200)
        self.end("storage")
        self.start("storage", CLICKHOUSE_USER="market", CLICKHOUSE_PASSWORD="wrong")
        found = self.finding("clickhouse_password", **right)
        self.assertIn("start storage again with CLICKHOUSE_USER", found["cure"])
        # It has taken nothing of what waits, so it has nothing to wait for.
        with socket.create_connection(("127.0.0.1", self.port["nats"])) as nats:
            file = nats.makefile("rwb")
            file.readline()
            file.write(b"CONNECT {\"verbose\":false}\r\nPUB trade-data.binance.spot.BTC-USDT 2\r\n{}\r\nPING\r\n")
            file.flush()
            self.assertEqual(file.readline(), b"PONG\r\n")
        begin = time.monotonic()
        self.end("storage")
        self.assertLess(time.monotonic() - begin, 10, "half of drain_timeout")
        self.start("storage", **right)
        self.wait_gone("clickhouse_password", **right)

    def test_schema_drift(self):
        self.start("nats")
        self.start("clickhouse")
        self.start("storage")
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0] == 200)
        self.assertNotIn("schema_drift", self.findings())
        for change in (f"ALTER TABLE {DATABASE}.trades DROP COLUMN execution", f"ALTER TABLE {DATABASE}.trades MODIFY COLUMN side String",
                       f"DROP TABLE {DATABASE}.lsr_top_positions SYNC"):
            status, body = http(f"http://127.0.0.1:{self.port['clickhouse']}/", change)
            self.assertEqual(status, 200, body)
        found = self.finding("schema_drift")
        self.assertIn("execution", found["what"])
        self.assertIn("side", found["what"])
        self.assertIn("lsr_top_positions", found["what"])
        self.assertEqual(len(found["commands"]), 3)
        self.apply(found)
        self.assertNotIn("schema_drift", self.findings())

    def test_views_that_are_missing_or_changed(self):
        for part in ("nats", "clickhouse", "storage"):
            self.start(part)
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0] == 200)
        self.assertNotIn("schema_drift", self.findings())
        for change in (f"DROP VIEW {DATABASE}.gaps SYNC", f"CREATE OR REPLACE VIEW {DATABASE}.latest_trades AS SELECT * FROM {DATABASE}.trades LIMIT 1",
                       f"CREATE OR REPLACE VIEW {DATABASE}.not_ours AS SELECT 1"):
            status, body = http(f"http://127.0.0.1:{self.port['clickhouse']}/", change)
            self.assertEqual(status, 200, body)
        found = self.finding("schema_drift")
        self.assertEqual(found["severity"], "warning", "storage does without views")
        self.assertIn("gaps: the view is missing", found["what"])
        self.assertIn("latest_trades: the view selects something else", found["what"])
        self.assertEqual(len(found["commands"]), 2, found)
        self.assertIn("CREATE OR REPLACE VIEW", found["commands"][0])
        self.apply(found)
        self.assertNotIn("schema_drift", self.findings())

    def test_rows_that_would_expire(self):
        self.start("nats")
        self.start("clickhouse")
        self.start("storage")
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0] == 200)
        self.assertNotIn("ttl_differs", self.findings())
        http(f"http://127.0.0.1:{self.port['clickhouse']}/", f"ALTER TABLE {DATABASE}.trades MODIFY TTL toDateTime(timestamp) + INTERVAL 3 DAY DELETE")
        found = self.finding("ttl_differs")
        self.assertIn("trades after 3 days", found["what"])
        self.apply(found)
        self.assertNotIn("ttl_differs", self.findings())

    def test_storage_refuses_the_rows_of_another_data_source(self):
        self.write_configuration()
        file = self.path / "storage.yaml"
        file.write_text(file.read_text().replace("data_source: simulated", "data_source: live").replace(f", database: {DATABASE}", ", database: mine_hot"))
        for part in ("nats", "clickhouse", "storage", "sim", "collector"):
            self.start(part)
        found = self.finding("foreign_data")
        self.assertIn("refuses rows of simulated data: mine_hot is a database of live data", found["what"])
        self.assertEqual(http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0], 503)
        log = (self.path / "storage.log").read_text()
        self.assertEqual(log.count("WARN storage: rows are refused: they are of another data source"), 1)

        def rejects():
            status, answer = self.ask("status")
            self.assertEqual(status, 1)
            self.assertTrue([p for p in answer["problems"] if p.startswith("storage refuses rows")], answer["problems"])
            row = next(s for s in answer["sources"] if s["data_type"] == "trade")
            return row["rejected_today"] > 0 and row["rejected_last_5_minutes"] > 0
        wait_for("status to show the rejects", rejects, 60)

        self.end("storage")
        self.apply(found, "storage")
        trades = f"SELECT count() FROM {DATABASE}.trades"
        wait_for("the rows", lambda: http(f"http://127.0.0.1:{self.port['clickhouse']}/", trades)[1].strip() not in ("", "0"), 60)
        self.assertNotIn("foreign_data", self.findings())

    def test_a_stream_of_another_name_holds_the_subjects(self):
        for part in ("nats", "clickhouse", "storage"):
            self.start(part)
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0] == 200)
        self.end("storage")
        self.environment = {"NATS_STREAM": "OTHER"}
        self.start("storage")
        self.start("sim")
        self.start("collector")
        found = self.finding("subjects_taken")
        self.assertIn("stream MARKET_DATA holds its subjects", found["what"])
        self.assertIn("set nats.stream (NATS_STREAM, --stream) to MARKET_DATA", found["cure"])
        for part in ("storage", "collector"):
            wait_for(f"{part} to say it", lambda: "stream MARKET_DATA holds them, and a subject can be in one stream only: set nats.stream" in (self.path / f"{part}.log").read_text(), 30)
            self.end(part)
        self.environment = {}
        for part in ("storage", "collector"):
            self.start(part)
        self.wait_gone("subjects_taken")

    def test_nats_without_jetstream_and_with_a_password(self):
        p = self.port
        address = [SERVER, "-a", "127.0.0.1", "-p", str(p["nats"]), "-m", str(p["nats_http"])]
        self.run_in_background("nats", address)
        self.await_part("nats")
        self.assertIn("jetstream block", self.finding("jetstream_off")["cure"])
        self.end("nats")
        secured = [*address, "-js", "-sd", f"{self.path}/data/nats/simulated", "--user", "market", "--pass", "right"]
        self.run_in_background("nats", secured)
        self.await_part("nats")
        found = self.finding("nats_refused")
        self.assertIn("NATS_USER and NATS_PASSWORD", found["cure"])
        self.assertNotIn("jetstream_off", self.findings())
        found = self.finding("nats_refused", NATS_USER="market", NATS_PASSWORD="wrong-one")
        self.assertNotIn("wrong-one", json.dumps(found))
        found = self.findings(NATS_USER="market", NATS_PASSWORD="right")
        self.assertNotIn("nats_refused", found)
        self.assertNotIn("jetstream_off", found)

    @unittest.skipUnless(OLD_SERVER.exists(), "tools/setup fetches Debian's nats-server")
    def test_an_old_nats(self):
        self.run_in_background("nats", [str(OLD_SERVER), "-js", "-a", "127.0.0.1", "-p", str(self.port["nats"]), "-m", str(self.port["nats_http"]),
                                        "-sd", f"{self.path}/data/nats/simulated"])
        self.await_part("nats")
        found = self.finding("version_old")
        self.assertEqual(found["severity"], "note")
        self.assertIn("has no fast ingest", found["what"])

    def test_too_many_parts(self):
        for part in ("nats", "clickhouse", "storage"):
            self.start(part)
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0] == 200)

        def do(sql):
            status, body = http(f"http://127.0.0.1:{self.port['clickhouse']}/", sql, timeout=120)
            self.assertEqual(status, 200, body)
        do(f"SYSTEM STOP MERGES {DATABASE}.trades")
        do(f"INSERT INTO {DATABASE}.trades (timestamp, received_at, exchange, symbol, trade_id, bus_sequence) SELECT '2026-11-20 00:00:00', '2026-11-20 00:00:00', 'binance', 'BTC-USDT', "
           "toString(number), number FROM numbers(520) SETTINGS max_block_size = 1, min_insert_block_size_rows = 1, min_insert_block_size_bytes = 1, max_insert_threads = 1")
        found = self.finding("too_many_parts")
        self.assertIn("trades has 5", found["what"])
        do(f"SYSTEM START MERGES {DATABASE}.trades")
        self.apply(found)
        self.wait_gone("too_many_parts")

    def serve(self, port, pages):
        """What a part that is in trouble would say; {path: (status, body)}."""
        class Handler(http_server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = pages.get(self.path, (404, ""))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *unused):
                pass
        server = http_server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def close():
            server.shutdown()
            server.server_close()
        self.addCleanup(close)

    def test_what_services_say_of_themselves(self):
        trade = {"state": "running", "pending": 90, "unacknowledged": 9, "rows": 1, "rejected": 0, "rows_held": 9, "last_insert_age_seconds": 120.5}
        storage = {"status": "healthy", "database": DATABASE, "stream": "MARKET_DATA", "data_source": "simulated", "data_types": {"trade": trade}}
        collector = {"status": "unhealthy", "problem": "the journal cannot be written", "data_source": "simulated", "uptime_seconds": 9, "journal": {"failing": True}, "streams": []}
        other = 'marketprism_build_info{version="9.9.9"} 1\n'
        pages = {name: {} for name in ("storage_health", "storage_metrics", "collector_health", "collector_metrics")}
        for name, page in pages.items():
            self.serve(self.port[name], page)
        pages["storage_health"]["/health"] = (200, json.dumps(storage))
        pages["collector_health"]["/health"] = (503, json.dumps(collector))
        for name in ("storage_metrics", "collector_metrics"):
            pages[name]["/metrics"] = (200, other)
        found = self.findings()
        self.assertIn("99 messages of trade wait, and nothing was stored for 120 s", found["storage_behind"]["what"])
        self.assertEqual(found["journal_failing"]["severity"], "error")
        self.assertIn("data is lost now", found["journal_failing"]["what"])
        self.assertEqual(found["journal_failing"]["commands"], [f"df -h {self.path}/journal"])
        self.assertIn("9.9.9", found["version_mixed"]["what"])
        trade["last_insert_age_seconds"] = 1.0
        collector.update(status="healthy", problem="", journal={"failing": False})
        pages["storage_health"]["/health"] = (200, json.dumps(storage))
        pages["collector_health"]["/health"] = (200, json.dumps(collector))
        own = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True).stdout.split()[1]
        for name in ("storage_metrics", "collector_metrics"):
            pages[name]["/metrics"] = (200, other.replace("9.9.9", own))
        self.assertEqual({"storage_behind", "journal_failing", "version_mixed"} & set(self.findings()), set())

    def test_a_venue_that_does_not_serve_this_region(self):
        pages = {"/": (451, "not here")}
        self.serve(self.port["sim"], pages)
        found = self.finding("venue_refuses")
        self.assertIn("binance does not serve this region", found["what"])
        self.assertIn("answers 451", found["what"])
        pages["/"] = (200, "")
        self.assertNotIn("venue_refuses", self.findings())

    def test_status_goes_on_until_it_is_interrupted(self):
        self.start("nats")
        command = [PROGRAM, "status", "--watch", "--interval", "200ms", "--data", "data", "--storage-config", "storage.yaml", "--collector-config", "collector.yaml", "--nats-http",
                   f"http://127.0.0.1:{self.port['nats_http']}"]
        watching = subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, text=True, cwd=self.path, env=CLEAN)
        self.addCleanup(watching.kill)
        lines = [json.loads(watching.stdout.readline()) for _ in range(3)]
        self.assertEqual([next(p["answers"] for p in line["parts"] if p["name"] == "nats") for line in lines], [True] * 3)
        self.assertEqual(len({line["at"] for line in lines}), 3)
        self.end("nats")
        wait_for("it to show that NATS is away", lambda: not next(p["answers"] for p in json.loads(watching.stdout.readline())["parts"] if p["name"] == "nats"))
        watching.send_signal(signal.SIGINT)
        watching.stdout.read()
        watching.stdout.close()
        self.assertEqual(watching.wait(30), 1, "something is unwell")
        # A reader that has seen enough ends it.
        done = subprocess.run(["sh", "-c", shlex.join(command) + " | head -n 1"], capture_output=True, text=True, timeout=60, cwd=self.path, env=CLEAN)
        self.assertTrue(done.stdout.startswith("marketprism  "), done.stdout)

    def fill_stream(self):
        """Publishes until the stream refuses more."""
        with socket.create_connection(("127.0.0.1", self.port["nats"])) as nats:
            file = nats.makefile("rwb")
            file.readline()
            file.write(b"CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB answers 1\r\n")
            payload = b"x" * 60_000
            for _ in range(10_000):
                file.write(b"PUB trade-data.binance.spot.BTC-USDT answers %d\r\n%s\r\n" % (len(payload), payload))
                file.flush()
                while not (line := file.readline()).startswith(b"MSG"):
                    pass
                answer = json.loads(file.read(int(line.split()[-1]) + 2))
                if "error" in answer:
                    self.assertEqual(answer["error"]["err_code"], 10077)
                    return
        self.fail("the stream takes everything")

    def test_jetstream_full(self):
        self.write_configuration(stream_bytes="2MB")
        for part in ("nats", "clickhouse", "storage"):
            self.start(part)
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0] == 200)
        self.end("storage", signal.SIGKILL)
        self.fill_stream()
        found = self.finding("jetstream_full")
        self.assertIn("storage", found["cure"])
        self.apply(found, "storage")  # it stores what waits and takes it out of the stream
        self.wait_gone("jetstream_full")

    def test_the_stream_has_other_settings(self):
        self.start("nats")
        self.start("clickhouse")
        self.start("storage")
        wait_for("storage to be healthy", lambda: http(f"http://127.0.0.1:{self.port['storage_health']}/health")[0] == 200)
        self.assertNotIn("stream_differs", self.findings())
        self.end("storage")
        self.write_configuration(stream_bytes="80MB")
        found = self.finding("stream_differs")
        self.assertIn("max_bytes", found["what"])
        self.apply(found, "storage")
        self.wait_gone("stream_differs")
        # What runs goes on with what it was told: that its file says something else by now is no fault of the stream.
        self.write_configuration(stream_bytes="96MB")
        found = self.finding("restart_needed")
        self.assertEqual(found["severity"], "note")
        self.assertNotIn("stream_differs", self.findings())
        stop, start = found["commands"]  # what runs ends first
        threading.Thread(target=self.running["storage"].wait).start()
        self.assertEqual(subprocess.run(stop, shell=True, timeout=60).returncode, 0)
        self.run_in_background("storage", start)
        self.wait_gone("restart_needed")
        self.wait_gone("stream_differs")

    def test_parts_that_hang_are_no_clock_that_is_off(self):
        for part in ("nats", "clickhouse", "storage"):
            self.start(part)
        self.assertNotIn("clock_off", self.findings())
        self.running["storage"].send_signal(signal.SIGSTOP)
        found = self.findings()
        self.running["storage"].send_signal(signal.SIGCONT)
        self.assertIn("port_taken", found)
        self.assertNotIn("clock_off", found)

    def test_a_source_that_brings_nothing(self):
        for part in ("nats", "clickhouse", "storage", "sim", "collector"):
            self.start(part)
        for part in ("storage", "collector"):
            wait_for(f"{part} to be healthy", lambda: http(f"http://127.0.0.1:{self.port[part + '_health']}/health")[0] == 200, 120)
        self.assertFalse([f for f in self.findings().values() if f["severity"] == "error" and not f["id"].startswith(("disk", "clock"))])
        self.end("sim", signal.SIGKILL)
        found = self.finding("stale_source", timeout=120)
        self.assertIn("binance spot", found["what"])
        self.assertIn("venue", found["cure"])
        self.apply(self.finding("venue_unreachable"), "sim")
        self.wait_gone("venue_unreachable")
        self.wait_gone("stale_source", 120)

    def test_a_venue_whose_certificate_is_not_trusted(self):
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=venue",
                               "-addext", "subjectAltName=IP:127.0.0.1"], cwd=self.path, capture_output=True, text=True)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.run_in_background("sim", [PROGRAM, "sim", "--listen", f"127.0.0.1:{self.port['sim']}", "--tls", "--certificate", "cert.pem", "--key", "key.pem"])
        venue = f'ws_base: "wss://127.0.0.1:{self.port["sim"]}", rest_base: "https://127.0.0.1:{self.port["sim"]}"'
        self.write_configuration(venue=venue)
        found = wait_for("the certificate to be refused", lambda: (f := self.findings().get("venue_unreachable")) and "TLS" in f["cure"] and f)
        self.assertIn("network.ca_file", found["cure"])
        self.write_configuration(venue=venue, network=f'ca_file: "{self.path}/cert.pem"')
        self.assertNotIn("venue_unreachable", self.findings())

    def test_a_proxy_that_is_not_there(self):
        self.start("sim")
        self.write_configuration(network='proxy: "http://user:secret@127.0.0.1:1"')
        found = self.finding("venue_unreachable")
        self.assertIn("by proxy http://127.0.0.1:1", found["what"])
        self.assertIn("network.proxy", found["cure"])
        self.assertNotIn("secret", json.dumps(found))
        self.write_configuration(network="proxy: direct")
        self.assertNotIn("venue_unreachable", self.findings())

    def test_a_venue_whose_name_is_not_found(self):
        self.start("sim")
        self.write_configuration(venue='ws_base: "wss://nowhere.invalid", rest_base: "https://nowhere.invalid"')
        found = self.finding("venue_unreachable")
        self.assertIn("getent hosts nowhere.invalid", found["commands"])
        status, answer = self.ask("doctor", "--offline")
        self.assertNotIn("venue_unreachable", [f["id"] for f in answer["findings"]])
        self.assertIn("--offline", next(c for c in answer["checks"] if c["name"] == "venues")["detail"])
        self.write_configuration()
        self.assertNotIn("venue_unreachable", self.findings())

    def test_everything_down_and_the_command_that_starts_it(self):
        # As `up` left it: its folder says where the parts are and how it was started.
        ports = self.port
        options = [f"--{option}" for name, option in (("nats", "nats-port"), ("nats_http", "nats-http-port"), ("clickhouse", "clickhouse-port"), ("sim", "sim-port"), ("collector_health", "collector-health-port"),
                                                      ("collector_metrics", "collector-metrics-port"), ("storage_health", "storage-health-port"), ("storage_metrics", "storage-metrics-port"))]
        numbers = [ports[name] for name in ("nats", "nats_http", "clickhouse", "sim", "collector_health", "collector_metrics", "storage_health", "storage_metrics")]
        command = [PROGRAM, "up", "--sim", "--exchange", "binance:spot", "--symbols", "BTCUSDT", "--data", str(self.path / "data")]
        command += [word for pair in zip(options, map(str, numbers)) for word in pair]
        # What is set for it alone the shell of the doctor does not know.
        self.run_in_background("up", command, MARKETPRISM_NATS_MAX_BYTES="96MB", NATS_PASSWORD="a secret word")

        def ask():
            done = subprocess.run([PROGRAM, "doctor", "--json"], capture_output=True, text=True, timeout=120, cwd=self.path, env=CLEAN)
            return {f["id"]: f for f in json.loads(done.stdout)["findings"]}

        def well():
            return all(http(f"http://127.0.0.1:{ports[part + '_health']}/health")[0] == 200 for part in ("storage", "collector"))
        wait_for("everything to run", well, 120)
        found = ask()
        self.assertFalse([f for f in found.values() if f["severity"] == "error" and not f["id"].startswith(("disk", "clock"))])
        self.assertEqual({"stream_differs", "restart_needed"} & set(found), set(), found)
        self.assertNotIn("a secret word", (self.path / "data/run/addresses.yaml").read_text())

        done = subprocess.run([PROGRAM, "status"], capture_output=True, text=True, timeout=120, cwd=self.path, env=CLEAN)
        for text in ("binance spot", "orderbook_delta", "simulated data", "bus to table", "JetStream"):
            self.assertIn(text, done.stdout)
        self.assertNotIn("\x1b", done.stdout)
        done = subprocess.run([PROGRAM, "status", "--json", "--interval", "3s"], capture_output=True, text=True, timeout=120, cwd=self.path, env=CLEAN)
        status = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if status["well"] else 1, status["problems"])
        self.assertEqual(status["database"], DATABASE)
        deltas = next(s for s in status["sources"] if s["data_type"] == "orderbook_delta")
        self.assertGreater(deltas["events_per_second"], 0)
        self.assertEqual((deltas["streams"], deltas["gaps_today"]), (1, 0))
        self.assertGreater(next(s for s in status["storage"] if s["data_type"] == "orderbook_delta")["rows_per_batch"], 0)
        done = subprocess.run([PROGRAM, "query", "SELECT count() > 0 FROM orderbook_deltas"], capture_output=True, text=True, timeout=60, cwd=self.path, env=CLEAN)
        self.assertEqual(done.stdout, "1\n", done.stderr)

        self.end("up", signal.SIGKILL)
        wait_for("the parts to end", lambda: "nats_down" in ask() and "clickhouse_down" in ask(), 60)
        found = ask()
        for part in ("nats", "clickhouse", "storage", "collector"):
            self.assertIn("does not run: start it again; set NATS_PASSWORD before", found[part + "_down"]["cure"])
            self.assertIn("MARKETPRISM_NATS_MAX_BYTES=96MB ", found[part + "_down"]["commands"][0])
        done = subprocess.run([PROGRAM, "status", "--json", "--interval", "200ms"], capture_output=True, text=True, timeout=120, cwd=self.path, env=CLEAN)
        self.assertEqual(done.returncode, 1)
        self.assertEqual([p["answers"] for p in json.loads(done.stdout)["parts"]], [False] * 4)
        self.apply_up(found["nats_down"])
        wait_for("everything to run", well, 120)
        self.assertFalse([i for i in ask() if i.endswith("_down") or i in ("stream_differs", "restart_needed")])

    def apply_up(self, finding):
        self.run_in_background("up", finding["commands"][0])

    def test_usage(self):
        for command in ("doctor", "status"):
            done = subprocess.run([PROGRAM, command, "--help"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0)
            self.assertIn(f"marketprism {command} --data /srv/marketprism", done.stdout)
            done = subprocess.run([PROGRAM, command, "--jsn"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn("did you mean --json?", done.stderr)
            done = subprocess.run([PROGRAM, command, "--storage-config", "/nowhere.yaml"], capture_output=True, text=True)
            self.assertEqual(len(done.stderr.splitlines()), 1)
            self.assertIn("/nowhere.yaml", done.stderr)


class Documents(unittest.TestCase):
    def test_every_finding_is_listed_and_every_one_that_is_listed_exists(self):
        text = "".join((ROOT / "src/app/operate" / name).read_text() for name in ("doctor.cpp", "diagnosis.cpp"))
        name = "((?:[a-z]+_)+[a-z]+)"
        told = set(re.findall(r'\{\s*"' + name + r'",\s*(?:Severity|offsets|of_tables)', text)) | set(re.findall(r'finding\.id = "' + name + '"', text))
        told |= {part + "_down" for part in re.findall(r'part_is_down\("([a-z]+)"', text)}
        for pair in re.findall(r'\?\s*"' + name + r'"\s*:\s*"' + name + r'",\s*(?:Severity|is_)', text):
            told |= set(pair)
        document = (ROOT / "docs/operations.md").read_text().split("## What is wrong: doctor")[1].split("\n## ")[0]
        listed = {name for line in document.splitlines() if line.startswith("| `") for name in re.findall("`([a-z_]+)`", line.split("|")[1])}
        self.assertGreater(len(told), 20)
        self.assertEqual(told, listed)


if __name__ == "__main__":
    if not os.path.exists(LIBRARY) or not os.path.exists(SERVER):
        print("skipped: no libchdb or no nats-server")
        sys.exit(1 if os.environ.get("MARKETPRISM_REQUIRE_DEPS") == "1" or os.environ.get("CI") == "true" else SKIPPED)
    sys.exit(0 if unittest.main(exit=False, verbosity=1).result.wasSuccessful() else 1)
