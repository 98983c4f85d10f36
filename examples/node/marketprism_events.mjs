// A message of MarketPrism's stream to events. Needs the package fzstd on Node before 22.15, whose zlib has no zstd.
import * as zlib from 'node:zlib'

// What MarketPrism itself takes; a message that claims more is damaged.
const LARGEST_UNPACKED = 64 << 20

const unpack = zlib.zstdDecompressSync
  ? (bytes) => zlib.zstdDecompressSync(bytes, { maxOutputLength: LARGEST_UNPACKED })
  : (await import('fzstd')).decompress

// payload: Uint8Array; headers: what the client gives, or undefined. Prices and quantities are strings: give them to Big, never
// to Number.
export function eventsOf(payload, headers) {
  const encoding = headers?.get('MP-Encoding')
  if (encoding === 'zstd') payload = unpack(payload)
  else if (encoding) throw new Error(`MP-Encoding is '${encoding}', only zstd is known: update this reader`)
  const text = new TextDecoder('utf-8', { fatal: true }).decode(payload)
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line))
}
