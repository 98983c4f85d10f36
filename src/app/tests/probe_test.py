"""marketprism probe against the simulator: what it finds, and its exit status. Usage: probe_test.py MARKETPRISM"""
import json
import re
import signal
import subprocess
import sys
import unittest

PROGRAM = sys.argv.pop(1)


def probe(*arguments):
    return subprocess.run([PROGRAM, "probe", *arguments], capture_output=True, text=True, timeout=60)


class AgainstTheSimulator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sim = subprocess.Popen([PROGRAM, "sim", "--listen", "127.0.0.1:0", "--rate", "300", "--for", "60s"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in cls.sim.stdout:
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            if found:
                cls.port = found.group(1)
                return
        raise AssertionError("the simulator says no address")

    @classmethod
    def tearDownClass(cls):
        cls.sim.send_signal(signal.SIGTERM)
        cls.sim.communicate(timeout=20)

    def address(self, port=None):
        port = port or self.port
        return ("--ws-base", f"ws://127.0.0.1:{port}", "--rest-base", f"http://127.0.0.1:{port}")

    def test_a_venue_that_speaks_as_expected_is_good(self):
        done = probe("--exchange", "binance", "--market", "spot", *self.address(), "--for", "4s", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        (source,) = json.loads(done.stdout)["sources"]
        self.assertTrue(source["good"])
        self.assertEqual(source["decode_failures"], 0)
        self.assertEqual({row["type"] for row in source["streams"] if row["messages"] > 0},
                         {"orderbook", "orderbook_delta", "trade"})

    def test_every_type_of_the_futures_comes_from_where_we_expect_it(self):
        done = probe("--exchange", "binance", "--market", "derivatives", *self.address(), "--for", "14s", "--json")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        (source,) = json.loads(done.stdout)["sources"]
        self.assertEqual((source["decode_failures"], source["rest_failures"], source["unknown"]), (0, 0, {}))
        messages = {row["type"]: row["messages"] for row in source["streams"]}
        # A quiet market has no liquidation.
        quiet = {name for name, count in messages.items() if count == 0} - {"liquidation"}
        self.assertEqual(quiet, set())
        self.assertEqual(set(messages), {"orderbook", "orderbook_delta", "trade", "funding_rate", "open_interest",
                                         "liquidation", "lsr_top_position", "lsr_all_account"})

    def test_a_symbol_that_is_not_there_is_a_fault(self):
        done = probe("--exchange", "binance", "--market", "spot", "--symbol", "NOSUCHCOIN", *self.address(),
                     "--for", "2s")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("NOSUCHCOIN", done.stdout)
        self.assertIn("FAULT", done.stdout)

    def test_nobody_there_is_a_fault(self):
        done = probe("--exchange", "binance", "--market", "spot", *self.address(port=1), "--for", "1s")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("FAULT no connection was made", done.stdout)


class Usage(unittest.TestCase):
    def test_mistakes_end_with_2(self):
        for arguments, said in ((["--exchange", "binanc"], "did you mean binance"), (["--for", "soon"], "--for"),
                                (["--market", "spott"], "no venue"), (["--ws-base", "ws://127.0.0.1:1"], "--ws-base")):
            done = probe(*arguments)
            self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
