// Follows a subject of MarketPrism's stream and prints each event as one JSON line, with its place on the bus: the same values as
// the columns bus_sequence and bus_index of its row in ClickHouse. Trades are added up exactly.
//
//   node follow_nats.mjs 'trade-data.binance.*.BTC-USDT'
//   node follow_nats.mjs --from-start --count 1000 'orderbook-delta-data.okx.perpetual.BTC-USDT'
//
// Environment: NATS_URL, NATS_STREAM.
import { parseArgs } from 'node:util'
import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import Big from 'big.js'
import { eventsOf } from './marketprism_events.mjs'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'from-start': { type: 'boolean', default: false }, count: { type: 'string', default: '-1' } },
})
if (positionals.length !== 1) {
  console.error('usage: node follow_nats.mjs [--from-start] [--count N] SUBJECT')
  process.exit(2)
}
const wanted = Number(options.count)

const client = await connect({ servers: process.env.NATS_URL ?? 'nats://127.0.0.1:4222', maxReconnectAttempts: -1 })
const stream = process.env.NATS_STREAM ?? 'MARKET_DATA'
const { created } = await (await jetstreamManager(client)).streams.info(stream)
// Without a name: an ordered consumer.
const consumer = await jetstream(client).consumers.get(stream, {
  filter_subjects: positionals[0],
  deliver_policy: options['from-start'] ? DeliverPolicy.All : DeliverPolicy.New,
})
const messages = await consumer.consume()

let events = 0
const turnover = new Map()

function take(event) {
  if (event.type !== 'trade') return
  const name = `${event.exchange} ${event.market_type} ${event.symbol}`
  // The quantity of an inverse contract is money already.
  const value = event.quantity_unit === 'quote' ? Big(event.quantity) : Big(event.price).times(event.quantity)
  turnover.set(name, (turnover.get(name) ?? Big(0)).plus(value))
}

reading: for await (const message of messages) {
  for (const [index, event] of eventsOf(message.data, message.headers).entries()) {
    console.log(JSON.stringify({ bus_sequence: message.seq, bus_index: index, event }))
    take(event)
    if (++events === wanted) break reading
  }
}
for (const [name, value] of [...turnover].sort()) console.error(`turnover of ${name}: ${value.toFixed()}`)
console.error(`${events} events of stream ${stream}, created ${created}`)
await client.close()
