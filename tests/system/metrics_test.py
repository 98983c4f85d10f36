#!/usr/bin/env python3
"""What an operator sees of a system that runs: both services show the metrics that docs/metrics.md lists, with those
types and labels, and no others; a real Prometheus with the shipped configuration scrapes them and evaluates every rule;
nothing is wrong and no alert fires; every panel of the dashboard has data.

usage: metrics_test.py MARKETPRISM      (skipped without Prometheus: tools/setup --tests)
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

from system import System, free_ports, http, wait_for

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "monitoring"))
from monitoring import DASHBOARDS, PROMETHEUS, documented_metrics, panels, tool  # noqa: E402

# There when something of the kind has happened, as docs/metrics.md says.
APPEAR_LATER = {"marketprism_collector_unmapped_total", "marketprism_collector_unknown_total"}
SECONDS_OF_DATA = 15
# What a panel shows only when something is the matter.
TROUBLE_ONLY = re.compile(r" > 0$| == 1$")


def shown(text):
    """{name: (type, {label names of each series})} of /metrics; a histogram by its own name, without `le`."""
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.M))
    assert types.keys() == helps.keys(), f"without help: {types.keys() - helps.keys()}"
    metrics = {}
    for name, labels in re.findall(r"^([a-z_]+)(?:\{(.*)\})? \S+$", text, re.M):
        whole = re.sub(r"_(bucket|sum|count)$", "", name)
        family = whole if types.get(whole) == "histogram" else name
        names = frozenset(re.findall(r'(\w+)="', labels)) - {"le"}
        metrics.setdefault(family, (types[family], set()))[1].add(names)
    return metrics


class Prometheus:
    """The shipped configuration, with our ports and a second between scrapes."""

    def __init__(self, ports, folder):
        self.port = free_ports(1)[0]
        text = (PROMETHEUS / "prometheus.yml").read_text()
        for port, ours in (("9093", ports["collector-metrics-port"]), ("9094", ports["storage-metrics-port"])):
            assert f"targets: [127.0.0.1:{port}]\n" in text
            text = text.replace(f"      - targets: [127.0.0.1:{port}]\n", f"      - targets: [127.0.0.1:{ours}]\n")
        text = re.sub(r"_interval: \w+", "_interval: 1s", text)
        shutil.copytree(PROMETHEUS / "rules", os.path.join(folder, "rules"))
        file = os.path.join(folder, "prometheus.yml")
        with open(file, "w") as out:
            out.write(text)
        with open(os.path.join(folder, "prometheus.log"), "w") as log:
            self.process = subprocess.Popen(
                [tool("prometheus"), f"--config.file={file}", f"--web.listen-address=127.0.0.1:{self.port}",
                 f"--storage.tsdb.path={folder}/tsdb"], stdout=log, stderr=log)

    def ask(self, path, **parameters):
        status, body = http(f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(body)
        assert status == 200 and answer["status"] == "success", body
        return answer["data"]

    def is_ready(self):
        return http(f"http://127.0.0.1:{self.port}/-/ready")[0] == 200

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def compare_with_document(ports):
    problems = []
    seen = {}
    for part in ("collector", "storage"):
        status, text = http(f"http://127.0.0.1:{ports[part + '-metrics-port']}/metrics")
        assert status == 200, status
        for name, (kind, label_sets) in shown(text).items():
            seen.setdefault(name, (kind, set()))[1].update(label_sets)
    documented = documented_metrics()
    for name in sorted(seen.keys() - documented.keys()):
        problems.append(f"{name} is shown and not in docs/metrics.md")
    for name in sorted(documented.keys() - seen.keys() - APPEAR_LATER):
        problems.append(f"{name} is in docs/metrics.md and not shown")
    for name in sorted(seen.keys() & documented.keys()):
        kind, labels = documented[name]
        if seen[name] != (kind, {labels}):
            problems.append(f"{name} is {seen[name]}, docs/metrics.md says {documented[name]}")
    print(len(seen), "metrics are shown")
    return problems


def check_prometheus(prometheus):
    problems = []
    targets = prometheus.ask("targets")["activeTargets"]
    problems += [f"{t['labels']['job']}: {t['lastError']}" for t in targets if t["health"] != "up"]
    if len(targets) != 2:
        problems.append(f"{len(targets)} targets instead of 2")
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    problems += [f"rule {r['name']}: {r['health']} {r.get('lastError', '')}" for r in rules if r["health"] != "ok"]
    for rule in rules:
        if rule.get("state", "inactive") != "inactive":
            problems.append(f"nothing is wrong and {rule['name']} is {rule['state']}: {rule['alerts']}")
        if rule["type"] == "recording" and not prometheus.ask("query", query=rule["name"])["result"]:
            problems.append(f"{rule['name']} has no value")
    queries = 0
    for panel, expression in panels():
        queries += 1
        if not prometheus.ask("query", query=TROUBLE_ONLY.sub("", expression))["result"]:
            problems.append(f"panel {panel['title']!r} has no data: {expression}")
    print(len(rules), "rules and", queries, "queries of", [path.name for path in DASHBOARDS])
    return problems


def main():
    folder = tempfile.mkdtemp(prefix="mp-metrics-")
    tool("prometheus")
    system = System(sys.argv[1], "--sim", "--rate", "200", "--seed", "5", data=os.path.join(folder, "data"))
    prometheus = None
    try:
        system.wait_healthy()
        prometheus = Prometheus(system.ports, folder)
        wait_for("Prometheus to be ready", prometheus.is_ready, 60)
        time.sleep(SECONDS_OF_DATA)
        # By then the rules have been evaluated often, and storage has finished its first batches (10 s).
        wait_for("Prometheus to see a stored batch",
                 lambda: prometheus.ask("query", query="marketprism_storage_batches_total > 0")["result"], 60)
        problems = compare_with_document(system.ports)
        problems += check_prometheus(prometheus)
        system.still_running()
    finally:
        if prometheus:
            prometheus.stop()
        system.stop()
    for problem in problems:
        print("FAILED", problem)
    if not problems:
        shutil.rmtree(folder)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
