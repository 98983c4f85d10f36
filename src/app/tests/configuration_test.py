#!/usr/bin/env python3
"""A configuration that cannot work: every command ends with status 2, and `up` does so before it starts anything.

usage: configuration_test.py PATH_OF_MARKETPRISM
"""
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

BINARY = sys.argv.pop(1)
GOOD = "exchanges:\n  - name: binance\n    market: spot\n    symbols: [BTC-USDT]\n"
BAD = {
    "an unknown key": (GOOD + "journall: {}\n", "journall"),
    "an unknown exchange": (GOOD.replace("binance", "binanse"), "binance"),
    "a bad value": (GOOD + "journal: {fsync_interval: soon}\n", "fsync_interval"),
    "a market that it does not have": (GOOD.replace("spot", "sput"), "spot"),
    "no YAML": (GOOD + "nats: [\n", "not YAML"),
    "nothing to collect": ("log: {level: info}\n", "nothing to collect"),
}


def run(*args):
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=30)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Configuration(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def written(self, text):
        path = self.path / "collector.yaml"
        path.write_text(text)
        return path

    def up(self, *args):
        options = ["nats", "nats-http", "clickhouse", "collector-health", "collector-metrics", "storage-health", "storage-metrics"]
        ports = [word for name, port in zip(options, free_ports(len(options))) for word in (f"--{name}-port", port)]
        return run("up", "--data", self.path / "data", *ports, *args)

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


if __name__ == "__main__":
    unittest.main()
