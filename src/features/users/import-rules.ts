import type { Insertable } from 'kysely'
import type { Timestamp } from '../../core/clock.ts'
import { newId } from '../../core/ids.ts'
import { Problem } from '../../core/problems.ts'
import { bcryptCost, needsRehash } from '../../core/security/passwords.ts'
import type { UsersTable } from '../../database/tables.ts'
import type { SourceUser } from './import-source.ts'
import { checkEmail, checkUsername, emailKey, usernameKey } from './names.ts'

/** Why somebody is left out, for people. */
export const LEFT_REASONS = {
  invalid_username: 'the username breaks the rules: 3 to 50 letters, digits or . _ -, and no e-mail address',
  invalid_email: 'this is not a valid e-mail address',
  unknown_hash: 'the password hash is neither bcrypt ($2a$, $2b$, $2y$) nor argon2id as made here',
  slow_hash: 'the password hash would take too long to verify',
  username_taken: 'the username is taken, here or by an earlier row of the file',
  email_taken: 'the e-mail address is taken, here or by an earlier row of the file',
} as const

export type LeftReason = keyof typeof LEFT_REASONS
export type ImportedUser = Insertable<UsersTable>

const BCRYPT_COST = { min: 4, max: 15 } as const
/** With other parameters the account would stand out by the time that a failed sign-in takes. */
const ARGON2ID = /\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/
/** As SQLAlchemy writes DateTime, and as SQLite's CURRENT_TIMESTAMP: in UTC without saying so. */
const SQL_TIME = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d{1,9})?)$/

/** The user as they will be stored, or why they cannot be. */
export function checkSourceUser(row: SourceUser, now: Timestamp): ImportedUser | LeftReason {
  const username = accept(checkUsername, row.username)
  if (username === undefined) return 'invalid_username'
  const email = accept(checkEmail, row.email)
  if (email === undefined) return 'invalid_email'
  const hash = row.hashed_password ?? ''
  const flaw = findHashFlaw(hash)
  if (flaw) return flaw
  const createdAt = parseTime(row.created_at, now) ?? now
  return {
    id: newId(),
    username,
    username_key: usernameKey(username),
    email,
    email_key: emailKey(email),
    email_verified_at: null,
    password_hash: hash,
    bcrypt_cost: bcryptCost(hash) ?? null,
    is_active: row.is_active === 1,
    is_superuser: row.is_superuser === 1,
    created_at: createdAt,
    updated_at: parseTime(row.updated_at, now) ?? createdAt,
  }
}

/** The value as it is kept; undefined when it breaks the rules. */
function accept(check: (text: string) => string, text: string | null): string | undefined {
  try {
    return text === null ? undefined : check(text)
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    return undefined
  }
}

function findHashFlaw(hash: string): 'unknown_hash' | 'slow_hash' | undefined {
  const cost = bcryptCost(hash)
  if (cost === undefined) return needsRehash(hash) || !ARGON2ID.test(hash) ? 'unknown_hash' : undefined
  if (cost < BCRYPT_COST.min) return 'unknown_hash'
  return cost > BCRYPT_COST.max ? 'slow_hash' : undefined
}

/** No later than now: some applications wrote local time. */
function parseTime(text: string | null, now: Timestamp): Timestamp | undefined {
  const [, date, time] = SQL_TIME.exec(text ?? '') ?? []
  const parsed = date && time ? Date.parse(`${date}T${time}Z`) : Number.NaN
  return Number.isNaN(parsed) ? undefined : Math.min(parsed, now)
}
