import { UUID } from '../../core/ids.ts'
import type { Db, User } from '../../database/tables.ts'
import { emailKey, isEmailShaped, usernameKey } from './names.ts'
import { findUser, findUserByEmail, findUserByUsername } from './queries.ts'

/** The user whom somebody names by username or e-mail address: no username has the shape of an address. */
export async function findUserByIdentifier(db: Db, identifier: string): Promise<User | undefined> {
  // PostgreSQL stores no NUL, and nobody has one in their name.
  if (identifier.includes('\0')) return undefined
  return isEmailShaped(identifier)
    ? findUserByEmail(db, { key: emailKey(identifier) })
    : findUserByUsername(db, { key: usernameKey(identifier) })
}

/** The user whom an operator names by id, e-mail address or username. */
export async function findNamedUser(db: Db, name: string): Promise<User | undefined> {
  const byId = UUID.test(name) ? await findUser(db, name.toLowerCase()) : undefined
  return byId ?? findUserByIdentifier(db, name)
}
