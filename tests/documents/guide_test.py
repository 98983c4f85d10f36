#!/usr/bin/env python3
"""The guide's commands that need no Docker, run in the guide's order in a copy of the checkout: real NATS, embedded ClickHouse,
storage and collector on free ports, with a simulated exchange in the place of the real one. Each must print what the guide says. And
the guide is one: the same headings and commands in both languages, the same values as in the files that it speaks of.

usage: guide_test.py MARKETPRISM"""

import os
import re
import shutil
import sys
import unittest

import guide
from checkout import Checkout
from documents import DOCS, ROOT, skip

ENGLISH = DOCS / "guide.md"
CHINESE = DOCS / "guide.zh-CN.md"
STORAGE = ROOT / "services" / "data-storage-service" / "config" / "unified_storage_service.yaml"
NATS_SERVER = ROOT / "services" / "message-broker" / "unified-nats" / "nats-server.conf"


class Commands(unittest.TestCase):
    def test_every_command_is_run_by_somebody(self):
        blocks = guide.parse(ENGLISH.read_text())
        self.assertGreater(len(blocks), 20)
        for block in blocks:
            if block.mode == "elsewhere":
                text = (ROOT / block.file).read_text()
                for command in block.code.splitlines():
                    self.assertIn(command, text, f"{block.file} does not run it")

    def test_the_guide_without_docker(self):
        checkout = Checkout(PROGRAM, other_ports=True)
        runner = guide.Runner(checkout.root, checkout.ports)
        left = None
        try:
            runner.run_all(guide.parse(ENGLISH.read_text()), "native")
            left = checkout.pids()
        except guide.GuideError as error:
            self.fail(f"{error}\n{checkout.logs()}")
        finally:
            checkout.close()
        self.assertEqual(left, [], "the guide's last commands stop everything")
        checkout.remove()


class Languages(unittest.TestCase):
    """guide.zh-CN.md is the same guide."""

    def test_the_same_headings(self):
        levels = [[len(mark) for mark in re.findall(r"^(#+) ", path.read_text(), re.M)] for path in (ENGLISH, CHINESE)]
        self.assertEqual(*levels)

    def test_the_same_blocks(self):
        english, chinese = (blocks_without_comments(path.read_text()) for path in (ENGLISH, CHINESE))
        for number, (ours, theirs) in enumerate(zip(english, chinese)):
            self.assertEqual(ours, theirs, f"block {number}")
        self.assertEqual(len(english), len(chinese))

    def test_the_same_code_and_links_in_the_text(self):
        def spans(path):
            text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.M | re.S)
            return sorted(re.findall(r"`([^`]+)`", text))
        self.assertEqual(spans(ENGLISH), spans(CHINESE))


class Values(unittest.TestCase):
    """What the guide quotes stands in the files."""

    def test_batches(self):
        text = STORAGE.read_text()
        quoted = re.findall(r"^(\w+): +(\{batch_size: .*\})$", ENGLISH.read_text(), re.M)
        self.assertEqual(len(quoted), 8)
        for name, values in quoted:
            self.assertRegex(text, rf"(?m)^ +{name}: +{re.escape(values)}")

    def test_subjects(self):
        quoted = re.findall(r"^  - ([a-z-]+)\.>$", ENGLISH.read_text(), re.M)
        contract = (DOCS / "wire-contract.md").read_text()
        self.assertEqual(sorted(quoted), sorted(set(re.findall(r"\| `([a-z-]+)\.\{exchange\}", contract))))

    def test_nats_server(self):
        text = NATS_SERVER.read_text()
        block = re.search(r"```conf\n(.*?)```", ENGLISH.read_text(), re.S)[1]
        for line in block.splitlines():
            if line.strip() and not line.startswith("#"):
                self.assertRegex(text, rf"(?m)^\s*{re.escape(line.strip())}")

    def test_files_that_it_names_are_there(self):
        missing = []
        for name in set(re.findall(r"(?:services|src|config|docs|tests)/[\w./-]*[\w]", ENGLISH.read_text())):
            if name.endswith((".log", ".pid")) or name == "services/data-storage-service/storage":
                continue
            # Relative ones: after `cd services/data-storage-service`.
            if not (ROOT / name).exists() and not (STORAGE.parent.parent / name).exists():
                missing.append(name)
        self.assertEqual(sorted(missing), [])

    def test_tables(self):
        block = re.search(r"```sql\n-- the eight data types\n(.*?)```", ENGLISH.read_text(), re.S)[1]
        schema = (ROOT / "services/data-storage-service/config/clickhouse_schema.sql").read_text()
        self.assertEqual(sorted([*re.findall(r"^- (\w+)", block, re.M), "schema_migrations"]),
                         sorted(re.findall(r"^CREATE TABLE IF NOT EXISTS marketprism_hot\.(\w+)", schema, re.M)))


class TheRunner(unittest.TestCase):
    """It would notice."""

    def block(self, code, how="native", text=None):
        fence = f"<!-- {how} -->\n```bash\n{code}\n```\n" + (f"```text\n{text}\n```\n" if text is not None else "")
        (block,) = guide.parse(f"# T\n\n{fence}")
        return block

    def run_block(self, *arguments, ports=None, **named):
        with open(os.devnull, "w") as out:
            guide.Runner("/", ports, out=out).run(self.block(*arguments, **named))

    def assert_refused(self, words, *arguments, **named):
        with self.assertRaises(guide.GuideError) as caught:
            self.run_block(*arguments, **named)
        self.assertIn(words, str(caught.exception))

    def test_status(self):
        self.run_block("true")
        self.assert_refused("exit status 3", "exit 3")
        self.assert_refused("exit status 1", "false\ntrue")
        self.assert_refused("exit status 1", "false | true")
        self.run_block("exit 3", how="native status=0,3")
        self.assert_refused("exit status 4", "exit 4", how="native status=0,3")

    def test_output(self):
        self.run_block("echo a b; echo c", text="a …\nc")
        self.run_block("echo a; echo x; echo y", text="a\n…")
        self.assert_refused("the guide says", "echo a; echo b", text="a")
        self.assert_refused("the guide says", "echo b", text="a")
        self.assert_refused("above 0", "echo 0", how="native positive")
        self.run_block("echo 17", how="native positive")

    def test_what_does_not_end(self):
        self.run_block("echo here; sleep 100", how="native stop=1")
        self.assert_refused("printed nothing", "sleep 100", how="native stop=1")

    def test_ports(self):
        self.run_block("echo http://localhost:8123/ 81230 x8123", ports={8123: 9}, text="http://localhost:8123/ 81230 x8123")
        with self.assertRaises(guide.GuideError):
            self.run_block("echo $((8123 + 0))", ports={8123: 9}, text="81 23")

    def test_commands_without_a_comment_are_refused(self):
        with self.assertRaises(guide.GuideError):
            guide.parse("# T\n\n```bash\nls\n```\n")


def blocks_without_comments(text):
    """[(comment before the fence, language, lines)], without comments and their translations."""
    found = []
    for marker, language, body in re.findall(r"(<!-- [^\n]+ -->)?\n```(\w+)\n(.*?)^```$", text, re.M | re.S):
        lines = [re.sub(r"\s*(?:#(?!!)| -- ).*$", "", line).rstrip() for line in body.splitlines()]
        if language == "text" and "┌" in body:
            lines = []  # the picture's words are translated
        found.append((marker, language, [line for line in lines if line and not line.startswith("-- ")]))
    return found


if __name__ == "__main__":
    PROGRAM = os.path.abspath(sys.argv.pop(1))
    if not (ROOT / ".deps" / "nats-server" / "nats-server").exists() or not (ROOT / ".deps" / "chdb" / "libchdb.so").exists():
        skip("no nats-server or libchdb under .deps; tools/setup brings them")
    if not shutil.which("ss"):
        skip("no ss (package iproute2)")
    unittest.main()
