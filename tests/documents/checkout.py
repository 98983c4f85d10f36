"""A copy of the checkout in which the guide's commands can be run, with a simulated exchange in the place of the real one."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import guide
from documents import ROOT

sys.path.insert(0, str(ROOT / "tests" / "system"))
from system import free_ports, http, wait_for  # noqa: E402

# What listens, in the guide's words; and the simulated exchange.
PORTS = [4222, 8222, 8123, 8085, 8086, 9093, 9094]
SIM_PORT = 9443
MADE_HERE = shutil.ignore_patterns("build", ".deps", ".git", "data", "dist")  # tools/build is another thing
MADE_ANYWHERE = shutil.ignore_patterns("node_modules", "venv", "__pycache__", "*.log", "*.pid")


def not_copied(folder, names):
    made = MADE_ANYWHERE(folder, names)
    return made | MADE_HERE(folder, names) if pathlib.Path(folder) == ROOT else made


class Checkout:
    def __init__(self, program, other_ports):
        """`program` is what the guide calls build/release/bin/marketprism. With other_ports everything that would listen where
        the guide says listens elsewhere."""
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="mp-guide-"))
        *own, self.sim_port = free_ports(len(PORTS) + 1) if other_ports else [*PORTS, SIM_PORT]
        self.ports = dict(zip(PORTS, own)) if other_ports else {}
        shutil.copytree(ROOT, self.root, ignore=not_copied, dirs_exist_ok=True)
        (self.root / "build/release/bin").mkdir(parents=True)
        (self.root / "build/release/bin/marketprism").symlink_to(program)
        (self.root / ".deps").symlink_to(ROOT / ".deps")
        for path in self.root.glob("services/**/*"):
            if path.suffix in (".yaml", ".yml", ".conf") and path.is_file():
                path.write_text(guide.with_ports(path.read_text(), self.ports))
        self.tell_where_it_listens()
        self.collect_from_the_simulator(self.root / "services/data-collector/config/collector/collector.yaml")
        self.log = open(self.root / "sim.log", "w")
        self.sim = subprocess.Popen([program, "sim", "--listen", f"127.0.0.1:{self.sim_port}", "--exchange", "binance", "--rate", "500"],
                                    stdout=self.log, stderr=self.log)
        wait_for("the simulated exchange", lambda: http(f"http://127.0.0.1:{self.sim_port}/api/v3/ping")[0] == 200, 30)

    def tell_where_it_listens(self):
        """As `marketprism up` does for status, doctor and query."""
        run = self.root / "data" / "run"
        run.mkdir(parents=True)
        text = """data_source: live
database: marketprism_hot
clickhouse: http://127.0.0.1:8123
nats: nats://127.0.0.1:4222
nats_http: http://127.0.0.1:8222
storage_health: 127.0.0.1:8085
storage_metrics: 127.0.0.1:9094
collector_health: 127.0.0.1:8086
collector_metrics: 127.0.0.1:9093
"""
        (run / "addresses.yaml").write_text(guide.with_ports(text, self.ports) +
                                            f"collector_config: {self.root}/services/data-collector/config/collector/collector.yaml\n")

    def collect_from_the_simulator(self, path):
        at = f"127.0.0.1:{self.sim_port}"
        text, places = re.subn(r"^( +)- name: binance$", rf"\g<0>\n\1  ws_base: ws://{at}\n\1  rest_base: http://{at}", path.read_text(),
                               flags=re.M)
        assert places > 0, f"no exchange in {path}"
        path.write_text(text)

    def pids(self):
        """Of processes that were started in this copy and still run."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and pathlib.Path(os.readlink(entry / "cwd")).is_relative_to(self.root):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def close(self):
        """Ends what the guide's commands have left running, and the simulated exchange."""
        self.sim.terminate()
        self.sim.wait(30)
        self.log.close()
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self.pids() and time.monotonic() < deadline:
            time.sleep(0.05)

    def remove(self):
        shutil.rmtree(self.root)

    def logs(self):
        return "".join(f"--- {path.relative_to(self.root)}\n{path.read_text(errors='replace')[-2500:]}\n"
                       for path in [*self.root.glob("data/*.log"), *self.root.glob("services/*/*.log"), *self.root.glob("sim.log")])
