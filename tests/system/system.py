"""Runs the whole of MarketPrism on free ports in a temporary directory, and asks it questions."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

SKIPPED = 77  # what ctest takes for "skipped"


def skip(reason):
    print("skipped:", reason)
    sys.exit(SKIPPED)


def free_ports(count):
    """Ports that nobody listens on, by chance, from below the range out of which the system serves those who ask for any:
    else another's outgoing connection could take one before its server does."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first_given = int(file.read().split()[0])
    found = []
    for port in random.SystemRandom().sample(range(10_000, first_given), 1000):
        if len(found) == count:
            break
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
    assert len(found) == count, "no free ports"
    return found


PORT_OPTIONS = ["nats-port", "nats-http-port", "clickhouse-port", "collector-health-port", "collector-metrics-port",
                "storage-health-port", "storage-metrics-port", "sim-port"]


def http(url, data=None, timeout=30):
    """(status, body) of any answer; OSError when there is none."""
    request = urllib.request.Request(url, data=data.encode() if isinstance(data, str) else data)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(what, condition, timeout=60, every=0.1):
    """The first true value of condition(); fails the test by its name when there is none in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            value = condition()
        except OSError:
            value = None
        if value:
            return value
        time.sleep(every)
    raise AssertionError(f"waited {timeout} s in vain for: {what}")


class ClickHouse:
    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/"

    def query(self, sql):
        status, body = http(self.url, sql, timeout=120)
        if status != 200:
            raise AssertionError(f"{sql}\n-> {status}: {body}")
        return body

    def rows(self, sql):
        return [json.loads(line) for line in self.query(sql + " FORMAT JSONEachRow").splitlines()]

    def value(self, sql):
        return self.query(sql).strip()


class System:
    """`marketprism up` with its own ports and, unless given, its own data directory."""

    def __init__(self, binary, *arguments, data=None):
        self.binary = binary
        self.ports = dict(zip(PORT_OPTIONS, free_ports(len(PORT_OPTIONS))))
        self.data = data or tempfile.mkdtemp(prefix="mp-system-")
        self.log = os.path.join(self.data, f"up-{int(time.time() * 1000)}.out")
        command = [binary, "up", "--data", self.data]
        for name, port in self.ports.items():
            command += [f"--{name}", str(port)]
        command += list(arguments)
        os.makedirs(self.data, exist_ok=True)
        with open(self.log, "w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.clickhouse = ClickHouse(self.ports["clickhouse-port"])

    def health(self, part):
        status, body = http(f"http://127.0.0.1:{self.ports[part + '-health-port']}/health", timeout=5)
        return status, json.loads(body)

    def wait_healthy(self, timeout=90):
        wait_for("the collector to be healthy", lambda: self.still_running() and self.health("collector")[0] == 200,
                 timeout)

    def still_running(self):
        if self.process.poll() is not None:
            raise AssertionError(f"`up` ended early with status {self.process.returncode}:\n{self.output()}")
        return True

    def children(self):
        """{name of the part: pid} of the launcher's living children."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                with open(f"/proc/{pid}/cmdline") as file:
                    words = file.read().split("\0")
            except OSError:
                continue
            if int(fields[1]) != self.process.pid or fields[0] == "Z":
                continue
            name = os.path.basename(words[0])
            if len(words) < 2:
                continue  # between fork and exec
            found["nats" if name.startswith("nats-server") else words[1]] = int(pid)
        return found

    def kill(self, part):
        os.kill(self.children()[part], signal.SIGKILL)

    def stop(self, timeout=90):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
            raise AssertionError(f"`up` did not end within {timeout} s:\n{self.output()}")

    def output(self):
        with open(self.log) as file:
            return file.read()[-8000:]


class StoredData:
    """`marketprism clickhouse` alone, on what a system has left in its data directory."""

    def __init__(self, binary, data):
        port = free_ports(1)[0]
        self.process = subprocess.Popen([binary, "clickhouse", "--data", os.path.join(data, "clickhouse"), "--http",
                                         f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.clickhouse = ClickHouse(port)
        wait_for("embedded ClickHouse", lambda: http(self.clickhouse.url + "ping")[0] == 200, 30)

    def __enter__(self):
        return self.clickhouse

    def __exit__(self, *unused):
        self.process.terminate()
        self.process.wait(30)


def read_lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


def rebuilt_books(clickhouse, database):
    """{(exchange, market_type, symbol): (bids, asks)} from the last snapshot and the deltas after it; prices and
    quantities as decimal text without trailing zeros."""
    books = {}
    rows = clickhouse.rows(
        "SELECT exchange, market_type, symbol, is_snapshot, last_update_id,"
        " arrayMap(l -> (toString(l.1), toString(l.2)), bids) AS b, arrayMap(l -> (toString(l.1), toString(l.2)), asks) AS a"
        f" FROM {database}.orderbook_deltas"
        # The order in which they were published.
        " ORDER BY bus_stream, bus_sequence, bus_index")
    for row in rows:
        key = (row["exchange"], row["market_type"], row["symbol"])
        if row["is_snapshot"]:
            books[key] = ({}, {}, 0)
        bids, asks, _ = books[key]
        for side, levels in ((bids, row["b"]), (asks, row["a"])):
            for level in levels:
                price, quantity = level if isinstance(level, list) else level.values()
                if quantity == "0":
                    side.pop(price, None)
                else:
                    side[price] = quantity
        books[key] = (bids, asks, int(row["last_update_id"]))
    return books


def held_books(lines):
    """The same from `orderbook` events."""
    return {(e["exchange"], e["market_type"], e["symbol"]):
            (dict(map(tuple, e["bids"])), dict(map(tuple, e["asks"])), e["last_update_id"])
            for e in lines if e["type"] == "orderbook"}
