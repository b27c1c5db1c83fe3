import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { sql } from 'kysely'
import { Client } from 'pg'
import { type DatabaseSettings, openDatabase } from '../../src/database/connection.ts'
import { migrate, pendingMigrations } from '../../src/database/migrate.ts'
import { migrations } from '../../src/database/migrations/index.ts'
import { createTestDatabase } from '../support/databases.ts'
import { addUser, countUsers, openFor } from './opened.ts'

const all = Object.keys(migrations).sort()

/** What another application that uses Kysely, and has users, keeps in a schema. */
const foreignTables = (schema: string) => `
  create table ${schema}.kysely_migration (name text primary key, timestamp text not null);
  create table ${schema}.kysely_migration_lock (id text primary key, is_locked int4 not null);
  insert into ${schema}.kysely_migration values ('2020-of-another-application', '2020-01-01T00:00:00Z');
  create table ${schema}.users (id int4 primary key);
`

describe('postgres: another application in the same database', () => {
  test('in another schema: it is neither taken for a newer version nor touched', async (t) => {
    const { database, settings } = await openFor(t, 'postgres', 'empty')
    await query(settings, `create schema other; ${foreignTables('other')}`)
    assert.deepEqual(await pendingMigrations(database), all)
    assert.deepEqual(await migrate(database), all)
    assert.deepEqual(await pendingMigrations(database), [])
    assert.deepEqual(await migrate(database), [])
    const { rows } = await sql<{ name: string }>`select name from other.kysely_migration`.execute(database.db)
    assert.deepEqual(
      rows.map(({ name }) => name),
      ['2020-of-another-application'],
    )
  })

  test('with the names of our migrations in another schema: ours are applied all the same', async (t) => {
    const { database, settings } = await openFor(t, 'postgres', 'empty')
    const names = all.map((name) => `('${name}', 'now')`).join(', ')
    await query(
      settings,
      `create schema other; ${foreignTables('other')}; insert into other.kysely_migration values ${names}`,
    )
    assert.deepEqual(await migrate(database), all)
    await addUser(database.db, 'ada')
    assert.equal(await countUsers(database.db), 1)
  })

  test('in public, with a schema of our own before it in the search path: the same', async (t) => {
    const { settings, drop } = await createTestDatabase('postgres')
    t.after(drop)
    await query(settings, `${foreignTables('public')} create schema ours`)
    const database = await openIn(t, settings, 'ours')
    assert.deepEqual(await pendingMigrations(database), all)
    assert.deepEqual(await migrate(database), all)
    assert.deepEqual(await pendingMigrations(database), [])
    await addUser(database.db, 'ada')
    assert.equal(await countUsers(database.db), 1)
    const { rows } = await sql`select from public.users`.execute(database.db)
    assert.equal(rows.length, 0)
  })

  test('a search path without any schema is refused in one line', async (t) => {
    const { settings, drop } = await createTestDatabase('postgres')
    t.after(drop)
    await assert.rejects(openIn(t, settings, 'nowhere', ''), {
      name: 'StartupError',
      message: /^PostgreSQL database "\w+" at \S+: no schema of this user's search_path exists$/,
    })
  })
})

/** Opens the database with a search path of its own. */
async function openIn(t: TestContext, settings: DatabaseSettings, schema: string, rest = ',public') {
  const url = urlOf(settings)
  url.searchParams.set('options', `-c search_path=${schema}${rest}`)
  const database = await openDatabase({
    kind: 'postgres',
    url: url.href,
    poolSize: 2,
    preparedStatements: true,
  })
  t.after(() => database.close())
  return database
}

async function query(settings: DatabaseSettings, statements: string): Promise<void> {
  const client = new Client({ connectionString: urlOf(settings).href })
  await client.connect()
  await client.query(statements).finally(() => client.end())
}

const urlOf = (settings: DatabaseSettings): URL =>
  new URL(settings.kind === 'postgres' ? settings.url : assert.fail('This is not PostgreSQL.'))
