#!/usr/bin/env python3
"""Real recorded sessions of Binance, played through the whole system: every trade and every depth update that continues
its snapshot is in ClickHouse, equal to the raw message digit by digit; played again, nothing is added.

usage: capture_test.py MARKETPRISM CAPTURE_DIRECTORY      (skipped when the directory is not there)
"""

import collections
import decimal
import json
import os
import shutil
import sys
import tempfile
import urllib.parse

from system import StoredData, System, held_books, read_lines, rebuilt_books, skip

DATABASE = "marketprism_replay_hot"


def decimal_text(text):
    """Without exponent and trailing zeros."""
    value = format(decimal.Decimal(text), "f")
    return value.rstrip("0").rstrip(".") if "." in value else value


def iso_of_millis(ms):
    seconds, millis = divmod(ms, 1000)
    import datetime
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%d %H:%M:%S") + f".{millis:03}000000"


class Expectation:
    """What the rules of Binance say about a capture: independent of the product's decoders."""

    def __init__(self, path, is_futures):
        self.is_futures = is_futures
        self.trades = {}
        self.deltas = collections.defaultdict(list)  # instrument -> [(is_snapshot, first, last, bids, asks)]
        self.waiting = collections.defaultdict(list)
        self.last = {}
        with open(path) as file:
            for line in file:
                self.take(json.loads(line))

    def take(self, record):
        if record["dir"] != "recv":
            return
        if record["transport"] == "rest":
            url = urllib.parse.urlparse(record["url"])
            if url.path.endswith("/depth"):
                self.snapshot(urllib.parse.parse_qs(url.query)["symbol"][0], json.loads(record["raw"]))
            return
        data = json.loads(record["raw"]).get("data", {})
        if data.get("e") == "aggTrade":
            self.trades[(data["s"], str(data["a"]))] = (
                decimal_text(data["p"]), decimal_text(data["q"]), "sell" if data["m"] else "buy",
                iso_of_millis(data["T"]), str(data["f"]), str(data["l"]))
        elif data.get("e") == "depthUpdate":
            symbol = data["s"]
            if symbol in self.last:
                self.update(symbol, data)
            else:
                self.waiting[symbol].append(data)

    def snapshot(self, symbol, book):
        self.deltas[symbol].append((1, None, book["lastUpdateId"], levels(book["bids"]), levels(book["asks"])))
        self.last[symbol] = (book["lastUpdateId"], True)
        for update in self.waiting.pop(symbol, []):
            self.update(symbol, update)

    def update(self, symbol, data):
        last, fresh = self.last[symbol]
        if self.is_futures:
            if fresh and data["u"] < last:
                return
            continues = (data["U"] <= last <= data["u"] or data["pu"] == last) if fresh else data["pu"] == last
        else:
            if data["u"] <= last:
                return
            continues = data["U"] <= last + 1 if fresh else data["U"] == last + 1
        assert continues, f"the capture itself has a gap: {symbol} {data['U']} after {last}"
        self.deltas[symbol].append((0, data["U"], data["u"], levels(data["b"]), levels(data["a"])))
        self.last[symbol] = (data["u"], False)


def levels(pairs):
    return [(decimal_text(p), decimal_text(q)) for p, q in pairs]


def check(clickhouse, expected, final_books):
    problems = []
    rows = clickhouse.rows("SELECT market_type, instrument, trade_id, toString(price) AS p, toString(quantity) AS q,"
                           " toString(side) AS s, toString(timestamp) AS t, first_trade_id AS f, last_trade_id AS l,"
                           f" toString(data_source) AS d FROM {DATABASE}.trades")
    stored = {(r["market_type"], r["instrument"], r["trade_id"]): (r["p"], r["q"], r["s"], r["t"], r["f"], r["l"])
              for r in rows}
    wanted = {(market, *key): value for market, e in expected.items() for key, value in e.trades.items()}
    if len(rows) != len(wanted) or stored != wanted:
        problems.append(f"trades: {len(rows)} stored, {len(wanted)} expected, "
                        f"{[k for k in wanted if stored.get(k) != wanted[k]][:3]} differ")
    if any(r["d"] != "replay" for r in rows):
        problems.append("data_source is not replay")

    rows = clickhouse.rows("SELECT market_type, instrument, is_snapshot, first_update_id AS f, last_update_id AS l,"
                           " arrayMap(x -> (toString(x.1), toString(x.2)), bids) AS b,"
                           f" arrayMap(x -> (toString(x.1), toString(x.2)), asks) AS a FROM {DATABASE}.orderbook_deltas"
                           " ORDER BY bus_stream, bus_sequence, bus_index")
    deltas = collections.defaultdict(list)
    for r in rows:
        def pairs(side):
            return [tuple(x if isinstance(x, list) else x.values()) for x in r[side]]
        snapshot = int(r["is_snapshot"])
        deltas[(r["market_type"], r["instrument"])].append(
            (snapshot, None if snapshot else int(r["f"]), int(r["l"]), pairs("b"), pairs("a")))
    counts = {}
    for market, e in expected.items():
        for instrument, wanted_deltas in e.deltas.items():
            if deltas.get((market, instrument)) != wanted_deltas:
                problems.append(f"deltas of {market} {instrument}: {len(deltas.get((market, instrument), []))} stored,"
                                f" {len(wanted_deltas)} expected, or their content or order differs")
        counts[market] = collections.Counter(d[0] for ds in e.deltas.values() for d in ds)
    print({market: {"snapshots": c[1], "deltas": c[0]} for market, c in counts.items()}, len(wanted), "trades")

    for table in ("data_gaps", "rejected_messages"):
        if clickhouse.value(f"SELECT count() FROM {DATABASE}.{table}") != "0":
            problems.append(f"{table}: {clickhouse.rows(f'SELECT * FROM {DATABASE}.{table} LIMIT 3')}")
    crossed = clickhouse.value(f"SELECT count() FROM {DATABASE}.orderbooks WHERE bids[1].1 >= asks[1].1")
    if crossed != "0":
        problems.append(f"{crossed} crossed books")
    rebuilt, held = rebuilt_books(clickhouse, DATABASE), held_books(final_books)
    if not held or rebuilt != held:
        problems.append(f"books rebuilt from the deltas differ from those that the collector held: "
                        f"{[k for k in held if rebuilt.get(k) != held[k]]} of {len(held)}")
    return problems


def counts_of(clickhouse):
    tables = clickhouse.query(f"SHOW TABLES FROM {DATABASE}").split()
    return {t: clickhouse.value(f"SELECT count() FROM {DATABASE}.{t}") for t in tables
            if t in ("trades", "orderbook_deltas", "orderbooks", "data_gaps", "instruments", "rejected_messages")}


def play(binary, data, captures):
    arguments = [word for path in captures for word in ("--capture", path)]
    books = os.path.join(data, "final-books.jsonl")
    system = System(binary, *arguments, "--speed", "10", "--exit-when-done", "--final-books", books, data=data)
    status = system.wait(180)
    print(system.output()[-1500:])
    assert status == 0, f"exit status {status}"
    return read_lines(books)


def one_after_the_other(binary, usdm, spot, expected):
    """First one, then both; then once more into the same ClickHouse, but with NATS's store and the journals gone."""
    data = tempfile.mkdtemp(prefix="mp-capture-")
    problems = []
    for step, files in enumerate(([spot], [usdm, spot], [spot, usdm])):
        if step == 2:
            for part in ("nats", "journal"):
                shutil.rmtree(os.path.join(data, part))
        play(binary, data, files)
        with StoredData(binary, data) as clickhouse:
            counts = counts_of(clickhouse)
        if step > 0 and counts != expected:
            problems.append(f"played in step {step}, {files}: {counts}, expected {expected}")
    if not problems:
        shutil.rmtree(data)
    return problems


def same_source_twice(binary, usdm, counts):
    """Two recordings of one venue's market: played one after the other, each as if alone."""
    data = tempfile.mkdtemp(prefix="mp-capture-")
    later = os.path.join(data, "an hour later.jsonl")
    with open(usdm) as file, open(later, "w") as out:
        for line in file:
            record = json.loads(line, parse_float=decimal.Decimal)
            shifted = str(record["t"] + 3600)
            out.write(line.replace(f'"t": {record["t"]}', f'"t": {shifted}', 1).replace(f'"t":{record["t"]}', f'"t":{shifted}', 1))
    play(binary, data, [usdm])
    with StoredData(binary, data) as clickhouse:
        alone = counts_of(clickhouse)
    final_books = play(binary, data, [later, usdm])
    problems = []
    with StoredData(binary, data) as clickhouse:
        both = counts_of(clickhouse)
        for table in ("trades", "orderbook_deltas", "data_gaps", "rejected_messages"):
            if int(both[table]) != 2 * int(alone[table]):
                problems.append(f"two recordings of one source: {both[table]} {table}, {alone[table]} of one alone")
        held = held_books(final_books)
        if rebuilt_books(clickhouse, DATABASE) != held:
            problems.append("two recordings of one source: the books differ from those held")
    if not problems:
        shutil.rmtree(data)
    return problems


def main():
    binary, folder = sys.argv[1:3]
    usdm, spot = (os.path.join(folder, name) for name in ("binance_usdm.jsonl", "binance_spot.jsonl"))
    if not os.path.exists(usdm):
        skip(f"no captures in {folder}")
    expected = {"perpetual": Expectation(usdm, True), "spot": Expectation(spot, False)}
    data = tempfile.mkdtemp(prefix="mp-capture-")
    final_books = play(binary, data, [usdm, spot])
    with StoredData(binary, data) as clickhouse:
        problems = check(clickhouse, expected, final_books)
        before = counts_of(clickhouse)
    for again in ([spot, usdm], [usdm], [spot]):  # neither their order nor a part of them makes a difference
        play(binary, data, again)
        with StoredData(binary, data) as clickhouse:
            after = counts_of(clickhouse)
            problems += check(clickhouse, expected, final_books)
        if before != after:
            problems.append(f"playing {again} again changed the tables: {before} -> {after}")
    problems += one_after_the_other(binary, usdm, spot, before)
    problems += same_source_twice(binary, usdm, before)
    for problem in problems:
        print("FAILED", problem)
    if not problems:
        shutil.rmtree(data)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
