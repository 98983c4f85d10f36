// Reads what MarketPrism stored: candles, books, gaps, and all trades of an instrument as a stream, without losing a digit.
//
//   node read_clickhouse.mjs [--exchange binance] [--market-type perpetual] [--symbol BTC-USDT]
//
// Environment: CLICKHOUSE_URL, CLICKHOUSE_DB, CLICKHOUSE_USER, CLICKHOUSE_PASSWORD.
import { parseArgs } from 'node:util'
import { createClient } from '@clickhouse/client'
import Big from 'big.js'

const { values: options } = parseArgs({
  options: {
    exchange: { type: 'string', default: 'binance' },
    'market-type': { type: 'string', default: 'perpetual' },
    symbol: { type: 'string', default: 'BTC-USDT' },
  },
})
const query_params = { exchange: options.exchange, market_type: options['market-type'], symbol: options.symbol }
const instrument = 'exchange = {exchange:String} AND market_type = {market_type:String} AND symbol = {symbol:String}'

const client = createClient({
  url: process.env.CLICKHOUSE_URL ?? 'http://127.0.0.1:8123',
  database: process.env.CLICKHOUSE_DB ?? 'marketprism_sim_hot',
  username: process.env.CLICKHOUSE_USER ?? 'default',
  password: process.env.CLICKHOUSE_PASSWORD ?? '',
  // JSON numbers are floats in JavaScript: decimals and 64-bit integers come as strings.
  clickhouse_settings: { output_format_json_quote_decimals: 1, output_format_json_quote_64bit_integers: 1 },
})
const rows = async (query) => (await client.query({ query, query_params, format: 'JSONEachRow' })).json()

console.log('candles of', ...Object.values(query_params))
for (const row of await rows(`SELECT formatDateTime(minute, '%H:%i') AS at, open, high, low, close, volume FROM ohlcv_1m
                              WHERE ${instrument} AND minute > now() - INTERVAL 1 HOUR ORDER BY minute`)) {
  console.log(' ', ...Object.values(row))
}

// Times keep their nanoseconds as text, or as BigInt(row.nanoseconds).
const [book] = await rows(`SELECT toUnixTimestamp64Nano(timestamp) AS nanoseconds, bids, asks FROM latest_orderbooks WHERE ${instrument}`)
if (book) {
  const [bid, ask] = [book.bids[0], book.asks[0]]
  console.log(`book at ${BigInt(book.nanoseconds)} ns: bid ${bid.quantity} @ ${bid.price}, ask ${ask.quantity} @ ${ask.price}`)
}

let count = 0
let turnover = Big(0)
const trades = await client.query({
  query: `SELECT timestamp, price, quantity, quantity_unit, side FROM trades WHERE ${instrument}
          ORDER BY timestamp, bus_stream, bus_sequence, bus_index`,
  query_params,
  format: 'JSONEachRow',
})
for await (const piece of trades.stream()) {
  for (const line of piece) {
    const trade = line.json()
    count += 1
    turnover = turnover.plus(trade.quantity_unit === 'quote' ? Big(trade.quantity) : Big(trade.price).times(trade.quantity))
  }
}
console.log(`trades: ${count}, turnover ${turnover.toFixed()}`)

for (const gap of await rows(`SELECT exchange, market_type, symbol, data_type, cause, state, gap_start, gap_end FROM gaps
                              WHERE cause NOT IN ('start', 'end') ORDER BY gap_start`)) {
  console.log('gap:', ...Object.values(gap))
}
await client.close()
