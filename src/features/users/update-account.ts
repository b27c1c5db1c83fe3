import type { Updateable } from 'kysely'
import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { MINUTE } from '../../core/clock.ts'
import type { SessionId } from '../../core/ids.ts'
import { invalidField, Problem, serverBusy } from '../../core/problems.ts'
import { isUniqueViolation } from '../../database/errors.ts'
import type { Db, User, UsersTable } from '../../database/tables.ts'
import { type AuditEventType, recordEvent } from '../audit/events.ts'
import { deedOf, mailTo } from '../email/mail-to.ts'
import { type AdmitMail, canMail } from '../email/require-mail.ts'
import { deleteEmailTokens } from '../email-tokens/queries.ts'
import { refuseWantedBack } from '../email-tokens/tokens.ts'
import { checkNewPassword } from '../passwords/policy.ts'
import { carryFailures, forgetFailures } from '../passwords/throttle.ts'
import { verifyCurrentPassword } from '../passwords/try-password.ts'
import { type Authenticated, getStandingSession } from '../sessions/authenticate.ts'
import { endUserSessions } from '../sessions/end-sessions.ts'
import { requestEmailChange } from './change-email.ts'
import { refuseTaken } from './create-user.ts'
import { lockUserRow } from './email-queries.ts'
import { checkEmail, checkUsername, emailKey, usernameKey } from './names.ts'
import { type UserGuard, updateOwnUser } from './queries.ts'

export type AccountChanges = {
  username?: string
  email?: string
  password?: string
  locale?: string | null
  current_password?: string
}

export type AccountUpdate = {
  current: Authenticated
  changes: AccountChanges
  caller: Caller
  /** Counts the mail to the new address. */
  admitMail: AdmitMail
}

/** The account as it is now, and the address that has yet to be confirmed. */
export type UpdatedAccount = { user: User; pendingEmail: string | undefined }

/** How long after a sign-in a new address needs no password. */
const RECENT_SIGN_IN_MS = 5 * MINUTE
/** How often a change begins again because the account changed under it. */
const MAX_ATTEMPTS = 3

/**
 * Changes the caller's own account. A new password ends every other session; a new address has to be confirmed first, where
 * mails can be sent.
 * @throws Problem `validation_failed`, `current_password_incorrect`, `too_many_failures`, `reauthentication_required`,
 *   `username_taken`, `email_taken`, `too_many_requests`, `server_busy`, and `access_token_invalid` when the session ended
 *   meanwhile
 */
export async function updateOwnAccount(
  context: Context,
  { current, changes, caller, admitMail }: AccountUpdate,
): Promise<UpdatedAccount> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    requireCurrentPassword(changes)
    const pendingEmail = emailToConfirm(context, current, changes)
    const columns = await changedColumns(context, current, changes, pendingEmail)
    const keepsEmail = changes.email !== undefined && pendingEmail === undefined
    if (!columns && !pendingEmail && !keepsEmail) return { user: current, pendingEmail }
    const guard = await prove(context, current, changes, caller)
    await refuseTakenByOthers(context, current, { email: pendingEmail, ...columns })
    if (pendingEmail !== undefined) await admitMail(pendingEmail)
    if (columns && changes.password !== undefined) {
      columns.password_hash = await context.passwords.hash(changes.password)
      columns.bcrypt_cost = null
    }
    const stored = { columns, pendingEmail, keepsEmail }
    const updated = await storeChanges(context, current, guard, stored, caller)
    if (updated) return { user: updated, pendingEmail }
    current = await getStandingSession(context, current.session_id, current.id)
  }
  throw serverBusy()
}

/** A new address, where its owner has to show first that it is theirs; one that differs in the case of ASCII alone is the same. */
function emailToConfirm(context: Context, current: User, { email }: AccountChanges): string | undefined {
  if (email === undefined || toAsciiLowerCase(checkEmail(email)) === toAsciiLowerCase(current.email))
    return undefined
  return canMail(context) ? email : undefined
}

/** The new values of the columns that change; undefined when nothing does. */
async function changedColumns(
  context: Context,
  current: User,
  { username, email, password, locale }: AccountChanges,
  pendingEmail: string | undefined,
): Promise<Updateable<UsersTable> | undefined> {
  const columns: Updateable<UsersTable> = {}
  if (username !== undefined && checkUsername(username) !== current.username) {
    columns.username = checkUsername(username)
    columns.username_key = usernameKey(columns.username)
  }
  if (email !== undefined && pendingEmail === undefined && checkEmail(email) !== current.email) {
    columns.email = email
    columns.email_key = emailKey(email)
    if (toAsciiLowerCase(email) !== toAsciiLowerCase(current.email)) columns.email_verified_at = null
  }
  if (locale !== undefined && locale !== current.locale) columns.locale = locale
  if (password !== undefined) {
    const { username: name = current.username, email: address = pendingEmail ?? current.email } = columns
    await checkNewPassword(context, { password, username: name, email: address })
  } else if (Object.keys(columns).length === 0) return undefined
  columns.updated_at = context.clock.now()
  return columns
}

/** Before the new password is looked at, which may take a while. */
function requireCurrentPassword({ password, current_password }: AccountChanges): void {
  if (password !== undefined && current_password === undefined) {
    throw invalidField('/current_password', 'is needed to set a new password')
  }
}

/** Asks for the proof that the changes need, beyond an access token that could have been stolen. */
async function prove(
  context: Context,
  current: Authenticated,
  changes: AccountChanges,
  caller: Caller,
): Promise<UserGuard> {
  const { current_password, email } = changes
  const guard = { userId: current.id, sessionId: current.session_id }
  if (current_password !== undefined) {
    const verifiedHash = await verifyCurrentPassword(context, current, current_password, caller)
    return { ...guard, verifiedHash }
  }
  const isNewEmail = email !== undefined && email !== current.email
  const isRecent = context.clock.now() - current.authenticated_at <= RECENT_SIGN_IN_MS
  if (isNewEmail && !isRecent) throw new Problem('reauthentication_required')
  return { ...guard, verifiedHash: undefined }
}

/** @throws Problem `username_taken`, `email_taken` */
async function refuseTakenByOthers(
  context: Context,
  current: User,
  { username, email }: { username?: string | undefined; email?: string | undefined },
): Promise<void> {
  const isOtherName = username !== undefined && usernameKey(username) !== current.username_key
  // Where addresses are verified, nobody is told who has one.
  const mayTell = !context.settings.email.requireVerification
  const otherEmail =
    mayTell && email !== undefined && emailKey(email) !== current.email_key ? email : undefined
  await refuseTaken(context, { username: isOtherName ? username : undefined, email: otherEmail })
  if (otherEmail !== undefined) await refuseWantedBack(context, otherEmail, current.id)
}

/** What is stored of the changes. */
type Stored = {
  columns: Updateable<UsersTable> | undefined
  pendingEmail: string | undefined
  /** Whether the address is named, and none has to be confirmed. */
  keepsEmail: boolean
}

/** @returns undefined when the account changed, or its session ended, under the change */
async function storeChanges(
  context: Context,
  current: Authenticated,
  guard: UserGuard,
  stored: Stored,
  caller: Caller,
): Promise<User | undefined> {
  const { columns = {} } = stored
  try {
    return await context.db.transaction().execute(async (trx) => {
      // What ended the session meanwhile has committed then, and the guard sees it.
      const before = await lockUserRow(trx, current.id)
      const updated = await updateOwnUser(trx, guard, { updated_at: current.updated_at, ...columns })
      if (!before || !updated) return undefined
      if (guard.verifiedHash !== undefined) await forgetFailures(context, trx, updated)
      else {
        await carryFailures(context, trx, { from: before.username_key, to: updated.username_key })
        await carryFailures(context, trx, { from: before.email_key, to: updated.email_key })
      }
      await followUp(context, trx, updated, { ...stored, columns, sessionId: current.session_id, caller })
      return updated
    })
  } catch (error) {
    if (!isUniqueViolation(error)) throw error
    await refuseTakenByOthers(context, current, columns)
    // Whoever had taken it has let it go already.
    throw serverBusy()
  }
}

/** What comes of the changes: it is written down, told, and ends what it has to end. */
async function followUp(
  context: Context,
  trx: Db,
  user: User,
  change: Stored & { columns: Updateable<UsersTable>; sessionId: SessionId; caller: Caller },
): Promise<void> {
  const { columns, pendingEmail, keepsEmail, sessionId, caller } = change
  const userId = user.id
  for (const type of changeEvents(columns)) {
    await recordEvent(trx, context.clock.now(), { type, userId, sessionId, caller })
  }
  const data = deedOf(context, caller)
  if (columns.password_hash !== undefined) {
    await endUserSessions(context, trx, { userId, reason: 'password_changed', except: sessionId, caller })
    // Who knew the old password may have asked for what was sent.
    await deleteEmailTokens(trx, userId, ['change_email', 'reset_password', 'sign_in'])
    await mailTo(context, trx, user, { kind: 'password_changed', data }, caller)
  }
  if (columns.username !== undefined) {
    await mailTo(context, trx, user, { kind: 'username_changed', data }, caller)
  }
  // One that was mistyped before is not to be confirmed any more.
  if (keepsEmail) await deleteEmailTokens(trx, userId, ['change_email'])
  if (pendingEmail !== undefined) {
    await requestEmailChange(context, trx, user, { email: pendingEmail, caller })
  }
}

const changeEvents = (columns: Updateable<UsersTable>): AuditEventType[] => [
  ...(columns.username === undefined ? [] : ['user.username_changed' as const]),
  ...(columns.email === undefined ? [] : ['user.email_changed' as const]),
  ...(columns.password_hash === undefined ? [] : ['user.password_changed' as const]),
]

const toAsciiLowerCase = (text: string): string => text.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase())
