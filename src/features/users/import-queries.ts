import type { Insertable } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, UsersTable } from '../../database/tables.ts'

/** Adds those whose username and address are free; gives their ids. */
export async function insertFreeUsers(
  db: Db,
  users: readonly Insertable<UsersTable>[],
): Promise<Set<UserId>> {
  const rows = await db
    .insertInto('users')
    .values(users)
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .execute()
  return new Set(rows.map(({ id }) => id))
}

/** Which of these usernames, as they are compared, are taken. */
export async function findTakenUsernames(db: Db, keys: readonly string[]): Promise<Set<string>> {
  const rows = await db.selectFrom('users').select('username_key').where('username_key', 'in', keys).execute()
  return new Set(rows.map(({ username_key }) => username_key))
}
