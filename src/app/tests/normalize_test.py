#!/usr/bin/env python3
"""`marketprism normalize` as a user sees it: its output compared with an independent reading of the same captures
(this script knows the venue's rules by itself and shares no code with the binary), and its manners on bad input.

usage: normalize_test.py PATH_OF_MARKETPRISM [CAPTURES_FOLDER]
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from datetime import datetime, timezone
from decimal import Decimal

BINARY = sys.argv[1]
CAPTURES = sys.argv[2] if len(sys.argv) > 2 else ""


def run(*args, stdin=b""):
    return subprocess.run([BINARY, "normalize", *args], input=stdin, capture_output=True, timeout=100)


def events_of(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def read(path):
    with open(path, "rb") as opened:
        return opened.read()


def plain(text):
    """A decimal without exponent and trailing zeros."""
    out = format(Decimal(text), "f")
    return out.rstrip("0").rstrip(".") if "." in out else out


def iso(nanoseconds):
    seconds, rest = divmod(nanoseconds, 10**9)
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S") + ".%09dZ" % rest


def levels(pairs):
    return [[plain(pair[0]), plain(pair[1])] for pair in pairs]


def expected(path, spot):
    """Trades and deltas of a capture without losses, by the venue's documented algorithm, in order of release."""
    out, books, waiting = [], {}, {}

    def delta(symbol, data, received, snapshot):
        if snapshot:
            time = data.get("T", data.get("E"))
            first = last = data["lastUpdateId"]
            bids, asks = data["bids"], data["asks"]
        else:
            time = data.get("T", data["E"])
            first, last, bids, asks = data["U"], data["u"], data["b"], data["a"]
        event = {"symbol": symbol, "received_at": iso(received),
                 "timestamp": iso(time * 10**6) if time else iso(received),
                 "first_update_id": first, "last_update_id": last, "bids": levels(bids), "asks": levels(asks),
                 "is_snapshot": snapshot}
        if "pu" in data:
            event["prev_update_id"] = data["pu"]
        out.append(event)

    def take(symbol, data, received):
        last, bridged = books[symbol]
        if spot:
            if data["u"] <= last:
                return
            assert data["U"] <= last + 1, (symbol, last, data["U"])
        elif bridged:
            assert data["pu"] == last, (symbol, last, data["pu"])
        else:
            if data["u"] < last:
                return
            assert data["U"] <= last or data["pu"] == last, (symbol, last, data["U"])
        books[symbol] = (data["u"], True)
        delta(symbol, data, received, False)

    for line in read(path).decode().splitlines():
        record = json.loads(line, parse_float=Decimal)
        received = int(record["t"] * 10**9)
        if record["dir"] != "recv":
            continue
        data = json.loads(record["raw"])
        if record["transport"] == "rest":
            if "/depth?" not in record["url"]:
                continue
            symbol = record["url"].split("symbol=")[1].split("&")[0]
            books[symbol] = (data["lastUpdateId"], False)
            delta(symbol, data, received, True)
            for earlier, when in waiting.pop(symbol, []):
                take(symbol, earlier, when)
            continue
        data = data["data"]
        if data.get("e") == "aggTrade":
            out.append({"symbol": data["s"], "received_at": iso(received), "timestamp": iso(data["T"] * 10**6),
                        "trade_id": str(data["a"]), "price": plain(data["p"]), "quantity": plain(data["q"]),
                        "side": "sell" if data["m"] else "buy", "is_maker": data["m"],
                        "first_trade_id": str(data["f"]), "last_trade_id": str(data["l"])})
        elif data.get("e") == "depthUpdate":
            if data["s"] in books:
                take(data["s"], data, received)
            else:
                waiting.setdefault(data["s"], []).append((data, received))
    return out


COMMON = ("type", "exchange", "market_type", "instrument", "data_source")
SPOT_INFO = json.dumps({"symbols": [{"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT"}]})
INFO_LINE = {"t": 1790000000.5, "dir": "recv", "transport": "rest",
             "url": "https://api.binance.com/api/v3/exchangeInfo", "raw": SPOT_INFO}


def trade_line(trade_id, second, **more):
    raw = json.dumps({"e": "aggTrade", "E": second * 1000, "s": "BTCUSDT", "a": trade_id, "p": "1.50", "q": "2", "f": 1,
                      "l": 1, "T": second * 1000, "m": True})
    return {"t": second, "dir": "recv", "transport": "ws", "url": "wss://stream.binance.com:9443/stream", "raw": raw, **more}


def text(*lines):
    return b"".join((line if isinstance(line, str) else json.dumps(line)).encode() + b"\n" for line in lines)


# The futures' other types, each from its own source: a stream or a poll of the capture.
USDM = "https://fapi.binance.com"
USDM_INFO = {"t": 1790000000.5, "dir": "recv", "transport": "rest", "url": USDM + "/fapi/v1/exchangeInfo",
             "raw": json.dumps({"symbols": [{"symbol": "BTCUSDT", "status": "TRADING", "contractType": "PERPETUAL",
                                             "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT"}]})}


def usdm_rest(second, path, answer):
    return {"t": second, "dir": "recv", "transport": "rest", "url": USDM + path, "raw": json.dumps(answer)}


def usdm_frame(second, data):
    return {"t": second, "dir": "recv", "transport": "ws", "url": "wss://fstream.binance.com/market/stream",
            "raw": json.dumps({"stream": "x", "data": data})}


def ratio(long, short, quotient, second):
    return {"symbol": "BTCUSDT", "longShortRatio": quotient, "longAccount": long, "shortAccount": short,
            "timestamp": second * 1000}


class FuturesStatistics(unittest.TestCase):
    def setUp(self):
        mark = {"e": "markPriceUpdate", "E": 1790000001000, "s": "BTCUSDT", "st": 1, "p": "64251.10", "i": "64249.88",
                "P": "1", "r": "0.00010000", "T": 1790006400000}
        order = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "63910.00", "ap": "64010.20",
                 "X": "FILLED", "l": "0.014", "z": "0.014", "T": 1790000002000}
        self.lines = [
            USDM_INFO,
            usdm_rest(1790000000.6, "/fapi/v1/fundingInfo", []),
            usdm_frame(1790000001.1, mark), usdm_frame(1790000004.1, {**mark, "E": 1790000004000}),
            usdm_frame(1790000005, {"e": "forceOrder", "E": 1790000002001, "o": order, "st": 1}),
            usdm_frame(1790000005.5, {"e": "forceOrder", "E": 1790000002002, "o": order, "st": 1}),
            usdm_rest(1790000006, "/fapi/v1/openInterest?symbol=BTCUSDT",
                      {"openInterest": "10659.5090", "symbol": "BTCUSDT", "time": 1790000005000}),
            usdm_rest(1790000007, "/fapi/v1/fundingRate?symbol=BTCUSDT&limit=2",
                      [{"symbol": "BTCUSDT", "fundingRate": "-1.25E-4", "fundingTime": 1789977600000, "markPrice": ""}]),
            usdm_rest(1790000008, "/futures/data/topLongShortPositionRatio?symbol=BTCUSDT&period=5m",
                      [ratio("0.5892", "0.4108", "1.4342", 1789999800)]),
            usdm_rest(1790000009, "/futures/data/globalLongShortAccountRatio?symbol=BTCUSDT&period=15m",
                      [ratio("0.4670", "0.5330", "0.8762", 1789999200)]),
            usdm_rest(1790000010, "/futures/data/topLongShortAccountRatio?symbol=BTCUSDT&period=5m",
                      [ratio("0.6779", "0.3221", "2.1046", 1789999800)])]

    def test_each_type_is_decoded_from_its_own_source(self):
        result = run("--exchange", "binance", "--market", "derivatives", stdin=text(*self.lines))
        self.assertEqual(result.returncode, 0, result.stderr)
        got = [{key: value for key, value in event.items() if key not in (*COMMON[1:], "symbol", "received_at")}
               for event in events_of(result) if event["type"] != "instrument"]
        sixteen = "2026-09-21T16:00:00.000000000Z"
        funding = {"type": "funding_rate", "funding_rate": "0.0001", "funding_time": sixteen, "mark_price": "64251.1",
                   "index_price": "64249.88", "funding_interval_hours": "8", "is_settled": False}
        self.assertEqual(got, [
            {**funding, "timestamp": iso(1790000001 * 10**9)},
            {**funding, "timestamp": iso(1790000004 * 10**9)},
            {"type": "liquidation", "timestamp": iso(1790000002 * 10**9), "side": "sell", "price": "63910",
             "average_price": "64010.2", "quantity": "0.014", "filled_quantity": "0.014", "status": "FILLED",
             "coverage": "sampled"},
            {"type": "open_interest", "timestamp": iso(1790000005 * 10**9), "open_interest": "10659.509"},
            {"type": "funding_rate", "timestamp": iso(1789977600 * 10**9), "funding_rate": "-0.000125",
             "funding_time": iso(1789977600 * 10**9), "is_settled": True},
            {"type": "lsr_top_position", "timestamp": iso(1789999800 * 10**9), "long_position_ratio": "0.5892",
             "short_position_ratio": "0.4108", "long_short_ratio": "1.4342", "period": "5m"},
            {"type": "lsr_all_account", "timestamp": iso(1789999200 * 10**9), "long_account_ratio": "0.467",
             "short_account_ratio": "0.533", "long_short_ratio": "0.8762", "period": "15m"}])

    def test_the_same_lines_again_write_no_row_of_a_poll_twice(self):
        again = run("--exchange", "binance", "--market", "derivatives", stdin=text(*self.lines, *self.lines[6:]))
        once = run("--exchange", "binance", "--market", "derivatives", stdin=text(*self.lines))
        self.assertEqual(again.stdout, once.stdout)


class Captures(unittest.TestCase):
    def compare(self, name, market):
        path = os.path.join(CAPTURES, name)
        if not CAPTURES or not os.path.exists(path):
            self.skipTest(f"no capture at {path}")
        result = run("--exchange", "binance", "--market", market, path)
        self.assertEqual(result.returncode, 0, result.stderr)
        got = events_of(result)
        self.assertFalse([event for event in got if event["type"] in ("gap", "rejected", "orderbook")])
        want = expected(path, market == "spot")
        have = []
        for event in got:
            if event["type"] == "instrument":
                continue
            self.assertEqual(event["exchange"], "binance")
            self.assertEqual(event["data_source"], "replay")
            self.assertEqual(event["symbol"].replace("-", ""), event["instrument"])
            slim = {key: value for key, value in event.items() if key not in COMMON}
            slim["symbol"] = event["instrument"]
            have.append(slim)
        self.assertEqual(len(have), len(want))
        for index, (one, other) in enumerate(zip(have, want)):
            self.assertEqual(one, other, f"event {index}")
        again = run("--exchange", "binance", "--market", market, path)
        self.assertEqual(again.stdout, result.stdout, "the same input gives the same bytes")
        piped = run("--exchange", "binance", "--market", market, stdin=read(path))
        self.assertEqual(piped.stdout, result.stdout, "standard input is as good as a file")
        return result

    def test_spot(self):
        result = self.compare("binance_spot.jsonl", "spot")
        self.assertIn(b"not mapped, bookTicker: 84", result.stderr)
        self.assertIn(b"not mapped, kline_1m: 2", result.stderr)

    def test_usdm(self):
        self.compare("binance_usdm.jsonl", "derivatives")

    def test_orderbooks_only_when_asked_for(self):
        path = os.path.join(CAPTURES, "binance_usdm.jsonl")
        if not CAPTURES or not os.path.exists(path):
            self.skipTest(f"no capture at {path}")
        books = [event for event in events_of(run("--exchange", "binance", "--market", "derivatives", "--orderbooks", path))
                 if event["type"] == "orderbook"]
        self.assertGreater(len(books), 300)
        last = {}
        for book in books:
            self.assertLess(Decimal(book["bids"][0][0]), Decimal(book["asks"][0][0]))
            self.assertLessEqual(len(book["bids"]), book["depth"])
            self.assertEqual(book["bids"], sorted(book["bids"], key=lambda level: -Decimal(level[0])))
            key = (book["symbol"], book["depth"])
            self.assertGreater(book["last_update_id"], last.get(key, 0), "only when changed")
            last[key] = book["last_update_id"]
        final = {event["symbol"]: event["last_update_id"]
                 for event in events_of(run("--exchange", "binance", "--market", "derivatives", path))
                 if event["type"] == "orderbook_delta"}
        for (symbol, _), update in last.items():
            self.assertEqual(update, final[symbol], "the last change is shown at the end of the input")


class Manners(unittest.TestCase):
    def spot(self, *args, stdin=b""):
        return run("--exchange", "binance", "--market", "spot", *args, stdin=stdin)

    def test_a_line_that_cannot_be_read_is_told_and_skipped(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "recording.jsonl")
            with open(path, "wb") as out:
                out.write(text(INFO_LINE, "{not json", trade_line(1, 1790000001)))
            result = self.spot(path)
        self.assertEqual(result.returncode, 0)
        self.assertIn(b"recording.jsonl", result.stderr)
        self.assertIn(b"line 2", result.stderr)
        self.assertEqual([event["type"] for event in events_of(result)], ["instrument", "trade"])

    def test_complaints_about_many_lines_are_few_and_then_a_count(self):
        result = self.spot(stdin=text(INFO_LINE, *["{not json"] * 25, trade_line(1, 1790000001)))
        self.assertEqual(result.stderr.count(b"standard input: "), 10)
        self.assertIn(b"lines refused: 25", result.stderr)
        self.assertEqual(result.returncode, 0)

    def test_a_byte_order_mark_in_front_of_a_file_is_skipped(self):
        result = self.spot(stdin=b"\xef\xbb\xbf" + text(INFO_LINE, trade_line(1, 1790000001)))
        self.assertEqual([event["type"] for event in events_of(result)], ["instrument", "trade"], result.stderr)
        self.assertNotIn(b"refused", result.stderr)

    def test_a_line_without_end_is_told_and_does_not_fill_the_memory(self):
        good = b'{"t":1,"dir":"recv","transport":"ws","url":"u","raw":"{}"}'
        with tempfile.NamedTemporaryFile() as file:
            for _ in range(1000):  # 1 GB
                file.write(b"z" * 1_000_000)
            file.write(b"\n" + good + b"\n\n" + good)
            file.flush()
            limit = 700_000  # kB of address space
            result = subprocess.run(["bash", "-c", f"ulimit -v {limit}; exec \"$@\"", "bash", BINARY, "normalize", "--exchange", "binance",
                                     "--market", "spot", file.name], capture_output=True, timeout=100)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(b"out of range: line 1: longer than the 67108864 bytes that a line may have", result.stderr)
        self.assertIn(b"lines read: 2\nlines refused: 1\n", result.stderr)

    def test_lines_of_every_length_are_read_whole(self):
        lines = [b'{"t":1,"dir":"recv","transport":"ws","url":"u","raw":"' + b"x" * n + b'"}'
                 for base in (65_535, 131_070, 196_605) for n in range(base - 60, base - 50)]
        for end in (b"\n", b"\r\n", b""):
            result = run("--exchange", "binance", "--market", "spot", stdin=(b"\n" if not end else end).join(lines) + end)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn(b"lines read: 30\n", result.stderr)
            self.assertNotIn(b"refused", result.stderr)
            self.assertEqual([len(each["raw"]) for each in events_of(result)], [len(json.loads(line)["raw"]) for line in lines])

    def test_a_folder_is_no_file(self):
        result = run("--exchange", "binance", "--market", "spot", tempfile.gettempdir())
        self.assertEqual(result.returncode, 1)
        self.assertIn(b" is a folder; name the files in it", result.stderr)

    def test_nothing_readable_is_a_failure(self):
        result = self.spot(stdin=b"nonsense\nmore\n")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"lines refused: 2", result.stderr)
        self.assertEqual(result.stdout, b"")

    def test_input_that_holds_nothing_of_ours_is_a_failure(self):
        result = self.spot(stdin=b"")
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"the input has no line", result.stderr)
        other = {**trade_line(2, 1790000002), "url": "wss://fstream.binance.com/market/stream"}
        result = self.spot(stdin=text(other, other))
        self.assertEqual(result.returncode, 1)
        self.assertIn(b"all 2 lines that could be read are of another exchange or market (the first: binance derivatives) than binance spot", result.stderr)

    def test_control_bytes_of_bad_input_do_not_reach_the_terminal(self):
        result = self.spot(stdin=b"a\x1b[31mb\x07\n\xff\xfe\x9b31m\n")
        self.assertIn(rb"a\x1b[31mb\x07", result.stderr)
        self.assertFalse([byte for byte in result.stderr if byte < 0x20 and byte != 0x0a or byte >= 0x7f], result.stderr)

    def test_gaps_and_rejects_are_events(self):
        result = self.spot(stdin=text(INFO_LINE, trade_line(1, 1790000001), trade_line(4, 1790000002),
                                      {**trade_line(5, 1790000003), "raw": "{\"e\":"}))
        gap, rejected = [event for event in events_of(result) if event["type"] in ("gap", "rejected")]
        self.assertEqual((gap["data_type"], gap["last_id"], gap["next_id"], gap["cause"]), ("trade", "1", "4", "sequence"))
        self.assertEqual(rejected["raw"], "{\"e\":")

    def test_unknown_instruments_are_rejected_and_instruments_may_come_from_a_file(self):
        alone = self.spot(stdin=text(trade_line(1, 1790000001)))
        self.assertEqual([event["type"] for event in events_of(alone)], ["rejected"])
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "instruments.jsonl")
            with open(path, "wb") as out:
                out.write(text(INFO_LINE, trade_line(99, 1790000000)))
            result = self.spot("--instruments", path, stdin=text(trade_line(1, 1790000001)))
        self.assertEqual([event["type"] for event in events_of(result)], ["instrument", "trade"])

    def test_receive_time_is_exact(self):
        line = json.dumps(trade_line(1, 1790000001)).replace('"t": 1790000001', '"t": 1790000001.123456789')
        self.assertIn('"t": 1790000001.123456789', line)
        event = events_of(self.spot(stdin=text(INFO_LINE, line)))[-1]
        self.assertEqual(event["received_at"], "2026-09-21T14:13:21.123456789Z")

    def test_other_venues_lines_are_counted(self):
        other = {**trade_line(2, 1790000002), "url": "wss://fstream.binance.com/market/stream"}
        result = self.spot(stdin=text(INFO_LINE, trade_line(1, 1790000001), other))
        self.assertIn(b"of another exchange or market, skipped: 1", result.stderr)
        self.assertEqual(len(events_of(result)), 2)

    def test_usage(self):
        for args, hint in ((["--exchange", "binanse", "--market", "spot"], b"did you mean binance?"),
                           (["--exchange", "binance", "--market", "sput"], b"did you mean 'spot'?"),
                           (["--exchange", "binance"], b"spot or derivatives"),
                           (["--exchnge", "binance"], b"did you mean --exchange?")):
            result = run(*args)
            self.assertEqual(result.returncode, 2, args)
            self.assertIn(hint, result.stderr)
        missing = self.spot("/nowhere/at/all.jsonl")
        self.assertEqual(missing.returncode, 1)
        self.assertIn(b"/nowhere/at/all.jsonl", missing.stderr)
        self.assertEqual(run("--help").returncode, 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
