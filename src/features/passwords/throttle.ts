import type { Context } from '../../context.ts'
import { SECOND } from '../../core/clock.ts'
import type { UserId } from '../../core/ids.ts'
import { Problem } from '../../core/problems.ts'
import type { Db, User } from '../../database/tables.ts'
import { identifierKey } from '../users/names.ts'
import {
  addFailure,
  type Claim,
  claimTry,
  delayAfter,
  deleteFailures,
  FREE_FAILURES,
  moveFailures,
} from './failure-queries.ts'

type ThrottleContext = Pick<Context, 'db' | 'clock' | 'settings' | 'pseudonym'>

/** Whose failures in a row are counted, and how many there may be (NIST SP 800-63B-4 section 3.2.2: 100 for an account). */
export type Throttled = { key: string; most: number }

/** An account has two names: 60 together, and 100 with its devices and reauthentications. Names that nobody has are treated alike, so that nothing shows who exists. */
export const MOST_FAILURES_OF_A_NAME = 30
/** Beyond them they count as unknown. */
export const MOST_FAILURES_OF_DEVICES = 20
export const MOST_FAILED_REAUTHENTICATIONS = 20

/** @param name as it is compared */
export const failureKeyOf = ({ pseudonym }: Pick<Context, 'pseudonym'>, name: string): string =>
  pseudonym('name', name)

export const throttledName = (context: Pick<Context, 'pseudonym'>, identifier: string): Throttled => ({
  key: failureKeyOf(context, identifierKey(identifier)),
  most: MOST_FAILURES_OF_A_NAME,
})

/** All devices that a user is known on count together: who knows the password can make any number of them. */
export const throttledDevices = ({ pseudonym }: Pick<Context, 'pseudonym'>, userId: UserId): Throttled => ({
  key: pseudonym('devices', userId),
  most: MOST_FAILURES_OF_DEVICES,
})

/** Wrong current passwords of who is signed in: apart from sign-ins, which anybody can make fail. */
export const throttledReauthentication = (
  { pseudonym }: Pick<Context, 'pseudonym'>,
  userId: UserId,
): Throttled => ({
  key: pseudonym('reauthentication', userId),
  most: MOST_FAILED_REAUTHENTICATIONS,
})

/** Wrong passwords of a registration, from who reads its mail: apart from its name, which anybody can make fail. */
export const throttledRegistration = (
  { pseudonym }: Pick<Context, 'pseudonym'>,
  registrationId: string,
): Throttled => ({
  key: pseudonym('registration', registrationId),
  most: MOST_FAILED_REAUTHENTICATIONS,
})

/** One that was let through, with what it took; that is undefined where it is the only one for a while, and costs nothing. */
export type Try = { throttled: Throttled; claim: Claim | undefined }

/**
 * Lets one try through, or none: after some failures in a row there is one try for each delay, and each delay is longer
 * than the one before. Of many at once, one wins. Before that, each counts as a failure in advance, or of many at once all would
 * be looked at.
 * @param failures so far
 * @param isAlone whether it is the first for a while: then it takes nothing, and costs no round trip
 * @returns what was taken, to be given back when nothing is looked at after all
 * @throws Problem `too_many_failures`
 */
export async function admitTry(
  { db, clock, settings }: ThrottleContext,
  { key, most }: Throttled,
  failures: { failures: number; next_try_at: number } | undefined,
  isAlone = false,
): Promise<Claim | undefined> {
  if (!settings.rateLimits) return undefined
  const now = clock.now()
  const count = failures?.failures ?? 0
  if (count >= most) throw new Problem('too_many_failures')
  if (count < FREE_FAILURES) {
    if (isAlone) return undefined
    const counted = await addFailure(db, { key, now, below: FREE_FAILURES })
    if (counted !== undefined) return { key, failures: counted }
  }
  const claimed = await claimTry(db, { key, now, most })
  if (claimed) return { key, ...claimed }
  const waitMs =
    Math.max(Number(failures?.next_try_at) - now, 0) || delayAfter(Math.max(count, FREE_FAILURES) + 1)
  throw new Problem('too_many_failures', { retryAfterSeconds: Math.ceil(waitMs / SECOND) })
}

/** Counts a failure, unless its try has done so: call it in the transaction that records it. */
export async function countFailure(
  { clock, settings }: Pick<ThrottleContext, 'clock' | 'settings'>,
  db: Db,
  { throttled: { key, most }, claim }: Try,
): Promise<{ failures: number; isLast: boolean }> {
  if (!settings.rateLimits) return { failures: 0, isLast: false }
  // Else the name has changed under it: what was carried along counts twice, rather than what was not for nothing.
  const isCounted = claim && 'failures' in claim && claim.key === key
  if (isCounted) return { failures: claim.failures, isLast: false }
  const failures = await addFailure(db, { key, now: clock.now(), below: most })
  return { failures: failures ?? most, isLast: failures === most }
}

type Account = Pick<User, 'id' | 'username_key' | 'email_key'>

/** Whatever is counted for an account: its two names, its devices, and reauthentications. */
export const accountKeys = (
  context: Pick<Context, 'pseudonym'>,
  { id, username_key, email_key }: Account,
): string[] => [
  ...[username_key, email_key].map((name) => failureKeyOf(context, name)),
  throttledDevices(context, id).key,
  throttledReauthentication(context, id).key,
]

/**
 * Forgets all failures of an account: after its owner has proved who they are, or when an operator says so.
 * @returns how many of its counters had any
 */
export const forgetFailures = (
  context: Pick<Context, 'pseudonym'>,
  db: Db,
  account: Account,
): Promise<number> => deleteFailures(db, accountKeys(context, account))

/**
 * Lets the failures at a name go on at the one that takes its place, in place of guesses at what nobody had: who renames an
 * account has not proved to be its owner.
 */
export const carryFailures = (
  context: Pick<Context, 'pseudonym'>,
  db: Db,
  { from, to }: { from: string; to: string },
): Promise<void> => moveFailures(db, { from: failureKeyOf(context, from), to: failureKeyOf(context, to) })

/** Forgets guesses at names that nobody had until now: they were none at the password of who takes them. */
export async function forgetGuesses(
  context: Pick<Context, 'pseudonym'>,
  db: Db,
  names: readonly string[],
): Promise<void> {
  await deleteFailures(
    db,
    names.map((name) => failureKeyOf(context, name)),
  )
}
