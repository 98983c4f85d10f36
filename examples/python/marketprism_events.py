"""A message of MarketPrism's stream to events. Needs the package zstandard."""

import json

import zstandard

# What MarketPrism itself takes; a message that claims more is damaged.
LARGEST_UNPACKED = 64 << 20


def lines_of(payload, headers):
    """The lines of a message, as bytes; headers may be None."""
    encoding = (headers or {}).get("MP-Encoding")
    if encoding == "zstd":
        size = zstandard.frame_content_size(payload)
        if not 0 <= size <= LARGEST_UNPACKED:
            raise ValueError(f"a compressed message of {size} bytes, at most {LARGEST_UNPACKED} are taken")
        payload = zstandard.ZstdDecompressor().decompress(payload)
    elif encoding:
        raise ValueError(f"MP-Encoding is {encoding!r}, only zstd is known: update this reader")
    return [line for line in payload.split(b"\n") if line]


def events_of(payload, headers):
    """The events of a message. Prices and quantities are strings: give them to decimal.Decimal, never to float."""
    return [json.loads(line) for line in lines_of(payload, headers)]
