import type { Context } from '../../context.ts'
import type { User } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { forgetFailures } from './throttle.ts'

/** Lets a user try again at once, whatever has failed before. False when nothing had. */
export function unlockUser(
  context: Pick<Context, 'db' | 'clock' | 'pseudonym'>,
  user: User,
): Promise<boolean> {
  return context.db.transaction().execute(async (trx) => {
    if ((await forgetFailures(context, trx, user)) === 0) return false
    await recordEvent(trx, context.clock.now(), { type: 'user.unlocked', userId: user.id })
    return true
  })
}
