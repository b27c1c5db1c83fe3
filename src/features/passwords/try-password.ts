import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import type { SessionId } from '../../core/ids.ts'
import { Problem } from '../../core/problems.ts'
import type { User } from '../../database/tables.ts'
import { type AuditEvent, recordEvent } from '../audit/events.ts'
import { deleteFailures, findFailures, releaseTry } from './failure-queries.ts'
import { admitTry, countFailure, type Throttled, throttledReauthentication } from './throttle.ts'

/**
 * Counts a password before it is looked at.
 * @param owner of the account, or of the registration
 * @throws Problem `too_many_requests`
 */
export type AdmitPassword = (owner: string) => Promise<unknown>

type Attempt = { throttled: Throttled; hash: string | null; password: string }

/**
 * Looks at a password when its time has come. A right one ends the row of failures, a wrong one adds to it.
 * @param failure what is written down of a wrong one
 * @throws Problem `too_many_failures`, `server_busy`
 */
export async function tryPassword(
  context: Context,
  { throttled, hash, password }: Attempt,
  failure: AuditEvent,
): Promise<boolean> {
  const { db, clock, passwords } = context
  const [failures] = await findFailures(db, [throttled.key])
  const claim = await admitTry(context, throttled, failures)
  const matches = await passwords.verify(hash, password).catch(async (error) => {
    await Promise.allSettled([claim && releaseTry(db, claim, clock.now())])
    throw error
  })
  if (matches) {
    if (claim) await deleteFailures(db, [throttled.key])
  } else {
    await db.transaction().execute(async (trx) => {
      await countFailure(context, trx, { throttled, claim })
      await recordEvent(trx, clock.now(), failure)
    })
  }
  return matches
}

/**
 * Asks for the password of an account before something that neither an access token nor the mail of an address should be
 * enough for.
 * @returns the hash that matched
 * @throws Problem `current_password_incorrect`, `too_many_failures`, `server_busy`
 */
export async function verifyCurrentPassword(
  context: Context,
  account: Pick<User, 'id' | 'password_hash'> & { session_id?: SessionId },
  password: string,
  caller: Caller,
): Promise<string> {
  const { id: userId, session_id: sessionId, password_hash: hash } = account
  const throttled = throttledReauthentication(context, userId)
  const failure = { type: 'user.reauthentication_failed', userId, sessionId, caller } as const
  if ((await tryPassword(context, { throttled, hash, password }, failure)) && hash !== null) return hash
  throw new Problem('current_password_incorrect')
}
