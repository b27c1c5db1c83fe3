import { randomBytes, randomUUIDv7 } from 'node:crypto'

export type UserId = string
export type SessionId = string

/** RFC 9562 section 4, and nothing that PostgreSQL would not take. */
export const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

/** A UUIDv7 (RFC 9562 section 5.7): ordered by time of creation, so that indexes grow at one end. */
export const newId = (): string => randomUUIDv7()

/** 128 random bits in base64url, for identifiers that must not be guessed. */
export const newNonce = (): string => randomBytes(16).toString('base64url')
