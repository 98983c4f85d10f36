"""Reads the project's documents, for the tests that compare them with each other and with the program."""

import os
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
SCHEMA = ROOT / "services" / "data-storage-service" / "config" / "clickhouse_schema.sql"
SKIPPED = 77  # what ctest takes for "skipped"


def skip(reason):
    if os.environ.get("CI") == "true" or os.environ.get("MARKETPRISM_REQUIRE_DEPS") == "1":
        sys.exit(f"FAILED: {reason} (and it is required here)")
    print("skipped:", reason)
    sys.exit(SKIPPED)


def sections(text, level="##"):
    """{heading: text up to the next heading of this level or above}, in order."""
    parts = re.split(rf"^#{{1,{len(level)}}} (.+)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def tables(text):
    """[(header cells, [row cells])] of the Markdown tables."""
    found, block = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            block.append([cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")])
        elif block:
            found.append((block[0], block[2:]))
            block = []
    return found


def unquoted(cell):
    return cell.strip("`")
