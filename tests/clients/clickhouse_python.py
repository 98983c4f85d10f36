"""The official Python client (clickhouse-connect), unchanged, against the embedded ClickHouse. Arguments: host, port, user,
password. Run by clients_test.py in a virtual environment where it is installed."""
import datetime
import decimal
import sys

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError

host, port, user, password = sys.argv[1:5]
D = decimal.Decimal


def connect(**options):
    return clickhouse_connect.get_client(host=host, port=int(port), username=user, password=password, **options)


def ping(client):
    assert client.ping()
    assert client.server_version.startswith("26.")


def create(client):
    client.command("CREATE DATABASE IF NOT EXISTS py")
    client.command("CREATE OR REPLACE TABLE py.trades (id UInt64, symbol String, price Decimal(38, 12), at DateTime64(9, 'UTC')) "
                   "ENGINE = MergeTree ORDER BY id")


def insert_native(client):
    at = datetime.datetime(2026, 11, 22, 17, 44, 30, 123000, tzinfo=datetime.timezone.utc)
    summary = client.insert("py.trades", [[1, "BTC-USDT", D("65000.1"), at], [2, "ETH-USDT", D("0.00000123"), at]],
                            column_names=["id", "symbol", "price", "at"])
    assert summary.written_rows == 2, summary.summary


def insert_large(client):
    at = datetime.datetime(2026, 11, 22, tzinfo=datetime.timezone.utc)
    client.insert("py.trades", [[i, f"S{i}", D(i), at] for i in range(100, 20100)], column_names=["id", "symbol", "price", "at"])


def insert_raw(client):
    client.raw_insert("py.trades", insert_block=b'{"id": 10, "symbol": "x", "price": "2.5", "at": "2026-11-22 00:00:00"}\n', fmt="JSONEachRow")
    row = (11).to_bytes(8, "little") + b"\x01y" + (3 * 10**12).to_bytes(16, "little") + (10**9).to_bytes(8, "little")
    client.raw_insert("py.trades", insert_block=row, fmt="RowBinary")
    rows = client.query("SELECT id, symbol, price FROM py.trades WHERE id IN (10, 11) ORDER BY id").result_rows
    assert rows == [(10, "x", D("2.5")), (11, "y", D(3))], rows


def select(client):
    assert client.query("SELECT count(), max(id) FROM py.trades").result_rows == [(20004, 20099)]
    rows = client.query("SELECT id, symbol, price, at FROM py.trades WHERE id < 10 ORDER BY id").result_rows
    assert rows[1][:3] == (2, "ETH-USDT", D("0.00000123")), rows
    assert client.command("SELECT 42") == 42
    assert client.raw_query("SELECT 1 AS x", fmt="JSONEachRow") == b'{"x":1}\n'


def select_stream(client):
    with client.query_rows_stream("SELECT id FROM py.trades ORDER BY id") as rows:
        ids = [row[0] for row in rows]
    assert len(ids) == 20004 and ids == sorted(ids)


def parameters(client):
    rows = client.query("SELECT symbol FROM py.trades WHERE symbol = {s:String} AND id IN {ids:Array(UInt64)}",
                        parameters={"s": "ETH-USDT", "ids": [1, 2]}).result_rows
    assert rows == [("ETH-USDT",)], rows
    odd = "it's \\ \n \t \"odd\""
    assert client.query("SELECT {s:String}", parameters={"s": odd}).result_rows == [(odd,)]


def settings(client):
    assert client.query("SELECT toString(getSetting('max_block_size'))", settings={"max_block_size": 77}).result_rows == [("77",)]


def temporary_table_of_the_session(client):
    client.command("CREATE TEMPORARY TABLE mine (x UInt8)")
    client.insert("mine", [[5]], column_names=["x"], column_type_names=["UInt8"])
    assert client.query("SELECT x FROM mine").result_rows == [(5,)]


def compression(client):
    for coding in ("lz4", "zstd", "gzip"):
        compressed = connect(compress=coding)
        at = datetime.datetime(2026, 11, 22, tzinfo=datetime.timezone.utc)
        compressed.insert("py.trades", [[30000 + i, coding, D(1), at] for i in range(1000)], column_names=["id", "symbol", "price", "at"])
        assert compressed.query("SELECT count() FROM py.trades WHERE symbol = {c:String}", parameters={"c": coding}).result_rows == [(1000,)]
        compressed.close()


def expect_error(what, *parts):
    try:
        what()
    except DatabaseError as error:
        for part in parts:
            assert part in str(error), f"{part} is not in {error}"
    else:
        raise AssertionError(f"no error with {parts}")


def errors(client):
    expect_error(lambda: client.query("SELECT * FROM py.nothing"), "60", "UNKNOWN_TABLE")
    expect_error(lambda: client.command("SELEC 1"), "62", "SYNTAX_ERROR")
    expect_error(lambda: client.query("SELECT throwIf(number = 500000) FROM numbers(1000000)", settings={"max_block_size": 1000}), "throwIf")


def wrong_password(client):
    expect_error(lambda: clickhouse_connect.get_client(host=host, port=int(port), username=user, password="wrong"),
                 "516", "AUTHENTICATION_FAILED")


the_client = connect()
for step in (ping, create, insert_native, insert_large, insert_raw, select, select_stream, parameters, settings,
             temporary_table_of_the_session, compression, errors, wrong_password):
    step(the_client)
    print("ok:", step.__name__, flush=True)
the_client.close()
