#!/usr/bin/env python3
"""Symbols are taken out of a running collector's configuration and put back: what stays goes on without a hole, what is
taken out ends with a row that says so, and what comes back begins anew without a gap. A configuration that cannot work
changes nothing.

usage: reload_test.py MARKETPRISM
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

from system import System, wait_for

DATABASE = "marketprism_sim_hot"


def main():
    binary = sys.argv[1]
    data = tempfile.mkdtemp(prefix="mp-reload-")
    system = System(binary, "--sim", "--exchange", "binance:spot", "--symbols", "BTCUSDT,ETHUSDT,SOLUSDT", "--rate", "600", "--seed", "5", data=data)
    house = system.clickhouse
    config = os.path.join(data, "run", "collector-simulated.yaml")
    log = os.path.join(data, "logs", "collector.log")

    def reload(text):
        """Writes the file and lets the services read it; the new lines of the collector's log."""
        with open(log) as file:
            before = len(file.read())
        with open(config, "w") as file:
            file.write(text)
        done = subprocess.run([binary, "config", "reload", "--data", data], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        assert "collector (pid" in done.stdout, done.stdout

        def news():
            with open(log) as file:
                text = file.read()[before:]
            return text if "taken over" in text else None

        return wait_for("the collector to say what it did", news, 20)

    def trades(symbol, since="1970-01-01 00:00:00"):
        return int(house.value(f"SELECT count() FROM {DATABASE}.trades WHERE symbol = '{symbol}' AND received_at > '{since}'"))

    def now():
        return house.value("SELECT toString(now64(3, 'UTC'))")

    try:
        system.wait_healthy()
        for symbol in ("BTC-USDT", "ETH-USDT", "SOL-USDT"):
            wait_for(f"trades of {symbol}", lambda: trades(symbol) > 20, 60)
        with open(config) as file:
            whole = file.read()
        assert "ETHUSDT" in whole, whole
        without = re.sub(r", ETHUSDT|ETHUSDT, ", "", whole)
        assert "ETHUSDT" not in without

        assert "the configuration has been taken over" in reload(without)
        ends = f"SELECT data_type FROM {DATABASE}.gaps WHERE symbol = 'ETH-USDT' AND cause = 'end' ORDER BY data_type"
        wait_for("the series to end", lambda: len(house.rows(ends)) == 3, 30)
        assert [row["data_type"] for row in house.rows(ends)] == ["orderbook", "orderbook_delta", "trade"], house.rows(ends)
        ended_at = house.value(f"SELECT toString(max(gap_end)) FROM {DATABASE}.gaps WHERE cause = 'end'")
        moment = now()
        wait_for("the others to go on", lambda: trades("BTC-USDT", moment) > 50 and trades("SOL-USDT", moment) > 20, 60)
        assert trades("ETH-USDT", ended_at) == 0, "published after its end"

        # A mistake changes nothing.
        said = reload(without.replace("symbols:", "symbolls:"))
        assert "cannot be taken over" in said and "did you mean 'symbols'" in said, said
        assert 'do="correct the configuration' in said, said

        reload(whole)
        moment = now()
        wait_for("it to come back", lambda: trades("ETH-USDT", moment) > 20, 60)
        wait_for("the others to go on", lambda: trades("BTC-USDT", moment) > 50, 60)
        wait_for("its book to be good again", lambda: int(house.value(
            f"SELECT count() FROM {DATABASE}.orderbooks WHERE symbol = 'ETH-USDT' AND received_at > '{moment}'")) > 3, 60)

        losses = house.rows(f"SELECT * FROM {DATABASE}.gaps WHERE cause NOT IN ('start', 'end')")
        assert losses == [], f"a reload is no loss: {losses}"
        for symbol in ("BTC-USDT", "SOL-USDT"):
            missing = house.value(f"SELECT max(toUInt64(trade_id)) - min(toUInt64(trade_id)) + 1 - uniqExact(trade_id) FROM {DATABASE}.trades WHERE symbol = '{symbol}'")
            assert missing == "0", f"{missing} trades of {symbol} are missing"
            snapshots = house.value(f"SELECT countIf(is_snapshot) FROM {DATABASE}.orderbook_deltas WHERE symbol = '{symbol}'")
            assert snapshots == "1", f"the book of {symbol} was begun {snapshots} times"
        with open(log) as file:
            connects = file.read().count(": connected source=")
        assert connects == 1, f"{connects} connections: what stays keeps its own"
        status = system.stop()
        assert status == 0, system.output()
        print("symbols left and came back; nothing else was touched", flush=True)
    except BaseException:
        print(system.output())
        with open(log) as file:
            print(file.read()[-6000:])
        if system.process.poll() is None:
            system.stop()
        raise
    shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    main()
