#!/usr/bin/env python3
"""docs/data.md says of every table and column what the schema has, with its type, and of every data type of every venue
where it comes from: no more, no less.

usage: data_test.py MARKETPRISM"""

import json
import re
import subprocess
import sys
import unittest

from documents import DOCS, SCHEMA, sections, tables, unquoted

DATA = sections((DOCS / "data.md").read_text())
COMMON = sections((DOCS / "data.md").read_text(), "###")
BUS = "Where it stood on the bus"
ABOUT = "What a row is about"
# Not of the bus.
HOUSEKEEPING = {"schema_migrations"}
NO_TABLES = {"Common columns", "Views"}
# Where a data type's rows are; the other tables are reports about data.
TABLE_OF = {"orderbook": "orderbooks", "orderbook_delta": "orderbook_deltas", "trade": "trades", "funding_rate": "funding_rates",
            "open_interest": "open_interests", "liquidation": "liquidations", "lsr_top_position": "lsr_top_positions",
            "lsr_all_account": "lsr_all_accounts", "volatility_index": "volatility_indices"}
# Explained among the common columns.
NAMES = {"exchange", "market_type", "symbol", "instrument", "data_source"}
COLUMN_HEADER = ["column", "type", "unit", "meaning"]
SOURCE_HEADER = ["venue", "market", "source", "to know"]


def schema_tables():
    """{table of marketprism_hot: {column: type}}."""
    found = {}
    for name, body in re.findall(r"^CREATE TABLE IF NOT EXISTS marketprism_hot\.(\w+)\n\((.*?)^\)", SCHEMA.read_text(), re.M | re.S):
        columns = {}
        for line in body.strip().splitlines():
            line = line.strip().rstrip(",")
            if line.startswith("INDEX ") or line.startswith("--"):
                continue
            column, rest = line.split(None, 1)
            columns[column] = re.split(r" (?:CODEC|DEFAULT|ALIAS|MATERIALIZED)\b", rest)[0].strip()
        found[name] = columns
    return found


def documented_columns(text):
    """{column: type} of the tables of columns in this text; each with a meaning or a unit."""
    columns = {}
    for header, rows in tables(text):
        if header != COLUMN_HEADER:
            continue
        for row in rows:
            assert len(row) == 4, row
            name = unquoted(row[0])
            assert name not in columns, f"{name} is there twice"
            columns[name] = unquoted(row[1])
            assert row[2] or row[3] or name in NAMES, f"{name}: neither unit nor meaning"
    return columns


def documented_sources(text):
    """[(venue, market)] of the table of sources; market '' where the venue has one."""
    found = []
    for header, rows in tables(text):
        if header == SOURCE_HEADER:
            for venue, market, source, to_know in rows:
                assert source and to_know, f"{venue} {market}: source or caveat is missing"
                found.append((venue, "" if market == "-" else market))
    return found


class Columns(unittest.TestCase):
    def test_the_schema_was_read(self):
        found = schema_tables()
        self.assertGreaterEqual(len(found), 12)
        self.assertEqual(found["trades"]["price"], "Decimal(38, 12)")
        self.assertIn("price Decimal(38, 12)", found["orderbooks"]["bids"])
        self.assertEqual(found["trades"]["base_quantity"], "Decimal(38, 12)")

    def test_every_table_has_its_section_and_nothing_else(self):
        described = {name for name in DATA if name not in NO_TABLES and re.fullmatch(r"[a-z_]+", name)}
        self.assertEqual(described, set(schema_tables()))

    def test_columns_and_types_are_those_of_the_schema(self):
        for table, columns in schema_tables().items():
            with self.subTest(table=table):
                documented = documented_columns(DATA[table])
                if table not in HOUSEKEEPING:
                    documented |= documented_columns(COMMON[BUS])
                if table in TABLE_OF.values():
                    documented |= documented_columns(COMMON[ABOUT])
                self.assertEqual(documented, columns)

    def test_no_column_is_described_twice(self):
        for table in schema_tables():
            common = set() if table in HOUSEKEEPING else set(documented_columns(COMMON[BUS]))
            if table in TABLE_OF.values():
                common |= set(documented_columns(COMMON[ABOUT]))
            self.assertFalse(common & set(documented_columns(DATA[table])), table)

    def test_every_view_is_described(self):
        views = set(re.findall(r"^CREATE OR REPLACE VIEW marketprism_hot\.(\w+)", SCHEMA.read_text(), re.M))
        ((_, rows),) = tables(DATA["Views"])
        self.assertEqual({unquoted(row[0]) for row in rows}, views)

    def test_databases_are_those_of_the_schema(self):
        text = (DOCS / "data.md").read_text()
        for database in re.findall(r"^CREATE DATABASE IF NOT EXISTS (\w+)", SCHEMA.read_text(), re.M):
            self.assertIn(f"| `{database}` |", text)


class Sources(unittest.TestCase):
    def test_every_data_type_of_every_venue_has_its_source(self):
        offered = json.loads(subprocess.run([PROGRAM, "exchanges", "--json"], check=True, capture_output=True, text=True).stdout)
        self.assertTrue(offered)
        for data_type, table in TABLE_OF.items():
            with self.subTest(table=table):
                wanted = [(o["exchange"], o["market"]) for o in offered if data_type in o["data_types"]]
                self.assertEqual(sorted(documented_sources(DATA[table])), sorted(wanted))

    def test_the_table_says_the_same_as_json(self):
        def ask(*options):
            return subprocess.run([PROGRAM, "exchanges", *options], check=True, capture_output=True, text=True).stdout
        shown = [line.split() for line in ask().splitlines()[1:]]
        self.assertEqual(shown, [[o["exchange"], o["market"] or "-", *o["data_types"]] for o in json.loads(ask("--json"))])


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
