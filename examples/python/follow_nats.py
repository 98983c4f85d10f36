#!/usr/bin/env python3
"""Follows a subject of MarketPrism's stream and prints each event as one JSON line, with its place on the bus: the same three
values as the columns bus_stream, bus_sequence and bus_index of its row in ClickHouse. Trades are added up exactly.

    follow_nats.py 'trade-data.binance.*.BTC-USDT'
    follow_nats.py --from-start --count 1000 'orderbook-delta-data.okx.perpetual.BTC-USDT'

Environment: NATS_URL, NATS_STREAM."""

import argparse
import asyncio
import decimal
import json
import os
import sys

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy

from marketprism_events import events_of

# A product of two prices or quantities has up to 76 digits; the usual 28 would round.
decimal.getcontext().prec = 100


async def follow(options):
    client = await nats.connect(os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), max_reconnect_attempts=-1)
    jetstream = client.jetstream()
    stream = os.environ.get("NATS_STREAM", "MARKET_DATA")
    created = (await jetstream.stream_info(stream)).created
    policy = DeliverPolicy.ALL if options.from_start else DeliverPolicy.NEW
    subscription = await jetstream.subscribe(options.subject, stream=stream, ordered_consumer=True,
                                             config=ConsumerConfig(deliver_policy=policy))
    events, turnover = 0, {}
    async for message in subscription.messages:
        sequence = message.metadata.sequence.stream
        for index, event in enumerate(events_of(message.data, message.headers)):
            print(json.dumps({"bus_sequence": sequence, "bus_index": index, "event": event}), flush=True)
            if event["type"] == "trade":
                name = f"{event['exchange']} {event['market_type']} {event['symbol']}"
                price, quantity = decimal.Decimal(event["price"]), decimal.Decimal(event["quantity"])
                # The quantity of an inverse contract is money already.
                value = quantity if event.get("quantity_unit") == "quote" else price * quantity
                turnover[name] = turnover.get(name, decimal.Decimal(0)) + value
            events += 1
            if events == options.count:
                break
        if events == options.count:
            break
    for name, value in sorted(turnover.items()):
        print(f"turnover of {name}: {value.normalize():f}", file=sys.stderr)
    print(f"{events} events of stream {stream}, created {created}", file=sys.stderr)
    await client.close()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("subject", help="with * for one token and > for the rest")
    arguments.add_argument("--from-start", action="store_true", help="what the stream still holds, not only what is new")
    arguments.add_argument("--count", type=int, default=-1, help="end after so many events; default: never")
    try:
        asyncio.run(follow(arguments.parse_args()))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
