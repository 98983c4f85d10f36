#!/usr/bin/env python3
"""Runs an official ClickHouse client, unchanged, against `marketprism clickhouse`.

usage: clients_test.py node|python --marketprism PROGRAM --work FOLDER

The client is installed into FOLDER (npm, or pip in a virtual environment) the first time. Exit status 0: passed; 77: skipped,
with the reason (no npm or pip, no registry within reach, no libchdb); else failed."""
import argparse
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
NODE_CLIENT = "@clickhouse/client@1.23.1"
PYTHON_CLIENT = "clickhouse-connect==1.12.0"
USER, PASSWORD = "market", "s3cret"
SKIPPED = 77


def skip(reason, tool_is_there=False):
    # In CI a client that could have been fetched must be: only the lack of npm or pip excuses.
    if tool_is_there and os.environ.get("CI") == "true":
        print(f"FAILED: {reason} (and CI=true)")
        sys.exit(1)
    print(f"SKIPPED: {reason}")
    sys.exit(SKIPPED)


def run_quietly(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, **options)


def install_node(work):
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        skip("node and npm are not installed")
    folder = work / "node"
    mark = folder / "installed"
    if not mark.exists() or mark.read_text() != NODE_CLIENT:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text('{"private": true}\n')
        done = run_quietly([npm, "install", "--no-audit", "--no-fund", NODE_CLIENT], cwd=folder)
        if done.returncode != 0:
            skip(f"npm cannot install {NODE_CLIENT}: {done.stdout.strip()[-400:]}", tool_is_there=True)
        mark.write_text(NODE_CLIENT)
    return lambda host, port: subprocess.run(
        [node, str(HERE / "clickhouse_node.mjs"), f"http://{host}:{port}", USER, PASSWORD], cwd=folder, timeout=120).returncode


def install_python(work):
    folder = work / "python"
    python = folder / "bin" / "python"
    mark = folder / "installed"
    if not mark.exists() or mark.read_text() != PYTHON_CLIENT:
        made = run_quietly([sys.executable, "-m", "venv", str(folder)])
        if made.returncode != 0:
            skip(f"no virtual environment can be made (python3-venv): {made.stdout.strip()[-200:]}")
        done = run_quietly([str(python), "-m", "pip", "install", "--quiet", PYTHON_CLIENT])
        if done.returncode != 0:
            skip(f"pip cannot install {PYTHON_CLIENT}: {done.stdout.strip()[-400:]}", tool_is_there=True)
        mark.write_text(PYTHON_CLIENT)
    return lambda host, port: subprocess.run(
        [str(python), str(HERE / "clickhouse_python.py"), host, port, USER, PASSWORD], timeout=120).returncode


class Server:
    def __init__(self, program, data):
        environment = dict(os.environ, CLICKHOUSE_PASSWORD=PASSWORD)
        self.process = subprocess.Popen([program, "clickhouse", "--data", data, "--http", "127.0.0.1:0", "--user", USER],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        self.host, self.port = self.read_address()

    def read_address(self):
        # "ClickHouse (libchdb …) is serving http://127.0.0.1:40123, data in …"
        for line in self.process.stdout:
            if " is serving http://" in line:
                return line.split("http://")[1].split(",")[0].rsplit(":", 1)
            if "libchdb" in line and "cannot be loaded" in line:
                self.process.wait()
                if os.environ.get("CI") == "true" or os.environ.get("MARKETPRISM_REQUIRE_DEPS") == "1":
                    sys.exit(f"FAILED: {line.strip()}")
                skip(line.strip())
            print(line, end="")
        sys.exit("FAILED: the server did not start")

    def wait_for_ping(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                return urllib.request.urlopen(f"http://{self.host}:{self.port}/ping", timeout=5).read() == b"Ok.\n"
            except OSError:
                time.sleep(0.05)
        return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("client", choices=["node", "python"])
    arguments.add_argument("--marketprism", required=True)
    arguments.add_argument("--work", required=True, type=pathlib.Path)
    options = arguments.parse_args()
    options.work = options.work.resolve()
    run_client = {"node": install_node, "python": install_python}[options.client](options.work)
    with tempfile.TemporaryDirectory(prefix="mp-clients-") as data:
        server = Server(options.marketprism, data)
        try:
            if not server.wait_for_ping():
                sys.exit("FAILED: no answer to /ping")
            status = run_client(server.host, server.port)
        finally:
            stopped = server.stop()
        if stopped != 0:
            sys.exit(f"FAILED: the server ended with status {stopped}")
    sys.exit(status)


if __name__ == "__main__":
    main()
