import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, test } from 'node:test'
import { sql } from 'kysely'
import { type Database, type DatabaseSettings, openDatabase } from '../../src/database/connection.ts'
import { FULL } from '../support/scale.ts'
import { addUser, countUsers, openFor, ping } from './opened.ts'

const unavailable = { code: 'database_unavailable', retryAfterSeconds: 1 }

async function openAnother(settings: DatabaseSettings, changes = {}): Promise<Database> {
  assert.ok(settings.kind === 'postgres')
  return openDatabase({ ...settings, ...changes })
}

const terminateOthers = (db: Database['db']) =>
  sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`.execute(db)

describe('PostgreSQL: outages', () => {
  test('idle connections that were cut are replaced', async (t) => {
    const { database, settings } = await openFor(t, 'postgres')
    const killer = await openAnother(settings)
    t.after(() => killer.close())
    await Promise.all(Array.from({ length: 5 }, () => ping(database)))
    await terminateOthers(killer.db)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await Promise.all(Array.from({ length: 10 }, () => ping(database)))
  })

  test('a connection cut in the middle of a query fails it as database_unavailable, then the pool recovers', async (t) => {
    const { database, settings } = await openFor(t, 'postgres')
    const killer = await openAnother(settings)
    t.after(() => killer.close())
    const sleeping = sql`select pg_sleep(30)`.execute(database.db)
    const refused = assert.rejects(sleeping, unavailable)
    await new Promise((resolve) => setTimeout(resolve, 200))
    await terminateOthers(killer.db)
    await refused
    await ping(database)
  })

  test('a connection cut in the middle of a transaction rolls it back, and the callback keeps its own error', async (t) => {
    const { database, settings } = await openFor(t, 'postgres')
    const killer = await openAnother(settings)
    t.after(() => killer.close())
    const own = new Error('own')
    const cut = database.db.transaction().execute(async (trx) => {
      await addUser(trx, 'a')
      await terminateOthers(killer.db)
      await assert.rejects(countUsers(trx), unavailable)
      throw own
    })
    await assert.rejects(cut, (error) => error === own)
    assert.equal(await countUsers(database.db), 0)
  })

  test('a deadlock fails one side as database_unavailable', async (t) => {
    const { db } = (await openFor(t, 'postgres')).database
    await addUser(db, 'a')
    await addUser(db, 'b')
    const lock = (names: [string, string]) =>
      db.transaction().execute(async (trx) => {
        for (const name of names) {
          await trx.updateTable('users').set({ updated_at: 1 }).where('username', '=', name).execute()
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
      })
    const results = await Promise.allSettled([lock(['a', 'b']), lock(['b', 'a'])])
    const rejected = results.filter((result) => result.status === 'rejected')
    assert.deepEqual(
      rejected.map(({ reason }) => reason.code),
      ['database_unavailable'],
    )
  })

  test('a server that accepts and says nothing is given up after 3 seconds', async (t) => {
    const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
    t.after(() => silent.close())
    await new Promise((resolve) => silent.once('listening', resolve))
    const address = silent.address()
    assert.ok(address && typeof address === 'object')
    const url = `postgres://someone:hidden@127.0.0.1:${address.port}/app`
    const started = performance.now()
    await assert.rejects(openDatabase({ kind: 'postgres', url, poolSize: 1, preparedStatements: true }), {
      name: 'StartupError',
    })
    assert.ok(performance.now() - started < 5000)
  })

  test('a query stuck for 10 seconds is given up, and nothing queues behind it', {
    skip: !FULL && 'it waits for 10 seconds: only in the full run',
  }, async (t) => {
    const { database, settings } = await openFor(t, 'postgres')
    const narrow = await openAnother(settings, { poolSize: 1 })
    t.after(() => narrow.close())
    const started = performance.now()
    const stuck = narrow.db.transaction().execute((trx) => sql`select pg_sleep(60)`.execute(trx))
    await assert.rejects(stuck, unavailable)
    await ping(narrow)
    assert.ok(performance.now() - started < 11_500)
    await terminateOthers(database.db)
  })
})

describe('PostgreSQL: sessions', () => {
  const countPrepared = async ({ db }: Database) =>
    (await sql<{ count: number }>`select count(*) as count from pg_prepared_statements`.execute(db)).rows[0]
      ?.count

  for (const preparedStatements of [true, false]) {
    test(`with preparedStatements ${preparedStatements}, statements are ${preparedStatements ? '' : 'not '}kept in the session`, async (t) => {
      const { settings } = await openFor(t, 'postgres')
      const database = await openAnother(settings, { poolSize: 1, preparedStatements })
      t.after(() => database.close())
      await addUser(database.db, 'a')
      await addUser(database.db, 'b')
      assert.equal(await countPrepared(database), preparedStatements ? 1 : 0)
    })
  }

  test('a statement prepared before a migration goes on working after it', async (t) => {
    const { settings, database } = await openFor(t, 'postgres')
    const narrow = await openAnother(settings, { poolSize: 1 })
    t.after(() => narrow.close())
    await addUser(narrow.db, 'a')
    const find = (db: Database['db']) =>
      db.selectFrom('users').selectAll().where('username', '=', 'a').execute()
    assert.equal((await find(narrow.db)).length, 1)
    await sql`alter table users add column later boolean not null default true`.execute(database.db)
    assert.equal((await find(narrow.db)).length, 1)
    assert.equal((await find(narrow.db)).length, 1)
    await sql`alter table users add column last boolean not null default true`.execute(database.db)
    await assert.rejects(
      narrow.db.transaction().execute((trx) => find(trx)),
      unavailable,
    )
    assert.equal((await narrow.db.transaction().execute((trx) => find(trx))).length, 1)
  })
})

describe('PostgreSQL: what cannot be used is a StartupError of one line without the password', () => {
  const base = process.env.TEST_DATABASE_URL ?? ''
  const urls = {
    'nobody listens': 'postgres://someone:hidden@127.0.0.1:1/app',
    'nobody listens at any address': 'postgres://someone:hidden@localhost:1/app',
    'no such database': Object.assign(new URL(base), { pathname: '/no_such_database', password: 'hidden' })
      .href,
    'not a URL': 'postgres://someone:hid den@:port/',
  }
  for (const [name, url] of Object.entries(urls)) {
    test(name, async () => {
      const opening = openDatabase({ kind: 'postgres', url, poolSize: 1, preparedStatements: true })
      await assert.rejects(opening, (error: Error) => {
        assert.equal(error.name, 'StartupError')
        assert.match(error.message, /^[^\n]*PostgreSQL[^\n]* cannot be used: [^\n]+$/)
        assert.doesNotMatch(error.message, /hid/)
        return true
      })
    })
  }
})

test('PostgreSQL: a database in another encoding than UTF-8 is refused in one line', async (t) => {
  const { database, settings } = await openFor(t, 'postgres', 'empty')
  assert.ok(settings.kind === 'postgres')
  const url = new URL(settings.url)
  url.pathname += '_latin2'
  const name = url.pathname.slice(1)
  await sql
    .raw(`create database ${name} encoding 'LATIN2' lc_collate 'C' lc_ctype 'C' template template0`)
    .execute(database.db)
  try {
    await assert.rejects(openDatabase({ ...settings, url: url.href }), {
      name: 'StartupError',
      message: new RegExp(`^PostgreSQL database "${name}" at \\S+ has encoding LATIN2: Postern needs UTF8$`),
    })
  } finally {
    await sql.raw(`drop database ${name}`).execute(database.db)
  }
})
