import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { newId } from '../../core/ids.ts'
import { Problem } from '../../core/problems.ts'
import type { Db } from '../../database/tables.ts'
import { deedOf, mailTo } from '../email/mail-to.ts'
import type { AdmitMail } from '../email/require-mail.ts'
import { issueEmailToken, ttlMsOf } from '../email-tokens/tokens.ts'
import { checkNewPassword } from '../passwords/policy.ts'
import { refuseTaken } from '../users/create-user.ts'
import { checkEmail, checkUsername, emailKey, usernameKey } from '../users/names.ts'
import { findUserByEmail } from '../users/queries.ts'
import { insertRegistration, type Registration } from './queries.ts'
import { sendRegistration } from './send-registration.ts'

export type RegistrationRequest = { username: string; email: string; password: string; locale: string | null }

/**
 * Keeps what somebody registers with until they have shown that the address is theirs. The name is theirs meanwhile, and the
 * answer is the same whether or not an account has the address: its owner gets another mail.
 * @throws Problem `validation_failed`, `username_taken`, `too_many_requests`, `server_busy`
 */
export async function keepRegistration(
  context: Context,
  request: RegistrationRequest,
  { caller, admitMail }: { caller: Caller; admitMail: AdmitMail },
): Promise<void> {
  const { db, clock, passwords } = context
  const username = checkUsername(request.username)
  const email = checkEmail(request.email)
  await checkNewPassword(context, { username, email, password: request.password })
  await refuseTaken(context, { username, email: undefined })
  await admitMail(email)
  const passwordHash = await passwords.hash(request.password)
  await db.transaction().execute(async (trx) => {
    const now = clock.now()
    const registration: Registration = {
      id: newId(),
      username,
      username_key: usernameKey(username),
      email,
      email_key: emailKey(email),
      password_hash: passwordHash,
      locale: request.locale,
      created_at: now,
      expires_at: now + ttlMsOf('register'),
    }
    if (!(await insertRegistration(trx, registration, now))) throw new Problem('username_taken')
    await tellAddress(context, trx, registration, caller)
  })
}

/** Both ways write the same rows: a token, which only one of them is sent, and a mail. */
async function tellAddress(
  context: Context,
  trx: Db,
  registration: Registration,
  caller: Caller,
): Promise<void> {
  const owner = await findUserByEmail(trx, { key: registration.email_key })
  if (!owner) return sendRegistration(context, trx, registration, caller)
  await issueEmailToken(context, trx, { kind: 'register', email: registration.email })
  await mailTo(context, trx, owner, { kind: 'already_registered', data: deedOf(context, caller) })
}
