#!/usr/bin/env python3
"""Reads what MarketPrism stored: candles, books, gaps, and all trades of an instrument as a stream, without losing a digit.

    read_clickhouse.py [--exchange binance] [--market-type perpetual] [--symbol BTC-USDT]

Environment: CLICKHOUSE_URL, CLICKHOUSE_DB, CLICKHOUSE_USER, CLICKHOUSE_PASSWORD."""

import argparse
import decimal
import os
import urllib.parse

import clickhouse_connect

# A product of two prices or quantities has up to 76 digits; the usual 28 would round.
decimal.getcontext().prec = 100
# Python's datetime ends at microseconds: times are taken as integer nanoseconds since 1970.
EXACT = {"DateTime64": "int"}


def connect():
    url = urllib.parse.urlsplit(os.environ.get("CLICKHOUSE_URL", "http://127.0.0.1:8123"))
    return clickhouse_connect.get_client(
        host=url.hostname, port=url.port or 0, secure=url.scheme == "https",
        database=os.environ.get("CLICKHOUSE_DB", "marketprism_sim_hot"),
        username=os.environ.get("CLICKHOUSE_USER", "default"),
        password=os.environ.get("CLICKHOUSE_PASSWORD", ""))


def candles(client, instrument):
    return client.query(
        "SELECT minute, open, high, low, close, volume FROM ohlcv_1m WHERE exchange = {exchange:String} AND market_type = {market_type:String}"
        " AND symbol = {symbol:String} AND minute > now() - INTERVAL 1 HOUR ORDER BY minute", parameters=instrument).named_results()


def newest_book(client, instrument):
    """(nanoseconds, bids, asks); each level is (price, quantity) in Decimals, best first. None when there is no book."""
    rows = client.query(
        "SELECT timestamp, arrayMap(l -> (l.1, l.2), bids), arrayMap(l -> (l.1, l.2), asks) FROM latest_orderbooks"
        " WHERE exchange = {exchange:String} AND market_type = {market_type:String} AND symbol = {symbol:String}",
        parameters=instrument, query_formats=EXACT).result_rows
    return rows[0] if rows else None


def trades(client, instrument):
    """Row by row, however many there are."""
    with client.query_rows_stream(
            "SELECT timestamp, price, quantity, quantity_unit, side FROM trades WHERE exchange = {exchange:String}"
            " AND market_type = {market_type:String} AND symbol = {symbol:String} ORDER BY timestamp, bus_stream, bus_sequence, bus_index",
            parameters=instrument, query_formats=EXACT) as rows:
        yield from rows


def gaps(client):
    return client.query("SELECT exchange, market_type, symbol, data_type, cause, state, gap_start, gap_end FROM gaps"
                        " WHERE cause NOT IN ('start', 'end') ORDER BY gap_start").named_results()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--exchange", default="binance")
    arguments.add_argument("--market-type", default="perpetual")
    arguments.add_argument("--symbol", default="BTC-USDT")
    instrument = vars(arguments.parse_args())
    client = connect()
    print("candles of", *instrument.values())
    for row in candles(client, instrument):
        print(f"  {row['minute']:%H:%M}", *(f"{row[column].normalize():f}" for column in ("open", "high", "low", "close", "volume")))
    book = newest_book(client, instrument)
    if book:
        nanoseconds, bids, asks = book
        print(f"book at {nanoseconds} ns: bid {bids[0][1].normalize():f} @ {bids[0][0].normalize():f},"
              f" ask {asks[0][1].normalize():f} @ {asks[0][0].normalize():f}")
    count, turnover = 0, decimal.Decimal(0)
    for _, price, quantity, unit, _ in trades(client, instrument):
        count += 1
        turnover += quantity if unit == "quote" else price * quantity
    print(f"trades: {count}, turnover {turnover.normalize():f}")
    for gap in gaps(client):
        print("gap:", *gap.values())
    client.close()


if __name__ == "__main__":
    main()
