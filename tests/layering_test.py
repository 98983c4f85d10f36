#!/usr/bin/env python3
"""The rules of docs/architecture.md that the compiler cannot check: who includes whom, what pure code never touches,
and the shape of the folders that others extend. Debian puts every header in /usr/include, so link lists do not help."""
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent

# folder under src/ -> the folders of ours that it may include besides itself. "x/*" is every folder below x.
MAY_INCLUDE = {
    "base": set(),
    "model": {"base"},
    "book": {"base", "model"},
    "wire": {"base", "model"},
    "feed": {"base", "model", "book"},
    "exchanges": {"base", "model", "book", "feed", "exchanges/*"},  # the contract and the registry
    "exchanges/*": {"base", "model", "book", "feed", "exchanges"},
    "sinks/*": {"base", "model", "wire"},
    "net": {"base", "feed"},  # it runs a Session and passes its Outbox on unread
    "nats": {"base"},
    "clickhouse": {"base", "net"},
    "config": {"base"},
    "telemetry": {"base", "net"},  # its endpoints are served by net's HTTP server
    "journal": {"base"},
    "engine": {"base", "net"},
    "sim": {"base", "net"},
}
# A sink's own target: the one place where a pure folder meets one edge client.
SINK_EDGE_FILES = {"sink.cpp", "sink.hpp"}
SINK_EDGES = {"nats", "clickhouse", "net"}

PURE = {"base", "model", "book", "wire", "feed", "exchanges", "exchanges/*", "sinks/*"}
PURE_PARTS = {"sim/market", "sim/dialect", "sim/binance", "sim/okx", "sim/deribit"}  # the market model and the venues' dialects; the server is edge
NEVER_IN_PURE = re.compile(
    r"boost/(asio|beast)|(^|/)nats\.h$|^openssl/|^curl/|^(thread|fstream|mutex|condition_variable|future|unistd\.h|sys/.*)$")
CLOCK_READING = re.compile(r"_clock::now\s*\(|\bgettimeofday\s*\(|\bclock_gettime\s*\(|\bstd::time\s*\(")
# Seconds of compile time for each file that includes one: kept out of what many files include.
HEAVY = re.compile(r"^boost/beast|^simdjson|^nats/nats\.h$|^CLI/")
HEAVY_HEADERS_ALLOWED = {
    "src/app/cli.hpp",  # for the cmd_*.cpp files only
    "src/sim/coalescing_stream.hpp",  # a part of server.cpp, tested by itself
}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def sources():
    for top in ("src", "services"):
        for path in sorted((ROOT / top).rglob("*.?pp")):
            parts = path.relative_to(ROOT).parts
            if "tests" not in parts and "fuzz" not in parts:
                yield path


def unit_of(parts):
    """('exchanges', 'binance', …) -> 'exchanges/binance'; a file directly in exchanges/ -> 'exchanges'."""
    if parts[0] in ("exchanges", "sinks") and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0]


def rule_of(unit):
    return unit if unit in MAY_INCLUDE else unit.split("/")[0] + "/*"


def includes(path):
    return INCLUDE.findall(path.read_text(encoding="utf-8"))


def without_comments(text):
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.S)


class Layering(unittest.TestCase):
    def report(self, problems, rule):
        self.assertFalse(problems, f"\n{rule}\n  " + "\n  ".join(problems))

    def test_every_folder_of_src_has_a_rule(self):
        folders = {unit_of(p.relative_to(ROOT / "src").parts) for p in sources() if p.is_relative_to(ROOT / "src")}
        unknown = sorted(u for u in folders - {"app"} if rule_of(u) not in MAY_INCLUDE)
        self.report(unknown, "folders without a rule in MAY_INCLUDE of tests/layering_test.py:")

    def test_includes_follow_the_table(self):
        problems = []
        for path in sources():
            if not path.is_relative_to(ROOT / "src"):
                continue
            parts = path.relative_to(ROOT / "src").parts
            unit = unit_of(parts)
            if unit == "app":
                continue
            allowed = set(MAY_INCLUDE.get(rule_of(unit), set()))
            if unit.startswith("sinks/") and path.name in SINK_EDGE_FILES:
                allowed |= SINK_EDGES
            for kind, target in includes(path):
                if kind != '"':
                    continue
                other = unit_of(tuple(target.split("/"))) if "/" in target else unit
                if other != unit and other not in allowed and rule_of(other) not in allowed:
                    problems.append(f"{path.relative_to(ROOT)} includes {target}: {unit} may know only "
                                    f"{', '.join(sorted(allowed)) or 'nothing of ours'}")
        self.report(problems, "includes against the table of docs/architecture.md:")

    def test_nobody_includes_a_service_but_app(self):
        problems = [f"{p.relative_to(ROOT)} includes {t}" for p in sources() for k, t in includes(p)
                    if k == '"' and (t.startswith("services/") or t.startswith("app/"))
                    and p.relative_to(ROOT).parts[:2] != ("src", "app")
                    and (t.startswith("app/") or p.relative_to(ROOT).parts[:2] != tuple(t.split("/")[:2]))]
        self.report(problems, "services and app are included by app only:")

    def test_pure_code_knows_no_sockets_threads_files_or_clocks(self):
        problems = []
        for path in sources():
            if not path.is_relative_to(ROOT / "src"):
                continue
            parts = path.relative_to(ROOT / "src").parts
            unit = unit_of(parts)
            pure = rule_of(unit) in PURE or "/".join(parts[:2]) in PURE_PARTS
            if not pure or (unit.startswith("sinks/") and path.name in SINK_EDGE_FILES):
                continue
            problems += [f"{path.relative_to(ROOT)} includes <{t}>" for _, t in includes(path) if NEVER_IN_PURE.search(t)]
            found = CLOCK_READING.search(without_comments(path.read_text(encoding="utf-8")))
            if found:
                problems.append(f"{path.relative_to(ROOT)} reads a clock: {found.group(0)}")
        self.report(problems, "pure folders take bytes and times as arguments (docs/architecture.md):")

    def test_heavy_headers_stay_in_cpp_files(self):
        problems = [f"{p.relative_to(ROOT)} includes <{t}>" for p in sources()
                    if p.suffix == ".hpp" and str(p.relative_to(ROOT)) not in HEAVY_HEADERS_ALLOWED
                    for _, t in includes(p) if HEAVY.search(t)]
        self.report(problems, "heavy headers are included by .cpp files only:")


class Shape(unittest.TestCase):
    def venues(self):
        return sorted(p for p in (ROOT / "src" / "exchanges").iterdir() if p.is_dir() and p.name != "tests")

    def test_the_registry_lists_every_venue(self):
        registry = ROOT / "src" / "exchanges" / "registry.cpp"
        text = registry.read_text(encoding="utf-8") if registry.exists() else ""
        missing = [v.name for v in self.venues() if f'exchanges/{v.name}/' not in text]
        self.assertFalse(missing, f"src/exchanges/registry.cpp does not name: {missing}")

    def test_every_venue_explains_itself(self):
        missing = [f"{v.name}/{name}" for v in self.venues()
                   for name in ("README.md", "CMakeLists.txt", "tests", "fixtures/SOURCE.md") if not (v / name).exists()]
        self.assertFalse(missing, f"missing under src/exchanges: {missing}")

    def test_the_version_is_said_once(self):
        in_cmake = re.search(r"project\(marketprism VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        in_code = re.search(r'kVersion = "([\d.]+)"', (ROOT / "src/base/version.hpp").read_text()).group(1)
        self.assertEqual(in_cmake, in_code, "CMakeLists.txt and src/base/version.hpp differ")

    def test_committed_files_name_no_machine_and_no_registry_host(self):
        # Put together here so that this file does not find itself.
        never = re.compile("|".join(["/" + "work/", "registry" + r"\.npmjs", "pypi" + r"\.org", "pythonhosted" + r"\.org",
                                     "proxy" + r"\.golang", "deb\\." + "debian"]))
        if not (ROOT / ".git").exists() or not shutil.which("git"):
            self.skipTest("not a git checkout")
        listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True)
        problems = []
        for name in listed.stdout.decode().split("\0"):
            path = ROOT / name
            if not name or not path.is_file():
                continue
            found = never.search(path.read_text(encoding="utf-8", errors="replace"))
            if found:
                problems.append(f"{name}: {found.group(0)}")
        self.assertFalse(problems, f"machine paths or registry hosts in committed files: {problems}")


if __name__ == "__main__":
    sys.exit(0 if unittest.main(exit=False, verbosity=1).result.wasSuccessful() else 1)
