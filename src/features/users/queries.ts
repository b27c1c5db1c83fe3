import type { ExpressionBuilder, Insertable, Updateable } from 'kysely'
import { sql } from 'kysely'
import type { Timestamp } from '../../core/clock.ts'
import type { SessionId, UserId } from '../../core/ids.ts'
import { prepareRow, prepareRows } from '../../database/compiled.ts'
import type { Db, Tables, User, UsersTable } from '../../database/tables.ts'

/** Adds a user; undefined when the username or the address is taken. */
export function insertUser(db: Db, user: Insertable<UsersTable>): Promise<User | undefined> {
  return db
    .insertInto('users')
    .values(user)
    .onConflict((conflict) => conflict.doNothing())
    .returningAll()
    .executeTakeFirst()
}

export function findUser(db: Db, id: UserId): Promise<User | undefined> {
  return db.selectFrom('users').selectAll().where('id', '=', id).executeTakeFirst()
}

/** `key` as it is compared: folded by `usernameKey`. */
export const findUserByUsername = prepareRow((db, user: { key: string }) =>
  db.selectFrom('users').selectAll().where('username_key', '=', user.key),
)

/** `key` as it is compared: folded by `emailKey`. */
export const findUserByEmail = prepareRow((db, user: { key: string }) =>
  db.selectFrom('users').selectAll().where('email_key', '=', user.key),
)

/** A name and an address, both as they are compared. */
type Wanted = { username: string; email: string; now: Timestamp; registrationId: string | null }

/**
 * Which of the two somebody has; a name also who is registering with it, and whose address is not verified yet.
 * @param wanted `registrationId` is the registration that wants them
 */
export const findTaken = prepareRows((db, wanted: Wanted) =>
  db
    .selectFrom('users')
    .select(['username_key', 'email_key'])
    .where((eb) => eb.or([eb('username_key', '=', wanted.username), eb('email_key', '=', wanted.email)]))
    .unionAll(
      db
        .selectFrom('registrations')
        .select(['username_key', sql<string>`''`.as('email_key')])
        .where('username_key', '=', wanted.username)
        .where('expires_at', '>', wanted.now)
        .where('id', 'is distinct from', wanted.registrationId),
    ),
)

/** The cost of the slowest bcrypt hash that is still stored; null when none is. One step in an index. */
export async function findSlowestBcryptCost(db: Db): Promise<number | null> {
  const row = await selectSlowestBcryptCost(db, {})
  return row?.cost ?? null
}

const selectSlowestBcryptCost = prepareRow((db) =>
  db
    .selectFrom('users')
    .select((eb) => eb.fn.max('bcrypt_cost').as('cost'))
    .where('bcrypt_cost', 'is not', null),
)

/** Puts a hash with today's parameters in the place of the one just verified; false when that was changed meanwhile. */
export async function replacePasswordHash(
  db: Db,
  id: UserId,
  oldHash: string,
  newHash: string,
): Promise<boolean> {
  const row = await db
    .updateTable('users')
    .set({ password_hash: newHash, bcrypt_cost: null })
    .where('id', '=', id)
    .where('password_hash', '=', oldHash)
    .returning('id')
    .executeTakeFirst()
  return row !== undefined
}

/** What must still hold for a user to change their own account. */
export type UserGuard = {
  userId: UserId
  /** The session that asks must stand. */
  sessionId: SessionId
  /** The hash that the current password was verified against, if it had to be. */
  verifiedHash: string | undefined
}

/** Changes a user's own account; undefined when the guard no longer holds. Throws on a taken name or address. */
export function updateOwnUser(
  db: Db,
  guard: UserGuard,
  changes: Updateable<UsersTable>,
): Promise<User | undefined> {
  return db.updateTable('users').set(changes).where(isGuarded(guard)).returningAll().executeTakeFirst()
}

/** Deletes a user with all that is theirs; false when the guard no longer holds. */
export async function deleteOwnUser(db: Db, guard: UserGuard): Promise<boolean> {
  const row = await db.deleteFrom('users').where(isGuarded(guard)).returning('id').executeTakeFirst()
  return row !== undefined
}

const isGuarded =
  ({ userId, sessionId, verifiedHash }: UserGuard) =>
  (eb: ExpressionBuilder<Tables, 'users'>) =>
    eb.and([
      eb('users.id', '=', userId),
      eb('users.is_active', '=', true),
      ...(verifiedHash === undefined ? [] : [eb('users.password_hash', '=', verifiedHash)]),
      eb.exists(
        eb
          .selectFrom('sessions')
          .select('sessions.id')
          .where('sessions.id', '=', sessionId)
          .where('sessions.user_id', '=', userId)
          .where('sessions.revoked_at', 'is', null),
      ),
    ])

/** How many superusers can sign in. */
export async function countActiveSuperusers(db: Db): Promise<number> {
  const { count } = await db
    .selectFrom('users')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('is_superuser', '=', true)
    .where('is_active', '=', true)
    .executeTakeFirstOrThrow()
  return count
}

/** Sets whether a user may sign in, or is a superuser; undefined when there is no such user, or it was so already. */
export function setUserFlag(
  db: Db,
  id: UserId,
  [flag, value]: [flag: 'is_active' | 'is_superuser', value: boolean],
  now: Timestamp,
): Promise<User | undefined> {
  return db
    .updateTable('users')
    .set({ [flag]: value, updated_at: now })
    .where('id', '=', id)
    .where(flag, '!=', value)
    .returningAll()
    .executeTakeFirst()
}

/** Users in order of their creation, beginning after the id `after`. */
export function listUsers(
  db: Db,
  { after, limit }: { after: UserId | undefined; limit: number },
): Promise<User[]> {
  return db
    .selectFrom('users')
    .selectAll()
    .$if(after !== undefined, (query) => query.where('id', '>', after as UserId))
    .orderBy('id')
    .limit(limit)
    .execute()
}
