#!/usr/bin/env python3
"""`marketprism clickhouse` as a user meets it: its ready line, its signals, and what it says when something is wrong.
Argument: the program. Exit status 77: skipped (no libchdb)."""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

PROGRAM = os.path.abspath(sys.argv.pop(1))


def run(*arguments, **environment):
    return subprocess.run([PROGRAM, "clickhouse", *arguments], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment})


class Serving:
    def __init__(self, *arguments, **environment):
        self.process = subprocess.Popen([PROGRAM, "clickhouse", "--http", "127.0.0.1:0", *arguments], stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **environment})
        self.ready = self.process.stdout.readline()
        self.address = self.ready.split("http://")[1].split(",")[0] if "http://" in self.ready else ""

    def query(self, sql, **headers):
        request = urllib.request.Request(f"http://{self.address}/", data=sql.encode(), headers=headers)
        return urllib.request.urlopen(request, timeout=30).read().decode()

    def end(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.stdout.read()
        self.process.stdout.close()
        return self.process.wait(timeout=60)


class Usage(unittest.TestCase):
    def test_help_has_examples(self):
        done = run("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("marketprism clickhouse --data ./data/clickhouse", done.stdout)

    def test_a_mistyped_option_names_the_nearest(self):
        done = run("--dta", "x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--data", done.stderr)

    def test_values_that_make_no_sense(self):
        for arguments in (["--stop-grace", "soon"], ["--log-level", "loud"], ["--password-file", "/nowhere/x"], ["--max-connections", "0"],
                          ["--http", "foo"], ["--http", "127.0.0.1:70000"]):
            done = run("--data", "x", *arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(arguments[0], done.stderr)
        self.assertEqual(run().returncode, 2)  # --data is needed

    def test_a_missing_library_is_told_with_what_to_do(self):
        with tempfile.TemporaryDirectory() as data:
            done = run("--data", data, MARKETPRISM_LIBCHDB="/nowhere/libchdb.so")
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nowhere/libchdb.so", done.stderr)
        self.assertIn("MARKETPRISM_LIBCHDB", done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)


class Serves(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.data = str(pathlib.Path(self.folder.name) / "made" / "clickhouse")

    def test_tells_when_it_is_ready_and_both_signals_end_it(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            server = Serving("--data", self.data)
            self.assertRegex(server.ready, r"^ClickHouse \(libchdb 26\.\S+\) is serving http://127\.0\.0\.1:\d+, data in " + self.data + "$")
            self.assertEqual(server.query("SELECT 1"), "1\n")
            self.assertEqual(server.end(number), 0)

    def test_a_relative_directory_works(self):
        before = os.getcwd()
        os.chdir(self.folder.name)
        try:
            server = Serving("--data", "relative")
            self.assertIn(str(pathlib.Path(self.folder.name).resolve() / "relative"), server.ready)
            self.assertEqual(server.end(), 0)
        finally:
            os.chdir(before)

    def test_the_password_comes_from_a_file_or_the_environment(self):
        secret = pathlib.Path(self.folder.name) / "secret"
        secret.write_text("from-file\n")
        for arguments, environment, password in ((["--password-file", str(secret)], {}, "from-file"),
                                                 ([], {"CLICKHOUSE_PASSWORD": "from-environment"}, "from-environment")):
            server = Serving("--data", self.data, "--user", "market", *arguments, **environment)
            login = {"X-ClickHouse-User": "market", "X-ClickHouse-Key": password}
            self.assertEqual(server.query("SELECT 1", **login), "1\n")
            with self.assertRaises(urllib.error.HTTPError) as refused:
                server.query("SELECT 1", **{**login, "X-ClickHouse-Key": "other"})
            self.assertEqual(refused.exception.code, 403)
            refused.exception.close()
            self.assertEqual(server.end(), 0)

    def test_nothing_is_inserted_while_the_disk_has_less_free_than_is_kept(self):
        # The engine answers an INSERT whose files did not fit as done: it must not get that far.
        space = os.statvfs(self.folder.name)
        more_than_free = space.f_bavail * space.f_frsize + (10 << 30)
        for keep, works in ((more_than_free, False), (0, True)):
            server = Serving("--data", self.data, "--keep-free", str(keep))
            server.query("CREATE TABLE IF NOT EXISTS t (x UInt8) ENGINE = MergeTree ORDER BY x")
            if works:
                server.query("INSERT INTO t SELECT 1")
            else:
                with self.assertRaises(urllib.error.HTTPError) as refused:
                    server.query("INSERT INTO t SELECT 1")
                self.assertEqual(refused.exception.headers["X-ClickHouse-Exception-Code"], "243")
                refused.exception.close()
            self.assertEqual(server.query("SELECT count() FROM t"), f"{int(works)}\n")
            self.assertEqual(server.end(), 0)

    def test_a_taken_port_and_a_directory_in_use_are_told(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            done = run("--data", self.data, "--http", address)
        self.assertEqual(done.returncode, 1)
        for part in (address, "--http", "another program has that port"):
            self.assertIn(part, done.stderr)
        server = Serving("--data", self.data)
        done = run("--data", self.data, "--http", "127.0.0.1:0")
        self.assertEqual(done.returncode, 1)
        for part in (self.data, f"process {server.process.pid}", "--data"):
            self.assertIn(part, done.stderr)
        self.assertEqual(server.end(), 0)


def libchdb_is_there():
    with tempfile.TemporaryDirectory() as data:
        server = Serving("--data", data)
        return server.end() == 0


if __name__ == "__main__":
    required = os.environ.get("CI") == "true" or os.environ.get("MARKETPRISM_REQUIRE_DEPS") == "1"
    if not required and not libchdb_is_there():
        print("SKIPPED: no libchdb (./run --build-only fetches it)")
        sys.exit(77)
    unittest.main()
