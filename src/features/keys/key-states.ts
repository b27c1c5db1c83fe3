import { MINUTE, type Timestamp } from '../../core/clock.ts'
import { LONGEST_TOKEN_LIFE_MS } from '../../core/token-life.ts'
import type { StoredSigningKey } from './queries.ts'

/**
 * `next` is published and signs nothing yet, `current` signs, `previous` only verifies what it has signed, until that has
 * expired; then it is `retired`. `revoked` verifies nothing, whatever it has signed.
 */
export type KeyState = 'next' | 'current' | 'previous' | 'retired' | 'revoked'

type Times = Pick<StoredSigningKey, 'signs_from' | 'signs_until' | 'revoked_at'>

/** All nodes share one clock, so a state begins everywhere at once. */
export function stateOf({ signs_from, signs_until, revoked_at }: Times, now: Timestamp): KeyState {
  if (revoked_at !== null) return 'revoked'
  if (signs_from === null || signs_from > now) return 'next'
  if (signs_until === null || signs_until > now) return 'current'
  return retiresAt(signs_until) > now ? 'previous' : 'retired'
}

/** Whether it verifies what it has signed, or may yet sign. */
export const isAccepted = (key: Times, now: Timestamp): boolean =>
  !['retired', 'revoked'].includes(stateOf(key, now))

/** Then the last token that it signed has expired. */
const retiresAt = (signsUntil: Timestamp): Timestamp => signsUntil + LONGEST_TOKEN_LIFE_MS

/** When the state of one of them changes by itself; infinity for never. */
export function nextChangeOf(keys: readonly Times[], now: Timestamp): Timestamp {
  const times = keys.flatMap(({ signs_from, signs_until }) => [
    signs_from,
    signs_until,
    signs_until === null ? null : retiresAt(signs_until),
  ])
  return Math.min(
    ...times.filter((time) => time !== null && time > now).map(Number),
    Number.POSITIVE_INFINITY,
  )
}

/** Which one signs at that time; undefined when none does. */
export const currentOf = <Key extends Times>(keys: readonly Key[], now: Timestamp): Key | undefined =>
  keys
    .filter((key) => stateOf(key, now) === 'current')
    .sort((one, other) => Number(one.signs_from) - Number(other.signs_from))
    .at(-1)

/** Which one will, at a time that has been set; undefined when none has. */
export const scheduledOf = <Key extends Times>(keys: readonly Key[], now: Timestamp): Key | undefined =>
  keys.find(({ signs_from, revoked_at }) => revoked_at === null && signs_from !== null && signs_from > now)

/** Which one signs, or will once its time has come. */
export const signerOf = <Key extends Times>(keys: readonly Key[], now: Timestamp): Key | undefined =>
  scheduledOf(keys, now) ?? currentOf(keys, now)

/** Which one waits for that; undefined when none does. */
export const waitingOf = <Key extends Times>(keys: readonly Key[]): Key | undefined =>
  keys.find(({ signs_from, revoked_at }) => revoked_at === null && signs_from === null)

/** How long a key is published before it signs: some keep what they have read for longer than they are told. */
export const PUBLISHED_FOR_MS = 60 * MINUTE
