#!/usr/bin/env python3
"""The files that a deployment is made of say what the programs take: nats-server.conf, the secrets of compose.yaml, the
schema's files, the Dockerfiles, systemd's units. Containers themselves are tested by tests/containers.

usage: deployment_test.py PATH_OF_MARKETPRISM
"""

import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/system"))
from system import ClickHouse, free_ports, http, wait_for  # noqa: E402

MARKETPRISM = sys.argv.pop(1)
SERVER, OLD_SERVER = ROOT / ".deps/nats-server/nats-server", ROOT / ".deps/nats-server-debian/nats-server"
LIBCHDB = ROOT / ".deps/chdb/libchdb.so"
NATS_CONF = ROOT / "services/message-broker/unified-nats/nats-server.conf"
SCHEMA = ROOT / "services/data-storage-service/config"


def needs(path):
    if path.exists():
        return
    if os.environ.get("CI") == "true" or os.environ.get("MARKETPRISM_REQUIRE_DEPS"):
        raise AssertionError(f"{path} is not there: run tools/setup --tests")
    raise unittest.SkipTest(f"{path} is not there")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, **options)


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name)

    def serve(self, command, url):
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait, 30)
        self.addCleanup(process.terminate)
        wait_for(url, lambda: http(url)[0] == 200, 30)


class Nats(InFolder):
    def setUp(self):
        super().setUp()
        needs(SERVER)

    def test_the_current_server_takes_the_files(self):
        for path in (NATS_CONF, ROOT / "config/systemd/nats-server.conf"):
            done = run(SERVER, "-c", path, "-t")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_an_old_one_says_what_it_does_not_know(self):
        needs(OLD_SERVER)
        done = run(OLD_SERVER, "-c", NATS_CONF, "-t")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("sync_interval", done.stdout + done.stderr)

    def test_a_running_server_has_the_guides_values(self):
        for path in (NATS_CONF, ROOT / "config/systemd/nats-server.conf"):
            port, http_port = free_ports(2)
            text = path.read_text()
            # Everything but where it listens and stores, which are its own here.
            for pattern, mine in ((r"^host:.*", "host: 127.0.0.1"), (r"^port: 4222$", f"port: {port}"),
                                  (r"^http(_port)?: .*8222\"?$", f'http: "127.0.0.1:{http_port}"'),
                                  (r"store_dir: .*", f'store_dir: "{self.path}/{port}"')):
                text, count = re.subn(pattern, mine, text, flags=re.M)
                self.assertEqual(count, 1, f"{path}: {pattern}")
            mine = self.path / f"{port}.conf"
            mine.write_text(text)
            self.serve([SERVER, "-c", mine], f"http://127.0.0.1:{http_port}/healthz")
            varz = json.loads(http(f"http://127.0.0.1:{http_port}/varz")[1])
            jetstream = varz["jetstream"]["config"]
            self.assertEqual((varz["max_connections"], varz["max_payload"], varz["max_pending"]), (1000, 1048576, 67108864), path)
            self.assertEqual((jetstream["max_memory"], jetstream["max_storage"]), (1 << 30, 10 << 30), path)
            self.assertEqual(jetstream["sync_interval"], 120 * 10**9, path)


class Secrets(InFolder):
    script = ROOT / "config/compose/make-secrets"

    def make(self, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.endswith("_PASSWORD")}
        return run(self.script, self.path / "run/marketprism", env={**clean, **environment})

    def secret(self, name):
        return (self.path / "run/marketprism" / name).read_text()

    def setUp(self):
        super().setUp()
        (self.path / "run/marketprism").mkdir(parents=True)

    def test_they_are_made_once_and_differ(self):
        self.assertEqual(self.make().returncode, 0)
        first = self.secret("nats_password"), self.secret("clickhouse_password")
        self.assertEqual(self.make().returncode, 0)
        self.assertEqual((self.secret("nats_password"), self.secret("clickhouse_password")), first)
        self.assertNotEqual(first[0], first[1])
        for each in first:
            self.assertRegex(each, r"^[0-9a-f]{48}\n$")
        for path in (self.path / "run/marketprism").iterdir():
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o440, path)

    def test_ones_own_win_and_bad_ones_are_refused(self):
        self.make()
        self.assertEqual(self.make(NATS_PASSWORD="own:1", CLICKHOUSE_PASSWORD="own-2").returncode, 0)
        self.assertEqual((self.secret("nats_password"), self.secret("clickhouse_password")), ("own:1\n", "own-2\n"))
        self.assertIn('"own:1"', self.secret("nats-authorization.conf"))
        done = self.make(NATS_PASSWORD='a"b')
        self.assertEqual(done.returncode, 1)
        self.assertIn("NATS_PASSWORD may have", done.stderr)
        self.assertNotIn('a"b', done.stderr)

    def test_nats_asks_for_the_password(self):
        needs(SERVER)
        self.make(NATS_PASSWORD="1e5")  # would be a number without its quotes
        folder = self.path / "etc/nats"
        folder.mkdir(parents=True)
        port, http_port = free_ports(2)
        (folder / "nats-server.conf").write_text(
            NATS_CONF.read_text().replace("port: 4222", f"port: {port}").replace("http_port: 8222", f"http_port: {http_port}")
            .replace("/data/jetstream", str(self.path / "store")))
        shutil.copy(ROOT / "config/compose/nats-server.conf", folder / "marketprism.conf")
        self.serve([SERVER, "-c", folder / "marketprism.conf"], f"http://127.0.0.1:{http_port}/healthz")
        varz = json.loads(http(f"http://127.0.0.1:{http_port}/varz")[1])
        self.assertTrue(varz["auth_required"])
        self.assertEqual(varz["max_connections"], 1000, "the guide's values are included")


class Schema(InFolder):
    def test_the_hot_part_is_the_schemas(self):
        done = run(ROOT / "tools/hot-tables", "--check")
        self.assertEqual(done.returncode, 0, done.stderr)

    def apply(self, clickhouse, name):
        for statement in re.split(r";\n", (SCHEMA / name).read_text()):
            if statement.strip():
                clickhouse.query(statement)

    def test_both_files_make_the_same_hot_tables_also_a_second_time(self):
        needs(LIBCHDB)
        shown = {}
        for name in ("clickhouse_schema.sql", "create_hot_tables.sql"):
            port = free_ports(1)[0]
            self.serve([MARKETPRISM, "clickhouse", "--data", self.path / name, "--http", f"127.0.0.1:{port}"],
                       f"http://127.0.0.1:{port}/ping")
            clickhouse = ClickHouse(port)
            question = "SELECT name, create_table_query FROM system.tables WHERE database = 'marketprism_hot' ORDER BY name"
            self.apply(clickhouse, name)
            shown[name] = clickhouse.rows(question)
            self.apply(clickhouse, name)
            self.assertEqual(clickhouse.rows(question), shown[name], f"{name}, applied again")
            databases = clickhouse.query("SELECT count() FROM system.databases WHERE name = 'marketprism_cold'").strip()
            self.assertEqual(databases, "1" if name == "clickhouse_schema.sql" else "0")
        self.assertGreaterEqual(len(shown["create_hot_tables.sql"]), 12)
        self.assertEqual(shown["clickhouse_schema.sql"], shown["create_hot_tables.sql"])

    def test_the_servers_configuration_is_well_formed(self):
        root = xml.etree.ElementTree.parse(SCHEMA / "clickhouse-config.xml").getroot()
        self.assertEqual(root.tag, "clickhouse")
        names = [child.tag for child in root]
        self.assertEqual(len(names), len(set(names)), names)


class Docker(unittest.TestCase):
    files = [ROOT / "services/data-collector/Dockerfile", ROOT / "services/data-storage-service/Dockerfile"]

    def stages(self, path):
        return re.search(r"^# --- build:.*?^USER marketprism$", path.read_text(), re.M | re.S).group()

    def test_both_images_share_their_stages(self):
        self.assertEqual(self.stages(self.files[0]), self.stages(self.files[1]))

    def test_they_are_of_debian_12_with_a_user_and_a_health_check(self):
        for path in self.files:
            text = path.read_text()
            self.assertEqual(re.findall(r"^FROM (\S+)", text, re.M), ["debian:12-slim", "debian:12-slim"])
            self.assertEqual(re.findall(r"^USER (\S+)", text, re.M), ["marketprism"])
            self.assertRegex(text, r"(?m)^HEALTHCHECK ")

    def test_the_guides_names_and_ports_are_there(self):
        wanted = {
            "services/data-collector/docker-compose.unified.yml":
                ["container_name: marketprism-data-collector", "127.0.0.1:8086", "127.0.0.1:9093", "NATS_URL:-nats://localhost:4222",
                 "NATS_STREAM:-MARKET_DATA", "COLLECTOR_MODE:-launcher", "LOG_LEVEL:-INFO"],
            "services/message-broker/unified-nats/docker-compose.unified.yml":
                ["container_name: marketprism-nats-unified", "nats:latest", ":4222:4222", ":8222:8222", ":6222:6222",
                 ":/data/jetstream", ":/var/log/nats"],
            "services/data-storage-service/docker-compose.hot-storage.yml":
                ["  clickhouse-hot:", "container_name: marketprism-clickhouse-hot", "clickhouse/clickhouse-server:23.8-alpine",
                 ":8123:8123", ":9000:9000", ":/var/lib/clickhouse", ":/etc/clickhouse-server/config.d/",
                 "CLICKHOUSE_DB:-marketprism_hot", "CLICKHOUSE_USER:-default", "CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT: 1"],
        }
        for path, words in wanted.items():
            text = (ROOT / path).read_text()
            for word in words:
                self.assertIn(word, text, path)


class Systemd(InFolder):
    def setUp(self):
        super().setUp()
        if not shutil.which("systemd-analyze"):
            raise unittest.SkipTest("systemd-analyze is not here (Debian package systemd)")
        # The programs that the units name are looked for; only their place is another here.
        for program in ("bin/marketprism", ".deps/nats-server/nats-server"):
            path = self.path / "opt/marketprism" / program
            path.parent.mkdir(parents=True)
            path.write_text("#!/bin/sh\n")
            path.chmod(0o755)
        self.units = []
        for path in sorted((ROOT / "config/systemd").iterdir()):
            if path.suffix in (".service", ".target"):
                (self.path / path.name).write_text(path.read_text().replace("/opt/marketprism", f"{self.path}/opt/marketprism"))
                self.units.append(self.path / path.name)

    def test_systemd_takes_the_units(self):
        self.assertEqual(len(self.units), 5)
        done = run("systemd-analyze", "verify", "--man=no", *self.units)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_they_are_confined(self):
        for unit in self.units:
            if unit.suffix == ".service":
                done = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", unit)
                self.assertEqual(done.returncode, 0, f"{unit.name}: {done.stdout[-200:]}{done.stderr}")

    def test_the_order_is_the_guides(self):
        def of(name, key):
            return re.findall(rf"^{key}=(.*)$", (ROOT / f"config/systemd/marketprism-{name}.service").read_text(), re.M)[0]
        for part, before in (("storage", "nats"), ("storage", "clickhouse"), ("collector", "storage"), ("collector", "nats")):
            self.assertIn(f"marketprism-{before}.service", of(part, "After"))
            self.assertIn(f"marketprism-{before}.service", of(part, "Wants"))


if __name__ == "__main__":
    unittest.main()
