#!/usr/bin/env python3
"""What an operator is given fits together: promtool takes and tests the rules, every alert is tested and explained, and
every metric that rules, dashboards and documents name is one that the program's source has - and the other way round.
What the running program shows is compared by tests/system/metrics_test.py."""

import json
import re
import subprocess
import sys
import tempfile
import unittest

from monitoring import (DASHBOARDS, METRICS, PROMETHEUS, RECORDED, ROOT, all_rules, documented_metrics, metrics_of,
                        panels, tool)

SOURCES = [path for top in ("src", "services") for path in sorted((ROOT / top).rglob("*.?pp"))
           if "tests" not in path.relative_to(ROOT).parts]
# How a metric comes into being: of Metrics, of CollectorMetrics (counters kept elsewhere), of the keeper (gauges).
MADE_BY = {"counter": "counter", "gauge": "gauge", "histogram": "histogram", "raise": "counter", "set": "gauge"}
MADE = re.compile(r'\b(%s)\(\s*"((?:marketprism|process)_\w+)"\s*,\s*"([^"]+)' % "|".join(MADE_BY))
BUILT = re.compile(r'Build(Counter|Gauge|Histogram)\(\)\s*\.Name\("(\w+)"\)')
# Databases, files and the like, which are no metrics.
NO_METRICS = re.compile(r"marketprism_(hot|cold|replay|sim|simulated)\w*$")


def metrics_in_source():
    found = {}
    for path in SOURCES:
        text = path.read_text()
        for call, name, _ in MADE.findall(text):
            found[name] = MADE_BY[call]
        for kind, name in BUILT.findall(text):
            found[name] = kind.lower()
    return found


def run(*command):
    return subprocess.run(command, cwd=PROMETHEUS, capture_output=True, text=True)


class Syntax(unittest.TestCase):
    def test_promtool_takes_the_configuration_and_its_rules(self):
        done = run(tool("promtool"), "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_promtool_takes_every_query_of_the_dashboards(self):
        lines = ["groups:", "  - name: dashboards", "    rules:"]
        for number, (panel, expression) in enumerate(panels()):
            lines += [f"      - record: panel_{panel['id']}:query:{number}", f"        expr: {json.dumps(expression)}"]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            file.write("\n".join(lines))
            file.flush()
            done = run(tool("promtool"), "check", "rules", file.name)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_dashboards_are_readable(self):
        for path in DASHBOARDS:
            board = json.loads(path.read_text())
            taken = {}
            self.assertTrue(board["uid"] and board["title"])
            ids = [panel["id"] for panel in board["panels"]]
            self.assertEqual(len(ids), len(set(ids)))
            for panel in board["panels"]:
                at = panel["gridPos"]
                self.assertTrue(panel["title"], panel["id"])
                self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
                columns, lines = range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])
                for cell in ((x, y) for x in columns for y in lines):
                    self.assertNotIn(cell, taken, f"{panel['title']} lies over {taken.get(cell)}")
                    taken[cell] = panel["title"]
                if panel["type"] != "row":
                    self.assertTrue(panel["fieldConfig"]["defaults"].get("unit"), f"{panel['title']} has no unit")


class Alerts(unittest.TestCase):
    alerts = [rule for rule in all_rules() if "alert" in rule]

    def test_they_fire_when_they_should_and_only_then(self):
        files = sorted(str(path.relative_to(PROMETHEUS)) for path in (PROMETHEUS / "tests").glob("*_test.yml"))
        done = run(tool("promtool"), "test", "rules", *files)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(done.stdout.count("SUCCESS"), len(files), done.stdout)

    def test_each_one_is_tested_both_ways(self):
        tests = "\n".join(path.read_text() for path in (PROMETHEUS / "tests").glob("*_test.yml"))
        cases = re.findall(r'- expr: ALERTS\{alertname="(\w+)",alertstate="firing"\}\n *eval_time: \S+\n'
                           r' *exp_samples:(.*)', tests)
        self.assertGreater(len(self.alerts), 20)
        for alert in self.alerts:
            name = alert["alert"]
            self.assertIn((name, ""), cases, f"no test in which {name} fires")
            self.assertIn((name, " []"), cases, f"no test in which {name} does not fire")
        self.assertEqual({name for name, _ in cases}, {alert["alert"] for alert in self.alerts})

    def test_each_one_says_how_bad_what_and_what_to_do(self):
        headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / "operations.md").read_text(), re.M)
        anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
        self.assertEqual(len({alert["alert"] for alert in self.alerts}), len(self.alerts))
        for alert in self.alerts:
            name = alert["alert"]
            self.assertIn(alert.get("severity"), ("critical", "warning"), name)
            self.assertTrue(alert.get("summary") and alert.get("description"), name)
            self.assertEqual(alert.get("runbook"), f"docs/operations.md#{name.lower()}")
            self.assertEqual(anchors.count(name.lower()), 1, f"docs/operations.md explains {name} once")
        explained = {heading for heading in headings if heading.startswith("MarketPrism")}
        self.assertEqual(explained, {alert["alert"] for alert in self.alerts})


class Names(unittest.TestCase):
    def test_the_document_lists_what_the_source_has(self):
        documented = {name: kind for name, (kind, _) in documented_metrics().items()}
        source = metrics_in_source()
        differ = {name: (documented.get(name), source.get(name)) for name in documented.keys() | source.keys()
                  if documented.get(name) != source.get(name)}
        self.assertEqual(differ, {}, "name: (in docs/metrics.md, in the source)")

    def test_no_metric_of_the_source_escapes_this_test(self):
        # A name that is not given to one of the known calls as it stands would be compared with nothing.
        made = metrics_in_source()
        for path in SOURCES:
            for name in re.findall(r'"((?:marketprism|process)_[a-z0-9_]+)"', path.read_text()):
                self.assertTrue(name in made or NO_METRICS.match(name), f"{path.relative_to(ROOT)}: what is {name}?")

    def test_names_follow_the_conventions(self):
        for name, (kind, _) in documented_metrics().items():
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
            self.assertNotRegex(name, r"_(ms|millis|micros|ns|kb|mb|percent)(_|$)", "base units")

    def test_rules_and_dashboards_name_existing_metrics_only(self):
        documented = documented_metrics()
        recorded = {rule["record"] for rule in all_rules() if "record" in rule}
        used = set()
        for where, expression in [(rule.get("alert") or rule["record"], rule["expr"]) for rule in all_rules()] + [
                (panel["title"], expression) for panel, expression in panels()]:
            self.assertLessEqual(metrics_of(expression), documented.keys(), where)
            names = set(RECORDED.findall(expression))
            self.assertLessEqual(names, recorded, where)
            used |= names
        self.assertEqual(used, recorded, "recorded and not used")

    def test_documents_name_existing_metrics_only(self):
        documented = documented_metrics()
        for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
            names = {name for name in metrics_of(path.read_text()) if not NO_METRICS.match(name)}
            self.assertLessEqual(names, documented.keys(), path.name)


if __name__ == "__main__":
    tool("promtool")
    print(f"{len(documented_metrics())} metrics in {METRICS.name}, {len(all_rules())} rules")
    sys.exit(not unittest.main(exit=False, verbosity=1).result.wasSuccessful())
