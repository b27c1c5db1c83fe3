import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { newId } from '../../core/ids.ts'
import { Problem, serverBusy } from '../../core/problems.ts'
import { recordEvent } from '../audit/events.ts'
import { type OwnedToken, useEmailToken } from '../email-tokens/tokens.ts'
import { forgetGuesses } from '../passwords/throttle.ts'
import { refuseTaken } from '../users/create-user.ts'
import { insertUser } from '../users/queries.ts'
import { endRegistration, findRegistration } from './queries.ts'

/**
 * Begins the account that waited for its address.
 * @throws Problem `email_token_invalid`, `email_token_used`, and `email_taken` or `username_taken` when somebody else was first
 */
export function confirmRegistration(context: Context, token: OwnedToken, caller: Caller): Promise<void> {
  const { db, clock } = context
  return db.transaction().execute(async (trx) => {
    const now = clock.now()
    await useEmailToken(context, trx, token)
    const registration = await findRegistration(trx, token.owner)
    if (!registration) throw new Problem('email_token_invalid')
    const { id, expires_at: _, ...account } = registration
    const row = { ...account, id: newId(), email_verified_at: now, bcrypt_cost: null, created_at: now }
    const user = await insertUser(trx, { ...row, is_active: true, is_superuser: false, updated_at: now })
    if (!user) {
      await refuseTaken({ db: trx, clock }, registration, id)
      throw serverBusy()
    }
    await endRegistration(trx, id, now)
    await forgetGuesses(context, trx, [user.username_key, user.email_key])
    await recordEvent(trx, now, { type: 'user.created', userId: user.id, caller })
  })
}
