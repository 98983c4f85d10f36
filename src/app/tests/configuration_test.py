#!/usr/bin/env python3
"""A configuration that cannot work: every command ends with status 2, and `up` does so before it starts anything.

usage: configuration_test.py PATH_OF_MARKETPRISM
"""
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BINARY = sys.argv.pop(1)
GOOD = "exchanges:\n  - name: binance\n    market: spot\n    symbols: [BTC-USDT]\n"
BAD = {
    "an unknown key": (GOOD + "journall: {}\n", "journall"),
    "an unknown exchange": (GOOD.replace("binance", "binanse"), "binance"),
    "a bad value": (GOOD + "journal: {fsync_interval: soon}\n", "fsync_interval"),
    "a market that it does not have": (GOOD.replace("spot", "sput"), "spot"),
    "no YAML": (GOOD + "nats: [\n", "not YAML"),
    "nothing to collect": ("logging: {level: info}\n", "nothing to collect"),
}


ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "system"))
from system import free_ports  # noqa: E402


def run(*args, **environment):
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=30, env={**os.environ, **environment})


class Configuration(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def written(self, text):
        path = self.path / "collector.yaml"
        path.write_text(text)
        return path

    def test_storage_refuses_the_database_of_another_data_source(self):
        done = run("storage", "--database", "marketprism_sim_hot", "--health", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
        self.assertEqual(done.returncode, 2)
        self.assertIn("marketprism_sim_hot is the database of simulated data", done.stderr)

    def up(self, *args):
        options = ["nats", "nats-http", "clickhouse", "collector-health", "collector-metrics", "storage-health", "storage-metrics"]
        ports = [word for name, port in zip(options, free_ports(len(options))) for word in (f"--{name}-port", port)]
        return run("up", "--data", self.path / "data", *ports, *args)

    def test_values_that_name_nothing_are_refused(self):
        for option in ("--for", "--database", "--stream", "--exchange", "--ledger", "--final-books"):
            for words in ((option, ""), (option + "=",)):
                done = self.up("--sim", *words)
                self.assertEqual((done.returncode, done.stdout), (2, ""), (words, done.stderr))
                self.assertIn(option, done.stderr)
        done = self.up("--capture", self.path)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is a folder", done.stderr)
        for command in (("up", "--sim", "--seed", "-1"), ("sim", "--seed", "-1"), ("sim", "--history", "-1"), ("sim", "--queue-bytes", "-1"),
                        ("clickhouse", "--data", self.path, "--max-connections", "-1")):
            done = run(*command)
            self.assertEqual(done.returncode, 2, (command, done.stderr))
            self.assertIn(command[-2], done.stderr)

    def test_a_file_that_is_not_there_is_wrong_usage_for_every_command(self):
        for command in ("collector", "storage", "up"):
            done = run(command, "--config", "/nowhere/at/all.yaml")
            self.assertEqual(done.returncode, 2, (command, done.stderr))
            self.assertIn("/nowhere/at/all.yaml", done.stderr)

    def test_the_collector_checks_and_does_nothing_else(self):
        done = run("collector", "--config", self.written(GOOD), "--journal", self.path / "journal", "--check")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertFalse((self.path / "journal").exists())
        for what, (text, told) in BAD.items():
            with self.subTest(what):
                done = run("collector", "--config", self.written(text), "--journal", self.path / "journal", "--check")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(told, done.stderr)

    def test_a_stream_that_cannot_be_is_refused(self):
        for name in ("MY.DATA", "MY DATA", "data.>"):
            for done in (self.up("--stream", name), run("storage", "--stream", name),
                         run("collector", "--config", self.written(GOOD), "--stream", name, "--check")):
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertIn(f"without . * > / \\, saw '{name}'", done.stderr)

    def test_the_guides_mode_is_taken_and_no_other(self):
        config = self.written(GOOD)
        self.assertEqual(run("collector", "launcher", "--config", config, "--check").returncode, 0)
        done = run("collector", "service", "--config", config, "--check")
        self.assertEqual(done.returncode, 2)
        self.assertIn("expected one of launcher, saw 'service'", done.stderr)

    def test_up_starts_nothing_with_a_configuration_that_cannot_work(self):
        for what, (text, told) in BAD.items():
            with self.subTest(what):
                done = self.up("--config", self.written(text))
                if done.returncode == 1 and "not at" in done.stderr:
                    self.skipTest("nats-server or libchdb is not there")
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertIn(told, done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertFalse((self.path / "data/logs/nats.log").exists())

    def test_show_tells_every_value_with_its_origin_and_no_secret(self):
        path = self.written(GOOD + "nats: {password: geheim, url: 'nats://me:geheim@bus:4222'}\n")
        done = run("config", "show", "collector", "--config", path, "--json", LOG_LEVEL="debug", NATS_STREAM="")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("geheim", done.stdout)
        keys = {each["key"]: each for each in json.loads(done.stdout)["collector"]}
        self.assertEqual((keys["logging.level"]["value"], keys["logging.level"]["from"]), ("debug", "LOG_LEVEL"))
        self.assertEqual((keys["nats.stream"]["value"], keys["nats.stream"]["from"]), ("MARKET_DATA", "default"))
        self.assertEqual((keys["nats.password"]["value"], keys["nats.password"]["from"]), ("***", f"{path}:5"))
        self.assertEqual(keys["nats.url"]["value"], "nats://***@bus:4222")
        self.assertEqual(keys["exchanges[0].symbols"]["value"], "BTC-USDT")

    def test_show_without_names_shows_the_shipped_files_of_all_parts(self):
        done = run("config", "show")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for line in ("# collector: ", "# storage: ", "batches.trades.batch_size", "tiers.drop_after", "exchanges[0].name"):
            self.assertIn(line, done.stdout)
        changed = run("config", "show", "storage", "--changed", "--config", self.written("trim: {replay_window: 24h}\n"), LOG_LEVEL="")
        self.assertEqual(len(changed.stdout.splitlines()), 2, changed.stdout)
        self.assertRegex(changed.stdout, r"trim.replay_window +24h +.*collector.yaml:1")

    def test_check_names_file_line_and_the_nearest_key(self):
        done = run("config", "check", ROOT / "services/data-collector/config", ROOT / "services/data-storage-service/config/unified_storage_service.yaml")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual([line.split(": ")[-1] for line in done.stdout.splitlines()], ["good (collector)", "good (storage)"])
        self.assertEqual(run("config", "check").returncode, 0)
        done = run("config", "check", self.written("clickhouse:\n  databse: x\n"))
        self.assertEqual(done.returncode, 2)
        self.assertIn("collector.yaml:2: unknown key 'databse' in 'clickhouse'; did you mean 'database'?", done.stderr)
        self.assertEqual(run("config", "check", "/nowhere.yaml").returncode, 2)

    def test_changed_compares_values(self):
        same = self.written("trim: {replay_window: 2d, high_percent: 80}\nclickhouse: {hot_ttl: 72h, url: 'http://localhost:8123'}\nnats: {url: ['nats://127.0.0.1:4222'], max_bytes: 8192MB}\n"
                            "storage: {data_source: live}\n")
        done = run("config", "show", "storage", "--changed", "--config", same, LOG_LEVEL="info")
        self.assertEqual((done.returncode, done.stdout.splitlines()[1:]), (0, []), "set, and equal to the defaults")
        other = self.written("trim: {replay_window: 47h, high_percent: 81}\nclickhouse: {hot_ttl: 4d, password: x}\nnats: {url: [a, b], max_bytes: 9GB, change_stream: true}\n")
        done = run("config", "show", "storage", "--changed", "--config", other, LOG_LEVEL="")
        self.assertEqual([line.split()[0] for line in done.stdout.splitlines()[1:]],
                         ["nats.url", "nats.max_bytes", "nats.change_stream", "clickhouse.password", "clickhouse.hot_ttl", "trim.replay_window", "trim.high_percent"])

    def test_a_mistyped_variable_is_told_with_the_nearest_name(self):
        mistyped = {"MARKETPRISM_COLECTOR_NATS_URL": "nats://x:1", "MARKETPRISM_LOGING_LEVEL": "debug", "MARKETPRISM_JURNAL_DIRECTORY": "/x", "MARKETPRISM_SOMETHING_ELSE_ENTIRELY": "1"}
        # Of other parts, of the launcher and the tests, of Kubernetes; and one that is set but empty.
        known = {"MARKETPRISM_BIND": "127.0.0.1", "MARKETPRISM_REQUIRE_DEPS": "1", "MARKETPRISM_TIERS_COLD_PASSWORD_FILE": "/dev/null", "MARKETPRISM_STORAGE_DATA_SOURCE": "live",
                 "MARKETPRISM_JOURNAL_KEEP_BYTES": "1GB", "MARKETPRISM_NATS_PORT_4222_TCP_ADDR": "10.0.0.1", "MARKETPRISM_NATS_SERVICE_HOST": "10.0.0.1", "MARKETPRISM_JOURNL": ""}
        done = run("config", "check", **mistyped, **known)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr, "environment: nothing reads MARKETPRISM_COLECTOR_NATS_URL (did you mean NATS_URL?), MARKETPRISM_JURNAL_DIRECTORY (did you mean MARKETPRISM_JOURNAL_DIRECTORY?), "
                         "MARKETPRISM_LOGING_LEVEL (did you mean LOG_LEVEL?), MARKETPRISM_SOMETHING_ELSE_ENTIRELY\n")
        self.assertEqual(run("config", "check", **known).returncode, 0)
        for command in ("collector", "storage", "clickhouse", "sim"):
            with self.subTest(command):
                self.assertEqual(self.first_warnings(command, MARKETPRISM_JURNAL_DIRECTORY="/x"), 1)
                self.assertEqual(self.first_warnings(command), 0)

    def first_warnings(self, command, **environment):
        """How often the warning is there when the part has started and ended again."""
        first, second = free_ports(2)
        (self.path / "data").mkdir(exist_ok=True)
        arguments = {"collector": ["--config", self.written(GOOD.replace("symbols", f"ws_base: 'ws://127.0.0.1:1'\n    rest_base: 'http://127.0.0.1:1'\n    symbols")), "--nats", "nats://127.0.0.1:1", "--data-source",
                                   "simulated", "--journal", self.path / "journal", "--health", f"127.0.0.1:{first}", "--metrics", f"127.0.0.1:{second}"],
                     "storage": ["--nats", "nats://127.0.0.1:1", "--clickhouse", "http://127.0.0.1:1", "--health", f"127.0.0.1:{first}", "--metrics", f"127.0.0.1:{second}"],
                     "clickhouse": ["--data", self.path / "data/clickhouse", "--http", f"127.0.0.1:{first}"],
                     "sim": ["--listen", f"127.0.0.1:{first}"]}[command]
        started = subprocess.Popen([BINARY, command, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment})
        deadline = time.monotonic() + 20
        while started.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", first), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        started.terminate()
        output, _ = started.communicate(timeout=30)
        return output.count("nothing reads these environment variables")

    def test_mistyped_second_words_are_told_with_the_nearest(self):
        for words, told in ((("journal", "lss"), "no command 'lss'; did you mean 'ls'?"), (("config", "shwo"), "no command 'shwo'; did you mean 'show'?"),
                            (("tier", "stauts"), "no command 'stauts'; did you mean 'status'?"), (("tier", "onec"), "no command 'onec'; there are run, status")):
            done = run(*words)
            self.assertEqual((done.returncode, done.stderr), (2, f"marketprism {words[0]}: {told} (see --help)\n"))

    def wrong(self, told, *words, **environment):
        done = run(*words, **environment)
        self.assertEqual(done.returncode, 2, (words, done.stdout, done.stderr))
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertIn(told, done.stderr)

    def test_wrong_usage_is_status_2_and_one_line(self):
        data = self.path / "data"
        listen = ("--health", "127.0.0.1:0", "--metrics", "127.0.0.1:0")
        self.wrong("--nats-port and --nats-http-port: both say port 8222", "up", "--data", data, "--nats-port", "8222")
        self.wrong("--nats-port: must be 1 to 65535, saw 0", "up", "--data", data, "--nats-port", "0")
        self.wrong("clickhouse.database: letters, digits and _ only, saw 'a;b'", "storage", "--database", "a;b", *listen)
        self.wrong("MARKETPRISM_NATS_SERVER: /nowhere is not a program", "up", "--data", data, MARKETPRISM_NATS_SERVER="/nowhere")
        self.wrong("MARKETPRISM_LIBCHDB: no such file: /nowhere", "up", "--data", data, MARKETPRISM_LIBCHDB="/nowhere")
        self.wrong("MARKETPRISM_LIBCHDB: no such file: /nowhere", "clickhouse", "--data", data, MARKETPRISM_LIBCHDB="/nowhere")
        self.wrong("--data: names no folder", "up", "--data", "")
        self.wrong("--data: names no folder", "clickhouse", "--data", "")
        for text in ("", " , "):
            self.wrong(f"--symbols: names none, saw '{text}'", "up", "--sim", "--data", data, "--symbols", text)
            self.wrong(f"--symbols: names none, saw '{text}'", "up", "--data", data, "--symbols", text)
            self.wrong(f"--symbols: names none, saw '{text}'", "sim", "--listen", "127.0.0.1:0", "--symbols", text)
        recording = self.path / "r.jsonl"
        recording.write_text("")
        for speed in ("nan", "-1", "inf"):
            self.wrong("--speed: must be a number from 0 on, saw " + speed, "up", "--data", data, "--capture", recording, "--speed", speed)
            self.wrong("--speed: must be a number from 0 on, saw " + speed, "collector", "--data-source", "replay", "--capture", recording, "--speed", speed, "--check")
        for speed in ("nan", "0", "-1", "inf"):
            self.wrong("--speed must be above 0", "sim", "--listen", "127.0.0.1:0", "--capture", recording, "--speed", speed)
        for file in ("/nowhere/at/all", self.path):
            self.wrong(f"--final-books: {file} ", "up", "--sim", "--data", data, "--final-books", file)
            self.wrong(f"--final-books: {file} ", "collector", "--config", self.written(GOOD), "--final-books", file, "--check")
        self.wrong("okx has no markets to choose from: leave it out, saw 'foo'", "up", "--data", data, "--exchange", "okx:foo")
        self.wrong("binance has the markets spot, derivatives, saw 'sput'; did you mean 'spot'?", "up", "--data", data, "--exchange", "binance:sput")
        self.wrong("market: deribit has no markets to choose from: leave the key out, saw 'spot'", "collector", "--config", self.written(GOOD.replace("binance", "deribit")), "--check")
        self.wrong("symbols[0].top: 0 stands for all", "collector", "--config", self.written(GOOD.replace("[BTC-USDT]", "[{top: 0}]")), "--check")
        self.assertFalse(data.exists() and any(data.glob("logs/*")), "nothing was started")

    def test_a_file_that_can_be_written_is_not_left_behind(self):
        books = self.path / "books.jsonl"
        done = run("collector", "--config", self.written(GOOD), "--final-books", books, "--check")
        self.assertEqual((done.returncode, done.stderr, books.exists()), (0, "", False))

    def test_reload_says_when_nothing_runs(self):
        done = run("config", "reload", "--data", self.path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--data names the folder", done.stderr)


if __name__ == "__main__":
    unittest.main()
