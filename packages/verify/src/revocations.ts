import { isCount, isName } from './claims.ts'
import { createExpiringNames, type ExpiringNames } from './expiring-names.ts'
import { parseJson, RequestError } from './requests.ts'

/** What has been told of sessions that ended and keys that leaked. */
export type Revocations = {
  sessions: ExpiringNames
  keys: ExpiringNames
}

export const createRevocations = (): Revocations => ({
  sessions: createExpiringNames(),
  keys: createExpiringNames(),
})

/** An item of the feed. */
export type Revocation = { type: 'session' | 'key'; name: string; exp: number }

/** @throws RequestError for any other text: what is not understood must not be passed over */
export function readRevocation(text: string): Revocation {
  const { type, sid, kid, exp } = readObject(text)
  const name = type === 'session' ? sid : kid
  if ((type !== 'session' && type !== 'key') || !isName(name) || !isCount(exp)) {
    throw new RequestError('the feed holds something that is no revocation')
  }
  return { type, name, exp }
}

/**
 * The time in a heartbeat, in seconds.
 * @throws RequestError for any other text
 */
export function readHeartbeat(text: string): number {
  const { at } = readObject(text)
  if (!isCount(at)) throw new RequestError('the feed holds a heartbeat without a time')
  return at
}

function readObject(text: string): Readonly<Record<string, unknown>> {
  const value = parseJson(text)
  return typeof value === 'object' && value !== null ? { ...value } : {}
}
