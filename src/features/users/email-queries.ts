import { sql } from 'kysely'
import type { Timestamp } from '../../core/clock.ts'
import type { UserId } from '../../core/ids.ts'
import type { Db, User } from '../../database/tables.ts'

/** Addresses as they are compared: folded by `emailKey`. */
type Key = string

/** Marks the address of a user as theirs, if it still is; undefined when not. */
export function markEmailVerified(
  db: Db,
  { id, key, now }: { id: UserId; key: Key; now: Timestamp },
): Promise<User | undefined> {
  return db
    .updateTable('users')
    .set((eb) => ({
      email_verified_at: eb.fn.coalesce('email_verified_at', eb.val(now)),
      updated_at: sql<number>`case when email_verified_at is null then cast(${now} as bigint) else updated_at end`,
    }))
    .where('id', '=', id)
    .where('email_key', '=', key)
    .returningAll()
    .executeTakeFirst()
}

/**
 * Puts another address, which is verified, in the place of a user's.
 * @param from the one that it takes the place of: undefined when that is no longer theirs, or they are disabled
 */
export function replaceEmail(
  db: Db,
  { id, from, email, key, now }: { id: UserId; from?: Key; email: string; key: Key; now: Timestamp },
): Promise<User | undefined> {
  return db
    .updateTable('users')
    .set({ email, email_key: key, email_verified_at: now, updated_at: now })
    .where('id', '=', id)
    .$if(from !== undefined, (query) =>
      query.where('email_key', '=', from ?? '').where('is_active', '=', true),
    )
    .returningAll()
    .executeTakeFirst()
}

/** Sets a new password for who reads the mail of an address, if it is still the user's; undefined when not. */
export function resetPasswordHash(
  db: Db,
  { id, key, hash, now }: { id: UserId; key: Key; hash: string; now: Timestamp },
): Promise<User | undefined> {
  return db
    .updateTable('users')
    .set((eb) => ({
      password_hash: hash,
      bcrypt_cost: null,
      email_verified_at: eb.fn.coalesce('email_verified_at', eb.val(now)),
      updated_at: now,
    }))
    .where('id', '=', id)
    .where('email_key', '=', key)
    .where('is_active', '=', true)
    .returningAll()
    .executeTakeFirst()
}

/** Takes the password away: nobody signs in with it, until a new one is set. False when there was none. */
export async function removePassword(db: Db, id: UserId): Promise<boolean> {
  const removed = await db
    .updateTable('users')
    .set({ password_hash: null, bcrypt_cost: null })
    .where('id', '=', id)
    .where('password_hash', 'is not', null)
    .returning('id')
    .executeTakeFirst()
  return removed !== undefined
}

/** Who has an address; keeps others from changing or deleting them until the transaction ends. */
export function lockUserByEmail(db: Db, key: Key): Promise<User | undefined> {
  return db.selectFrom('users').selectAll().where('email_key', '=', key).forNoKeyUpdate().executeTakeFirst()
}

/** What people sign in with, as it is compared. */
export const NAME_KEYS = ['username_key', 'email_key'] as const
type Names = Pick<User, (typeof NAME_KEYS)[number]>

/** Keeps a user from being renamed until the transaction ends, and holds up nothing else. */
export function holdNames(db: Db, id: UserId): Promise<Names | undefined> {
  return db.selectFrom('users').select(NAME_KEYS).where('id', '=', id).forKeyShare().executeTakeFirst()
}

/** Keeps others from changing a user until the transaction ends; gives the names that nobody else can take until then. */
export function lockUserRow(db: Db, id: UserId): Promise<Names | undefined> {
  return db.selectFrom('users').select(NAME_KEYS).where('id', '=', id).forNoKeyUpdate().executeTakeFirst()
}
