import { createHash } from 'node:crypto'

/** With so many positions a filter that is half full takes one stranger in a million for one of its own. */
export const BLOOM_POSITIONS = 20
const POSITION_BYTES = 4

/** The bytes of a Bloom filter: whatever was put in is found again, and hardly anything else is. */
export type BloomFilter = Readonly<Uint8Array>

/** The bits that stand for a text. */
export function bloomPositions(text: string, bitCount: number): number[] {
  const hash = createHash('shake256', { outputLength: BLOOM_POSITIONS * POSITION_BYTES })
  const digest = hash.update(text).digest()
  return Array.from(
    { length: BLOOM_POSITIONS },
    (_, index) => digest.readUInt32LE(index * POSITION_BYTES) % bitCount,
  )
}

export const isInFilter = (filter: BloomFilter, text: string): boolean =>
  bloomPositions(text, filter.length * 8).every((position) => {
    const byte = filter[position >> 3] ?? 0
    return ((byte >> (position & 7)) & 1) === 1
  })
