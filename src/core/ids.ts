import { randomBytes, randomUUID, randomUUIDv7 } from 'node:crypto'
import type { Timestamp } from './clock.ts'

export type UserId = string
export type SessionId = string

/** RFC 9562 section 4, and nothing that PostgreSQL would not take. */
export const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

/** A UUIDv7 (RFC 9562 section 5.7): ordered by time of creation, so that indexes grow at one end. */
export const newId = (): string => randomUUIDv7()

const COUNTER_BITS = 26

/** Gives UUIDv7s of a given time, those of one millisecond in their order (RFC 9562 section 6.2, method 1). */
function createTimedIds(): (time: Timestamp) => string {
  let last = -1
  let counter = 0
  return (time) => {
    counter = time === last ? (counter + 1) % 2 ** COUNTER_BITS : 0
    last = time
    const high = (0x7000 | (counter >>> 14)).toString(16)
    const low = (0x8000 | (counter & 0x3fff)).toString(16)
    return `${timePart(time)}-${high}-${low}-${randomUUID().slice(-12)}`
  }
}

/** A UUIDv7 of that time, by which rows can be found: see `firstIdAt`. */
export const newIdAt = createTimedIds()

/** No UUIDv7 of that time, or of a later one, is below it. */
export const firstIdAt = (time: Timestamp): string => `${timePart(time)}-0000-0000-000000000000`

function timePart(time: Timestamp): string {
  const hex = Math.min(Math.max(time, 0), 2 ** 48 - 1)
    .toString(16)
    .padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}`
}

/** 128 random bits in base64url, for identifiers that must not be guessed. */
export const newNonce = (): string => randomBytes(16).toString('base64url')
