import type { OperatorContext } from '../../context.ts'
import { newId } from '../../core/ids.ts'
import { Problem, serverBusy } from '../../core/problems.ts'
import type { Db, User } from '../../database/tables.ts'
import { checkNewPassword } from '../passwords/policy.ts'
import { checkEmail, checkUsername, emailKey, usernameKey } from './names.ts'
import { findTaken, insertUser } from './queries.ts'

export type NewUser = { username: string; email: string; password: string; locale?: string | null }

type Finish<T> = (trx: Db, user: User & { password_hash: string }) => Promise<T>

/**
 * Creates an account. All that is slow comes first; the account and what `finish` adds to it are stored together.
 * @param newUser `admit` is asked once all is in order, before the password is hashed
 * @throws Problem `validation_failed`, `username_taken`, `email_taken`, `server_busy`
 */
export async function createUser<T>(
  context: OperatorContext,
  newUser: NewUser & { isSuperuser: boolean; admit?: () => Promise<void> },
  finish: Finish<T>,
): Promise<T> {
  const { db, passwords } = context
  const checked = { username: checkUsername(newUser.username), email: checkEmail(newUser.email) }
  await checkNewPassword(context, { ...checked, password: newUser.password })
  await refuseTaken(context, checked)
  await newUser.admit?.()
  const passwordHash = await passwords.hash(newUser.password)
  const { isSuperuser, locale = null } = newUser
  const outcome = await db.transaction().execute(async (trx) => {
    const user = await storeUser(context, trx, { ...checked, passwordHash, isSuperuser, locale })
    return user && { value: await finish(trx, { ...user, password_hash: passwordHash }) }
  })
  if (outcome) return outcome.value
  // Somebody else was first: say which of the two they took.
  await refuseTaken(context, checked)
  throw serverBusy()
}

/**
 * Both are looked for at one instant: who loses to a user with the same name and address is told of the name.
 * @param registrationId the registration that wants them, which holds its own name
 * @throws Problem `username_taken`, `email_taken`
 */
export async function refuseTaken(
  { db, clock }: Pick<OperatorContext, 'db' | 'clock'>,
  { username, email }: { username: string | undefined; email: string | undefined },
  registrationId: string | null = null,
): Promise<void> {
  const keys = {
    username: username === undefined ? undefined : usernameKey(username),
    email: email === undefined ? undefined : emailKey(email),
  }
  // Nobody has an empty name.
  const wanted = { username: keys.username ?? '', email: keys.email ?? '' }
  const found = await findTaken(db, { ...wanted, now: clock.now(), registrationId })
  if (found.some(({ username_key }) => username_key === keys.username)) throw new Problem('username_taken')
  if (found.some(({ email_key }) => email_key === keys.email)) throw new Problem('email_taken')
}

/** @returns undefined when the name or the address has just been taken */
function storeUser(
  { clock }: Pick<OperatorContext, 'clock'>,
  trx: Db,
  user: {
    username: string
    email: string
    passwordHash: string
    isSuperuser: boolean
    locale: string | null
  },
): Promise<User | undefined> {
  const now = clock.now()
  return insertUser(trx, {
    id: newId(),
    username: user.username,
    username_key: usernameKey(user.username),
    email: user.email,
    email_key: emailKey(user.email),
    email_verified_at: null,
    password_hash: user.passwordHash,
    bcrypt_cost: null,
    is_active: true,
    is_superuser: user.isSuperuser,
    locale: user.locale,
    created_at: now,
    updated_at: now,
  })
}
