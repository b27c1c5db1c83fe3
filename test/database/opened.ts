import type { TestContext } from 'node:test'
import { sql } from 'kysely'
import { newId } from '../../src/core/ids.ts'
import { type Database, type DatabaseSettings, openDatabase } from '../../src/database/connection.ts'
import { migrate } from '../../src/database/migrate.ts'
import { createTestDatabase, type DatabaseKind } from '../support/databases.ts'

export type Opened = { database: Database; settings: DatabaseSettings }

/** A database of the test's own, removed with it, with or without the tables. */
export async function openFor(t: TestContext, kind: DatabaseKind, empty?: 'empty'): Promise<Opened> {
  const { settings, drop } = await createTestDatabase(kind)
  const database = await openDatabase(settings)
  t.after(async () => {
    await database.close()
    await drop()
  })
  if (!empty) await migrate(database)
  return { database, settings }
}

/** The least that shows that the database answers. */
export async function ping({ db }: Database): Promise<void> {
  await db.selectNoFrom(sql.lit(1).as('one')).execute()
}

/** A row for `users`, complete and valid. */
export const userRow = (name: string) => ({
  id: newId(),
  username: name,
  username_key: name,
  email: `${name}@example.test`,
  email_key: `${name}@example.test`,
  email_verified_at: null,
  password_hash: null,
  bcrypt_cost: null,
  is_active: true,
  is_superuser: false,
  created_at: 1_750_000_000_000,
  updated_at: 1_750_000_000_000,
})

export const addUserQuery = (db: Database['db'], name: string) => db.insertInto('users').values(userRow(name))

export const addUser = (db: Database['db'], name: string) => addUserQuery(db, name).execute()

export async function countUsers(db: Database['db']): Promise<number> {
  const { count } = await db
    .selectFrom('users')
    .select((expression) => expression.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return count
}
