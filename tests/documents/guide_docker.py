#!/usr/bin/env python3
"""Every command of docs/guide.md that is for Docker, as it stands there and in its order, in a copy of the checkout, with the
simulated exchange in the place of the real one. Needs a Docker Engine (DOCKER_HOST), the images that the Compose files name, and
the guide's ports free: tests/containers provides all that.

usage: guide_docker.py MARKETPRISM [--compose DOCKER-COMPOSE] [--without-build]"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

import guide
from checkout import Checkout
from documents import DOCS

FILES = ["services/data-collector/docker-compose.unified.yml", "services/data-storage-service/docker-compose.hot-storage.yml",
         "services/message-broker/unified-nats/docker-compose.unified.yml"]


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("program", type=pathlib.Path)
    arguments.add_argument("--compose", type=pathlib.Path, help="Compose 2, when `docker compose` has none")
    arguments.add_argument("--without-build", action="store_true", help="the images are taken as they are")
    options = arguments.parse_args()
    environment = dict(os.environ)
    checkout = Checkout(options.program.resolve(), other_ports=False)
    if options.compose:
        plugins = checkout.root / ".docker" / "cli-plugins"
        plugins.mkdir(parents=True)
        (plugins / "docker-compose").symlink_to(options.compose.resolve())
        environment["DOCKER_CONFIG"] = str(plugins.parent)
    blocks = guide.parse((DOCS / "guide.md").read_text())
    if options.without_build:
        for block in blocks:
            block.code = re.sub(r"^docker compose .* build\n", "", block.code, flags=re.M)
    failed = None
    try:
        guide.Runner(checkout.root, environment=environment).run_all(blocks, "docker")
    except guide.GuideError as error:
        failed = f"{error}\n{checkout.logs()}"
    finally:
        for file in FILES:
            subprocess.run(["docker", "compose", "-f", checkout.root / file, "down", "-v"], env=environment, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        checkout.close()
    if failed:
        sys.exit(f"FAILED: {failed}")
    checkout.remove()


if __name__ == "__main__":
    main()
