#!/usr/bin/env python3
"""NATS_STREAM names the stream of the whole system: collector, storage, and the launcher's proof.

usage: stream_test.py MARKETPRISM
"""

import json
import os
import shutil
import sys

from system import System, http, wait_for

NAME = "MY_DATA"


def streams(system):
    body = http(f"http://127.0.0.1:{system.ports['nats-http-port']}/jsz?streams=true&consumers=true")[1]
    return {each["name"]: each for account in json.loads(body).get("account_details", []) for each in account["stream_detail"]}


def main():
    os.environ["NATS_STREAM"] = NAME
    system = System(sys.argv[1], "--sim", "--exchange", "binance:spot", "--for", "5s")
    try:
        system.wait_healthy()
        wait_for("storage's consumers of the stream", lambda: len(streams(system)[NAME].get("consumer_detail") or []) == 12)
        names = [name for name in streams(system) if not name.startswith("KV_")]
        if names != [NAME]:
            raise AssertionError(f"streams beside the key-value buckets: {names}")
        if system.health("storage")[1]["stream"] != NAME:
            raise AssertionError(system.health("storage")[1])
        # Only with data found in the tables, message by message of that stream, is it 0.
        status = system.wait(120)
        if status != 0:
            raise AssertionError(f"exit status {status}:\n{system.output()}")
    finally:
        if system.process.poll() is None:
            system.process.kill()
    shutil.rmtree(system.data)


if __name__ == "__main__":
    main()
