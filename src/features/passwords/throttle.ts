import type { Context } from '../../context.ts'
import { SECOND } from '../../core/clock.ts'
import type { UserId } from '../../core/ids.ts'
import { Problem } from '../../core/problems.ts'
import type { Db } from '../../database/tables.ts'
import { emailKey, identifierKey, usernameKey } from '../users/names.ts'
import { addFailure, claimTry, delayAfter, deleteFailures, FREE_FAILURES } from './failure-queries.ts'

type ThrottleContext = Pick<Context, 'db' | 'clock' | 'settings' | 'pseudonym'>

/** Whose failures in a row are counted, and how many there may be (NIST SP 800-63B-4 section 3.2.2: 100 for an account). */
export type Throttled = { key: string; most: number }

/** An account has two names: 80 together. Names that nobody has are treated alike, so that nothing shows who exists. */
export const MOST_FAILURES_OF_A_NAME = 40
/** Beyond them the device counts as unknown. */
export const MOST_FAILURES_OF_A_DEVICE = 20
export const MOST_FAILED_PROOFS = 20

export const throttledName = ({ pseudonym }: Pick<Context, 'pseudonym'>, identifier: string): Throttled => ({
  key: pseudonym('name', identifierKey(identifier)),
  most: MOST_FAILURES_OF_A_NAME,
})

export const throttledDevice = (
  { pseudonym }: Pick<Context, 'pseudonym'>,
  userId: UserId,
  deviceId: string,
): Throttled => ({ key: pseudonym('device', userId, deviceId), most: MOST_FAILURES_OF_A_DEVICE })

/** Wrong current passwords of who is signed in: apart from sign-ins, which anybody can make fail. */
export const throttledProof = ({ pseudonym }: Pick<Context, 'pseudonym'>, userId: UserId): Throttled => ({
  key: pseudonym('proof', userId),
  most: MOST_FAILED_PROOFS,
})

/**
 * Lets one try through, or none: after some failures in a row there is one try for each delay, and each delay is longer
 * than the one before. Of many at once, one wins.
 * @param failures so far
 * @throws Problem `too_many_failures`
 */
export async function admitTry(
  { db, clock, settings }: ThrottleContext,
  { key, most }: Throttled,
  failures: { failures: number; next_try_at: number } | undefined,
): Promise<void> {
  if (!settings.rateLimits || !failures || failures.failures < FREE_FAILURES) return
  if (failures.failures >= most) throw new Problem('too_many_failures')
  const now = clock.now()
  if (await claimTry(db, { key, now, most })) return
  const waitMs = Math.max(failures.next_try_at - now, 0) || delayAfter(failures.failures + 1)
  throw new Problem('too_many_failures', { retryAfterSeconds: Math.ceil(waitMs / SECOND) })
}

/** Counts a failure: call it in the transaction that records it. */
export async function countFailure(
  { clock, settings }: Pick<ThrottleContext, 'clock' | 'settings'>,
  db: Db,
  { key, most }: Throttled,
): Promise<{ isLast: boolean }> {
  if (!settings.rateLimits) return { isLast: false }
  return { isLast: (await addFailure(db, key, clock.now())) === most }
}

/**
 * Forgets the failures of an account's names and proofs: after its password or its names have changed, or an operator
 * says so.
 * @returns how many of the three had any
 */
export function forgetFailures(
  { pseudonym }: Pick<Context, 'pseudonym'>,
  db: Db,
  { id, username, email }: { id: UserId; username: string; email: string },
): Promise<number> {
  return deleteFailures(db, [
    pseudonym('name', usernameKey(username)),
    pseudonym('name', emailKey(email)),
    throttledProof({ pseudonym }, id).key,
  ])
}
