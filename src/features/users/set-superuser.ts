import type { Context } from '../../context.ts'
import type { UserId } from '../../core/ids.ts'
import { recordEvent } from '../audit/events.ts'
import { setUserFlag } from './queries.ts'

/**
 * Gives a user the rights of a superuser, or takes them. It counts from the next request on: each reads the user's row, so
 * that sessions need not end. False when there was nothing to do.
 */
export function setSuperuser(
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  userId: UserId,
  isSuperuser: boolean,
): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const now = clock.now()
    if (!(await setUserFlag(trx, userId, ['is_superuser', isSuperuser], now))) return false
    await recordEvent(trx, now, { type: isSuperuser ? 'user.promoted' : 'user.demoted', userId })
    return true
  })
}
