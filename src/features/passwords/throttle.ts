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
  findFailures,
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

export const throttledName = ({ pseudonym }: Pick<Context, 'pseudonym'>, identifier: string): Throttled => ({
  key: pseudonym('name', identifierKey(identifier)),
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

/**
 * Lets one try through, or none: after some failures in a row there is one try for each delay, and each delay is longer
 * than the one before. Of many at once, one wins.
 * @param failures so far
 * @returns what was taken, to be given back when nothing is looked at after all
 * @throws Problem `too_many_failures`
 */
export async function admitTry(
  { db, clock, settings }: ThrottleContext,
  { key, most }: Throttled,
  failures: { failures: number; next_try_at: number } | undefined,
): Promise<Claim | undefined> {
  if (!settings.rateLimits || !failures || failures.failures < FREE_FAILURES) return undefined
  if (failures.failures >= most) throw new Problem('too_many_failures')
  const now = clock.now()
  const claimed = await claimTry(db, { key, now, most })
  if (claimed) return { key, ...claimed }
  const waitMs = Math.max(failures.next_try_at - now, 0) || delayAfter(failures.failures + 1)
  throw new Problem('too_many_failures', { retryAfterSeconds: Math.ceil(waitMs / SECOND) })
}

/** One that was let through: with what it took, where failures are so many that there is one try for each delay. */
export type Try = { throttled: Throttled; claim: Claim | undefined }

/**
 * Counts a failure: call it in the transaction that records it. Of many tries at once those beyond the free ones have not
 * been looked at, as far as anybody can tell.
 * @throws Problem `too_many_failures`
 */
export async function countFailure(
  { clock, settings }: Pick<ThrottleContext, 'clock' | 'settings'>,
  db: Db,
  { throttled: { key, most }, claim }: Try,
): Promise<{ failures: number; isLast: boolean }> {
  if (!settings.rateLimits) return { failures: 0, isLast: false }
  const below = claim ? most : FREE_FAILURES
  const failures = await addFailure(db, { key, now: clock.now(), below })
  if (failures === undefined) throw oneTooMany()
  return { failures, isLast: failures === most }
}

/**
 * Lets a password that matched count, unless others failed meanwhile, and so many that it came too late: else of many guesses at
 * once the right one would be found, however many were wrong.
 * @throws Problem `too_many_failures`
 */
export async function confirmTry(
  { db, settings }: Pick<ThrottleContext, 'db' | 'settings'>,
  { throttled, claim }: Try,
): Promise<void> {
  if (!settings.rateLimits || claim) return
  const [found] = await findFailures(db, [throttled.key])
  if (found && found.failures >= FREE_FAILURES) throw oneTooMany()
}

const oneTooMany = (): Problem =>
  new Problem('too_many_failures', { retryAfterSeconds: delayAfter(FREE_FAILURES + 1) / SECOND })

type Account = Pick<User, 'id' | 'username_key' | 'email_key'>

/** Whatever is counted for an account: its two names, its devices, and reauthentications. */
export const accountKeys = (
  context: Pick<Context, 'pseudonym'>,
  { id, username_key, email_key }: Account,
): string[] => [
  ...[username_key, email_key].map((name) => context.pseudonym('name', name)),
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

/** Lets the failures at a name go on at the one that takes its place: who renames an account has not proved to be its owner. */
export async function carryFailures(
  { pseudonym }: Pick<Context, 'pseudonym'>,
  db: Db,
  before: Pick<Account, 'username_key' | 'email_key'>,
  after: Pick<Account, 'username_key' | 'email_key'>,
): Promise<void> {
  for (const name of ['username_key', 'email_key'] as const) {
    if (before[name] === after[name]) continue
    await moveFailures(db, { from: pseudonym('name', before[name]), to: pseudonym('name', after[name]) })
  }
}

/** Forgets guesses at names that nobody had until now: they were none at the password of who takes them. */
export async function forgetGuesses(
  { pseudonym }: Pick<Context, 'pseudonym'>,
  db: Db,
  names: readonly (string | undefined)[],
): Promise<void> {
  const keys = names.flatMap((name) => (name === undefined ? [] : pseudonym('name', name)))
  if (keys.length > 0) await deleteFailures(db, keys)
}
