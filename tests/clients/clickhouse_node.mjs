// The official Node client, unchanged, against the embedded ClickHouse. Arguments: url, user, password.
// Run by clients_test.py from a folder where @clickhouse/client is installed.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { Readable } from 'node:stream'

const require = createRequire(process.cwd() + '/')
const { createClient, ClickHouseLogLevel } = require('@clickhouse/client')

const [url, username, password] = process.argv.slice(2)
// Errors that are expected below need no log lines.
const options = { url, username, password, log: { level: ClickHouseLogLevel.OFF } }

const steps = {
  async ping(client) {
    assert.deepEqual(await client.ping(), { success: true })
    assert.equal((await client.ping({ select: true })).success, true)
  },

  async create(client) {
    await client.command({ query: 'CREATE DATABASE IF NOT EXISTS node' })
    await client.command({
      query: `CREATE OR REPLACE TABLE node.trades (id UInt64, symbol String, price Decimal(38, 12), at DateTime64(9, 'UTC'))
              ENGINE = MergeTree ORDER BY id`,
      clickhouse_settings: { wait_end_of_query: 1 },
    })
  },

  async insert(client) {
    const { summary, query_id } = await client.insert({
      table: 'node.trades',
      values: [
        { id: '1', symbol: 'BTC-USDT', price: '65000.1', at: '2026-11-22 17:44:30.123000000' },
        { id: '2', symbol: 'ETH-USDT', price: '0.00000123', at: '2026-11-22 17:44:30.123456789' },
      ],
      format: 'JSONEachRow',
    })
    assert.equal(summary.written_rows, '2')
    assert.match(query_id, /^[0-9a-f-]{36}$/)
  },

  async 'insert a stream'(client) {
    const rows = Readable.from((function* () {
      for (let i = 100; i < 20100; i++) yield { id: i, symbol: `S${i}`, price: '1.5', at: '2026-11-22 00:00:00' }
    })())
    await client.insert({ table: 'node.trades', values: rows, format: 'JSONEachRow' })
  },

  async 'insert RowBinary and CSV as raw bytes'(client) {
    const row = Buffer.alloc(8 + 2 + 16 + 8)
    row.writeBigUInt64LE(10n, 0)
    row[8] = 1
    row.write('x', 9)
    row.writeBigInt64LE(2_500_000_000_000n, 10)
    row.writeBigInt64LE(1_000_000_000n, 26)
    await client.exec({ query: 'INSERT INTO node.trades FORMAT RowBinary', values: Readable.from([row]) })
      .then(({ stream }) => stream.resume())
    await client.insert({ table: 'node.trades', values: Readable.from(['11,"y",3,"2026-11-22 00:00:00"\n'], { objectMode: false }), format: 'CSV' })
    const back = await client.query({ query: 'SELECT id, symbol, price, at FROM node.trades WHERE id IN (10, 11) ORDER BY id', format: 'JSONCompactEachRow' })
    assert.deepEqual(await back.json(), [
      ['10', 'x', 2.5, '1970-01-01 00:00:01.000000000'],
      ['11', 'y', 3, '2026-11-22 00:00:00.000000000'],
    ].map((r) => [normal(r[0]), r[1], r[2], r[3]]))
  },

  async select(client) {
    const result = await client.query({ query: 'SELECT count() AS n, max(id) AS top FROM node.trades', format: 'JSONEachRow' })
    assert.deepEqual((await result.json()).map((r) => [Number(r.n), Number(r.top)]), [[20004, 20099]])
    const json = await (await client.query({ query: 'SELECT symbol FROM node.trades WHERE id = 1' })).json()
    assert.equal(json.rows, 1)
    assert.equal(json.data[0].symbol, 'BTC-USDT')
  },

  async 'select a stream'(client) {
    const result = await client.query({ query: 'SELECT id FROM node.trades ORDER BY id', format: 'JSONCompactEachRowWithNames' })
    let rows = 0
    for await (const piece of result.stream()) rows += piece.length
    assert.equal(rows, 20005) // the names are a row to this client
  },

  async parameters(client) {
    const result = await client.query({
      query: 'SELECT symbol FROM node.trades WHERE symbol = {s:String} AND id IN {ids:Array(UInt64)}',
      query_params: { s: 'ETH-USDT', ids: [1, 2] },
      format: 'JSONEachRow',
    })
    assert.deepEqual(await result.json(), [{ symbol: 'ETH-USDT' }])
    const odd = "it's \\ \n \t \"odd\""
    const echo = await client.query({ query: 'SELECT {s:String} AS s', query_params: { s: odd }, format: 'JSONEachRow' })
    assert.equal((await echo.json())[0].s, odd)
  },

  async settings(client) {
    const result = await client.query({ query: "SELECT toString(getSetting('max_block_size')) AS v", clickhouse_settings: { max_block_size: '77' }, format: 'JSONEachRow' })
    assert.deepEqual(await result.json(), [{ v: '77' }])
  },

  async sessions() {
    const session = createClient({ ...options, session_id: 'node-session', max_open_connections: 1 })
    await session.command({ query: 'CREATE TEMPORARY TABLE mine (x UInt8)' })
    await session.insert({ table: 'mine', values: [{ x: 5 }], format: 'JSONEachRow' })
    assert.deepEqual(await (await session.query({ query: 'SELECT x FROM mine', format: 'JSONEachRow' })).json(), [{ x: 5 }])
    await session.close()
  },

  async compression() {
    const compressed = createClient({ ...options, compression: { request: true, response: true } })
    await compressed.insert({ table: 'node.trades', values: [{ id: 30000, symbol: 'Z', price: '1', at: 0 }], format: 'JSONEachRow' })
    const result = await compressed.query({ query: 'SELECT symbol FROM node.trades WHERE id = 30000', format: 'JSONEachRow' })
    assert.deepEqual(await result.json(), [{ symbol: 'Z' }])
    await compressed.close()
  },

  async errors(client) {
    await assert.rejects(client.query({ query: 'SELECT * FROM node.nothing' }), { code: '60', type: 'UNKNOWN_TABLE' })
    await assert.rejects(client.command({ query: 'SELECT FROM WHERE' }), { code: '62' })
    await assert.rejects(client.insert({ table: 'node.trades', values: [{ id: 'x' }], format: 'JSONEachRow' }), (e) => Number(e.code) > 0)
    await assert.rejects(async () => {
      const result = await client.query({ query: 'SELECT throwIf(number = 500000) FROM numbers(1000000)', format: 'JSONEachRow', clickhouse_settings: { max_block_size: '1000' } })
      for await (const _ of result.stream()) { /* to the end */ }
    }, /throwIf/)
  },

  async 'wrong password'() {
    const stranger = createClient({ ...options, password: 'wrong' })
    await assert.rejects(stranger.query({ query: 'SELECT 1' }), { code: '516', type: 'AUTHENTICATION_FAILED' })
    await stranger.close()
  },
}

const normal = (id) => (quotes64 ? id : Number(id))
let quotes64 = true

const client = createClient(options)
const probe = await (await client.query({ query: 'SELECT toUInt64(1) AS n', format: 'JSONEachRow' })).json()
quotes64 = typeof probe[0].n === 'string'
for (const [name, step] of Object.entries(steps)) {
  try {
    await step(client)
    console.log(`ok: ${name}`)
  } catch (error) {
    console.error(`FAILED: ${name}:`, error)
    process.exit(1)
  }
}
await client.close()
