import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { Problem } from '../../core/problems.ts'
import { recordEvent } from '../audit/events.ts'
import { verifyCurrentPassword } from '../passwords/try-password.ts'
import { insertRevocations } from '../revocation/queries.ts'
import type { Authenticated } from '../sessions/authenticate.ts'
import { lockLiveSessions } from '../sessions/ending-queries.ts'
import { livenessAt } from '../sessions/liveness.ts'
import { lockUserRow } from './email-queries.ts'
import { deleteOwnUser } from './queries.ts'

/**
 * Deletes the caller's own account with all that is theirs.
 * @throws Problem `current_password_incorrect`, `too_many_failures`, `server_busy`, `access_token_invalid`
 */
export async function deleteOwnAccount(
  context: Context,
  { current, currentPassword, caller }: { current: Authenticated; currentPassword: string; caller: Caller },
): Promise<void> {
  const verifiedHash = await verifyCurrentPassword(context, current, currentPassword, caller)
  const guard = { userId: current.id, sessionId: current.session_id, verifiedHash }
  await context.db.transaction().execute(async (trx) => {
    // What is gone afterwards cannot be named any more; nor does a sign-in come between.
    await lockUserRow(trx, current.id)
    const sessionIds = await lockLiveSessions(trx, { ...livenessAt(context), userId: current.id })
    await insertRevocations(trx, 'session', sessionIds)
    // Whatever is thrown here takes the revocations back.
    if (!(await deleteOwnUser(trx, guard))) throw new Problem('access_token_invalid')
    await recordEvent(trx, context.clock.now(), { type: 'user.deleted', userId: current.id, caller })
  })
}
