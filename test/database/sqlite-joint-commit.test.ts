import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { DatabaseSync } from 'node:sqlite'
import { describe, mock, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { type Database, openDatabase } from '../../src/database/connection.ts'
import { createSqliteDialect } from '../../src/database/sqlite-dialect.ts'
import { openSqliteFile } from '../../src/database/sqlite-file.ts'
import { createSqliteWriter } from '../../src/database/sqlite-writer.ts'
import { createTestDatabase } from '../support/databases.ts'
import { addUser, addUserQuery, countUsers, openFor } from './opened.ts'

const unavailable = { code: 'database_unavailable' }
const failing = new Error('the callback failed')

async function openSqlite(t: TestContext): Promise<{ database: Database; db: Database['db']; file: string }> {
  const { database, settings } = await openFor(t, 'sqlite')
  assert.ok(settings.kind === 'sqlite')
  return { database, db: database.db, file: settings.file }
}

/** Counts while `work` runs how often SQLite is told to commit. */
async function countCommits(work: () => Promise<unknown>): Promise<number> {
  const spy = mock.method(DatabaseSync.prototype, 'exec')
  await work()
  spy.mock.restore()
  return spy.mock.calls.filter(({ arguments: [command] }) => command === 'commit').length
}

/** A table on which a dangling reference is found only by the commit. */
const createDeferred = (db: Database['db']) =>
  sql`create table deferred (user_id text references users (id) deferrable initially deferred)`.execute(db)

const breakCommit = (db: Database['db']) =>
  db.transaction().execute((trx) => sql`insert into deferred values ('nobody')`.execute(trx))

describe('SQLite: joint commits', () => {
  test('200 transactions at once share few commits and are all durable', async (t) => {
    const { db, file } = await openSqlite(t)
    const names = Array.from({ length: 200 }, (_, index) => `user${index}`)
    const commits = await countCommits(() =>
      Promise.all(names.map((name) => db.transaction().execute((trx) => addUser(trx, name)))),
    )
    assert.ok(commits <= 5, `${commits} commits`)
    const other = new DatabaseSync(file, { readOnly: true })
    assert.equal(other.prepare('select count(*) as count from users').get()?.count, 200)
    other.close()
  })

  test('single statements and transactions join the same commit', async (t) => {
    const { db } = await openSqlite(t)
    const commits = await countCommits(() =>
      Promise.all([addUser(db, 'a'), db.transaction().execute((trx) => addUser(trx, 'b')), addUser(db, 'c')]),
    )
    assert.equal(commits, 1)
    assert.equal(await countUsers(db), 3)
  })

  test('requests that keep coming do not postpone the commit for ever', async (t) => {
    const { db } = await openSqlite(t)
    let isAnswered = false
    let added = 0
    const first = addUser(db, 'first').then(() => {
      isAnswered = true
    })
    const others: Promise<unknown>[] = []
    while (!isAnswered && added < 5000) {
      others.push(addUser(db, `user${added++}`))
      await new Promise(setImmediate)
    }
    await Promise.all([first, ...others])
    assert.ok(added < 5000, 'the first was answered while others kept coming')
  })

  test('a transaction that throws is rolled back alone and throws its own error', async (t) => {
    const { db } = await openSqlite(t)
    const results = await Promise.allSettled([
      addUser(db, 'before'),
      db.transaction().execute(async (trx) => {
        await addUser(trx, 'undone')
        throw failing
      }),
      db.transaction().execute(async (trx) => {
        await addUser(trx, 'undone')
        await addUser(trx, 'after')
        await trx.deleteFrom('users').where('username', '=', 'undone').execute()
      }),
    ])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.equal(results[1]?.status === 'rejected' && results[1].reason, failing)
    const rows = await db.selectFrom('users').select('username').orderBy('username').execute()
    assert.deepEqual(rows, [{ username: 'after' }, { username: 'before' }])
  })

  test('a violated constraint fails its own statement only, unchanged', async (t) => {
    const { db } = await openSqlite(t)
    const results = await Promise.allSettled([addUser(db, 'a'), addUser(db, 'a'), addUser(db, 'b')])
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.match(String(results[1]?.status === 'rejected' && results[1].reason), /UNIQUE constraint failed/)
  })

  test('when the commit fails, all members fail, also one that had failed by itself', async (t) => {
    const { db } = await openSqlite(t)
    await createDeferred(db)
    const results = await Promise.allSettled([
      addUser(db, 'a'),
      addUser(db, 'a'),
      db.transaction().execute((trx) => addUser(trx, 'b')),
      breakCommit(db),
    ])
    for (const result of results) {
      assert.equal(result.status === 'rejected' && result.reason.code, 'database_unavailable')
    }
    assert.equal(await countUsers(db), 0)
    await addUser(db, 'a')
    assert.equal(await countUsers(db), 1)
  })

  test('when SQLite itself gives up the transaction (disk full), all members fail and nothing more is written', async (t) => {
    const { db } = await openSqlite(t)
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(db)
    await sql`pragma max_page_count = ${sql.lit((rows[0]?.page_count ?? 0) + 5)}`.execute(db)
    const tooBig = 'x'.repeat(1_000_000)
    const results = await Promise.allSettled([
      addUser(db, 'a'),
      db.transaction().execute(async (trx) => {
        await addUser(trx, tooBig).catch(() => {})
        await addUser(trx, 'written outside')
      }),
      addUser(db, 'later').then(() => 'joined or came after'),
    ])
    assert.equal(results[0].status === 'rejected' && results[0].reason.code, 'database_unavailable')
    assert.equal(results[1].status === 'rejected' && results[1].reason.code, 'database_unavailable')
    assert.equal(results[2].status, 'fulfilled')
    const names = await db.selectFrom('users').select('username').execute()
    assert.deepEqual(names, [{ username: 'later' }])
  })

  test('readers never see what is not committed', async (t) => {
    const { db } = await openSqlite(t)
    await db.transaction().execute(async (trx) => {
      await addUser(trx, 'a')
      assert.equal(await countUsers(trx), 1)
      assert.equal(await countUsers(db), 0)
    })
    assert.equal(await countUsers(db), 1)
  })

  test('nobody is answered before a transaction in the same commit has ended', async (t) => {
    const { db } = await openSqlite(t)
    const order: string[] = []
    const first = addUser(db, 'a').then(() => order.push('statement'))
    const slow = db.transaction().execute(async (trx) => {
      await addUser(trx, 'b')
      await sleep(50)
      order.push('transaction')
    })
    await Promise.all([first, slow])
    assert.deepEqual(order, ['transaction', 'statement'])
  })

  test('a connection released in the middle of a transaction is rolled back and wedges nothing', async (t) => {
    const { db, file } = await openSqlite(t)
    const { reader, writer: connection } = await openSqliteFile(file)
    const writer = createSqliteWriter(connection)
    const driver = createSqliteDialect(reader, writer).createDriver()
    const left = await driver.acquireConnection()
    await driver.beginTransaction(left, {})
    await left.executeQuery(addUserQuery(db, 'left').compile())
    const next = writer.run(addUserQuery(db, 'next').compile())
    await driver.releaseConnection(left)
    await next
    await writer.close()
    reader.close()
    connection.close()
    assert.deepEqual(await db.selectFrom('users').select('username').execute(), [{ username: 'next' }])
  })

  test('a write on the outer database inside a transaction fails within 5 seconds instead of for ever', async (t) => {
    const { db } = await openSqlite(t)
    const stuck = db.transaction().execute(() => addUser(db, 'a'))
    await assert.rejects(stuck, unavailable)
    await addUser(db, 'b')
    assert.equal(await countUsers(db), 1)
  })

  test('savepoints within a transaction can be rolled back', async (t) => {
    const { db } = await openSqlite(t)
    const transaction = await db.startTransaction().execute()
    await addUser(transaction, 'a')
    const inner = await transaction.savepoint('turn').execute()
    await addUser(inner, 'b')
    await inner.rollbackToSavepoint('turn').execute()
    await inner.releaseSavepoint('turn').execute()
    await transaction.commit().execute()
    assert.deepEqual(await db.selectFrom('users').select('username').execute(), [{ username: 'a' }])
  })

  test('closing waits for the writes under way and refuses those that come after', async (t) => {
    const { settings } = await openFor(t, 'sqlite')
    const database = await openDatabase(settings)
    const writes = Promise.all([addUser(database.db, 'a'), addUser(database.db, 'b')])
    await new Promise(setImmediate)
    await database.close()
    await writes
    await assert.rejects(addUser(database.db, 'c'))
  })

  test('a write that was answered survives kill -9', async (t) => {
    const { settings, drop } = await createTestDatabase('sqlite')
    t.after(drop)
    assert.ok(settings.kind === 'sqlite')
    const script = fileURLToPath(new URL('./write-child.ts', import.meta.url))
    const child = spawn(process.execPath, [script, settings.file], { timeout: 30_000 })
    let answered = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      answered += text
      if (answered.length > 2000) child.kill('SIGKILL')
    })
    await new Promise((resolve) => child.once('close', resolve))
    const names = answered.split('\n').slice(0, -1)
    assert.ok(names.length > 50)
    const survivors = new DatabaseSync(settings.file)
    const rows = survivors.prepare('select username from users').all()
    survivors.close()
    const found = new Set(rows.map(({ username }) => username))
    assert.deepEqual(
      names.filter((name) => !found.has(name)),
      [],
    )
  })
})
