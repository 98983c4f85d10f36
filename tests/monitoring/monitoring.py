"""Reads config/prometheus, config/grafana and docs/metrics.md, for the tests that compare them with each other and with
the running program. No YAML library: the rule files have one shape, and promtool has the say about their syntax."""

import json
import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROMETHEUS = ROOT / "config" / "prometheus"
DASHBOARDS = sorted((ROOT / "config" / "grafana" / "dashboards").glob("*.json"))
METRICS = ROOT / "docs" / "metrics.md"
SKIPPED = 77  # what ctest takes for "skipped"

METRIC = re.compile(r"\b((?:marketprism|process)_[a-z0-9_]+)\b")
RECORDED = re.compile(r"(?<![\w:])((?:[a-z_]+:)?marketprism_[a-z0-9_]+:[a-z0-9_]+)\b")
HISTOGRAM_PART = re.compile(r"_(bucket|sum|count)$")


def tool(name):
    """`promtool` or `prometheus`, as tools/setup --tests brings them; skips the test without it."""
    on_path = os.environ.get("PATH", "").split(os.pathsep)
    for folder in [ROOT / ".deps" / "prometheus", *map(pathlib.Path, on_path)]:
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    print(f"skipped: no {name}; tools/setup --tests brings it")
    sys.exit(SKIPPED)


def documented_metrics():
    """{name: (type, frozenset of label names)} of the tables of docs/metrics.md."""
    metrics = {}
    for line in METRICS.read_text().splitlines():
        row = re.fullmatch(r"\| `(\w+)` \| (\w+) \| (.*?) ?\| (.+) \|", line)
        if not row:
            continue
        name, kind, labels, meaning = row.groups()
        assert name not in metrics, f"docs/metrics.md names {name} twice"
        assert meaning.strip(), f"docs/metrics.md does not say what {name} means"
        metrics[name] = (kind, frozenset(re.findall(r"`(\w+)`", labels)))
    return metrics


def rules(path):
    """The rules of a file: {"alert" or "record": name, "expr": …, "for": …, "severity": …, "summary": …}."""
    found = []
    key = indent = None
    for line in path.read_text().splitlines():
        if match := re.match(r"( *)- (alert|record): (\S+)$", line):
            found.append({match[2]: match[3]})
            key = None
        elif key and line.startswith(indent) and line.strip():
            found[-1][key] = (found[-1][key] + " " + line.strip()).strip()
        elif (match := re.match(r"( +)(\w+): ?(.*)$", line)) and found:
            key, indent = match[2], match[1] + "  "
            found[-1][key] = "" if match[3] == ">-" else match[3]
            if match[3] != ">-":
                key = None
    return found


def all_rules():
    return [rule for path in sorted((PROMETHEUS / "rules").glob("*.yml")) for rule in rules(path)]


def panels():
    """(panel, expression with Grafana's variables filled in) of all dashboards."""
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield panel, target["expr"].replace("$exchange", ".*").replace("$__rate_interval", "1m")


def metrics_of(expression):
    """The names of our metrics in PromQL or in prose, a histogram's parts by the histogram's name."""
    without_records = RECORDED.sub(" ", expression)
    documented = documented_metrics()
    names = set()
    for name in METRIC.findall(without_records):
        whole = HISTOGRAM_PART.sub("", name)
        names.add(whole if name not in documented and documented.get(whole, ("",))[0] == "histogram" else name)
    return names
