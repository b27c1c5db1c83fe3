import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { newId } from '../../core/ids.ts'
import { invalidField, Problem, serverBusy } from '../../core/problems.ts'
import { recordEvent } from '../audit/events.ts'
import { type OwnedToken, refuseWantedBack, useEmailToken } from '../email-tokens/tokens.ts'
import { forgetGuesses, throttledRegistration } from '../passwords/throttle.ts'
import { type AdmitPassword, tryPassword } from '../passwords/try-password.ts'
import { refuseTaken } from '../users/create-user.ts'
import { insertUser } from '../users/queries.ts'
import { endRegistration, findRegistration, type Registration } from './queries.ts'

type Confirmation = {
  token: OwnedToken
  password: string | undefined
  admitPassword: AdmitPassword
  caller: Caller
}

/**
 * Begins the account that waited for its address. Whoever reads the mail may be somebody else than who registered: without
 * the password they would make the account of who has it.
 * @throws Problem `email_token_invalid`, `email_token_used`, `validation_failed`, `registration_password_incorrect`,
 *   `too_many_requests`, `too_many_failures`, `server_busy`, and `email_taken` or `username_taken` when somebody else was first
 */
export async function confirmRegistration(
  context: Context,
  { token, password, admitPassword, caller }: Confirmation,
): Promise<void> {
  const { db, clock } = context
  const registration = await findRegistration(db, token.owner)
  if (!registration) throw new Problem('email_token_invalid')
  if (password === undefined) throw invalidField('/password', 'is needed: the one that was registered with')
  await admitPassword(registration.id)
  await verifyRegistrationPassword(context, registration, password, caller)
  await db.transaction().execute(async (trx) => {
    const now = clock.now()
    await useEmailToken(context, trx, token)
    const user = await insertUser(trx, toUser(registration, now))
    if (!user) {
      await refuseTaken({ db: trx, clock }, registration, registration.id)
      throw serverBusy()
    }
    await refuseWantedBack({ ...context, db: trx }, user.email)
    await endRegistration(trx, registration.id, now)
    await forgetGuesses(context, trx, [user.username_key, user.email_key])
    await recordEvent(trx, now, { type: 'user.created', userId: user.id, caller })
  })
}

async function verifyRegistrationPassword(
  context: Context,
  { id, password_hash: hash }: Registration,
  password: string,
  caller: Caller,
): Promise<void> {
  const throttled = throttledRegistration(context, id)
  const detail = { reason: 'registration' }
  const failure = { type: 'user.reauthentication_failed', caller, detail } as const
  if (await tryPassword(context, { throttled, hash, password }, failure)) return
  throw new Problem('registration_password_incorrect')
}

function toUser({ id: _, expires_at, ...account }: Registration, now: number) {
  const dates = { email_verified_at: now, created_at: now, updated_at: now }
  return { ...account, ...dates, id: newId(), bcrypt_cost: null, is_active: true, is_superuser: false }
}
