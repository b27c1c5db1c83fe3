import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { sql } from 'kysely'
import { newId } from '../../src/core/ids.ts'
import { openDatabase } from '../../src/database/connection.ts'
import { DATABASES } from '../support/databases.ts'
import { addUser, openFor, ping, userRow } from './opened.ts'

for (const kind of DATABASES) {
  describe(`${kind}: the same rows`, () => {
    test('times and counts are numbers, flags booleans, ids text, rows plain objects', async (t) => {
      const { db } = (await openFor(t, kind)).database
      const row = { ...userRow('a'), is_active: false, is_superuser: true }
      const inserted = await db.insertInto('users').values(row).returningAll().executeTakeFirstOrThrow()
      const found = await db.selectFrom('users').selectAll().where('id', '=', row.id).executeTakeFirst()
      assert.deepEqual(inserted, found)
      assert.deepEqual({ ...inserted, ...row }, inserted)
      assert.equal(typeof inserted.created_at, 'number')
      const counted = await db
        .selectFrom('users')
        .select((expression) => expression.fn.countAll().as('count'))
        .where('is_superuser', '=', true)
        .executeTakeFirst()
      assert.deepEqual(counted, { count: 1 })
    })

    test('a boolean keeps its type under another name, in a join and when RETURNING', async (t) => {
      const { db } = (await openFor(t, kind)).database
      await addUser(db, 'a')
      const joined = await db
        .selectFrom('users as a')
        .innerJoin('users as b', 'a.id', 'b.id')
        .select(['b.is_active as works', 'a.is_superuser as rules'])
        .execute()
      assert.deepEqual(joined, [{ works: true, rules: false }])
      const updated = await db
        .updateTable('users')
        .set({ is_active: false })
        .returning('is_active as on')
        .execute()
      assert.deepEqual(updated, [{ on: false }])
    })

    test('the number of changed rows is told, with and without RETURNING', async (t) => {
      const { db } = (await openFor(t, kind)).database
      await addUser(db, 'a')
      await addUser(db, 'b')
      const update = db.updateTable('users').set({ updated_at: 1 })
      assert.equal((await update.executeTakeFirst()).numUpdatedRows, 2n)
      assert.equal((await update.returning('id').execute()).length, 2)
      const remove = db.deleteFrom('users').where('id', '=', newId())
      assert.equal((await remove.executeTakeFirst()).numDeletedRows, 0n)
    })

    test('row locks may be asked for, also in INSERT ... SELECT', async (t) => {
      const { db } = (await openFor(t, kind)).database
      await addUser(db, 'a')
      await db.transaction().execute(async (trx) => {
        const users = trx.selectFrom('users').select('id').where('username', '=', 'a')
        for (const query of [
          users.forUpdate(),
          users.forShare(),
          users.forNoKeyUpdate(),
          users.forUpdate().skipLocked(),
        ]) {
          assert.equal((await query.execute()).length, 1)
        }
        await trx
          .insertInto('audit_events')
          .columns(['id', 'occurred_at', 'type', 'user_id'])
          .expression(
            trx
              .selectFrom('users')
              .select((expression) => [
                sql<string>`cast(${newId()} as ${sql.raw(kind === 'sqlite' ? 'text' : 'uuid')})`.as(
                  'event_id',
                ),
                'created_at',
                expression.val('test').as('type'),
                'id',
              ])
              .forShare(),
          )
          .execute()
      })
      assert.equal((await db.selectFrom('audit_events').select('user_id').execute()).length, 1)
    })

    test('an undefined parameter is an error', async (t) => {
      const { db } = (await openFor(t, kind)).database
      await assert.rejects(sql`select ${undefined} as x`.execute(db), /undefined/)
    })

    test("a transaction's callback throws its own error", async (t) => {
      const { db } = (await openFor(t, kind)).database
      const own = new Error('own')
      const thrown = db.transaction().execute(async (trx) => {
        await addUser(trx, 'a')
        throw own
      })
      await assert.rejects(thrown, (error) => error === own)
      assert.deepEqual(await db.selectFrom('users').select('id').execute(), [])
    })

    test('foreign keys are enforced, and a violation passes unchanged', async (t) => {
      const { db } = (await openFor(t, kind)).database
      const session = {
        id: newId(),
        user_id: newId(),
        client_id: '',
        scope: '',
        created_at: 1,
        authenticated_at: 1,
        amr: '',
        rotated_at: 1,
        ip: '',
        user_agent: '',
        expires_at: 1,
      }
      await assert.rejects(db.insertInto('sessions').values(session).execute(), /foreign key/i)
    })

    test('ping answers, and now tells the time within a minute of the local clock', async (t) => {
      const { database } = await openFor(t, kind)
      await ping(database)
      assert.ok(Math.abs((await database.now()) - Date.now()) < 60_000)
    })

    test('who holds the startup lock and does nothing loses it after a minute', {
      skip: kind === 'sqlite' && 'the locks of SQLite end with their process',
    }, async (t) => {
      const { database } = await openFor(t, kind)
      const bound = await database.runAlone(async (db) => {
        const setting = sql<string>`current_setting('idle_in_transaction_session_timeout')`.as('bound')
        return (await db.selectNoFrom(setting).executeTakeFirstOrThrow()).bound
      })
      assert.equal(bound, '1min')
    })

    test('the startup lock is held by one at a time, and what it did is undone when it throws', async (t) => {
      const { database, settings } = await openFor(t, kind)
      const other = await openDatabase(settings)
      t.after(() => other.close())
      let inside = 0
      const enter = (node: typeof database) =>
        node.runAlone(async (db) => {
          inside++
          assert.equal(inside, 1)
          await db.selectFrom('users').select('id').execute()
          await new Promise((resolve) => setTimeout(resolve, 30))
          inside--
        })
      await Promise.all([enter(database), enter(other), enter(database), enter(other)])
      const failing = database.runAlone(async (db) => {
        await addUser(db, 'a')
        throw new Error('undo')
      })
      await assert.rejects(failing, /undo/)
      assert.deepEqual(await database.db.selectFrom('users').select('id').execute(), [])
    })
  })
}

describe('SQLite: the file', () => {
  test('a new file and folder are for their owner alone', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-test-'))
    t.after(() => rm(folder, { recursive: true }))
    const file = join(folder, 'new', 'postern.db')
    const database = await openDatabase({ kind: 'sqlite', file })
    await sql`create table t (id uuid)`.execute(database.db)
    for (const path of [file, `${file}-wal`, `${file}-shm`]) {
      assert.equal((await stat(path)).mode & 0o777, 0o600, path)
    }
    assert.equal((await stat(join(folder, 'new'))).mode & 0o777, 0o700)
    await database.close()
  })

  test('each commit is synchronised to the disk', async (t) => {
    const { db } = (await openFor(t, 'sqlite')).database
    const FULL = 2
    assert.deepEqual((await sql`pragma synchronous`.execute(db)).rows, [{ synchronous: FULL }])
    assert.deepEqual((await sql`pragma journal_mode`.execute(db)).rows, [{ journal_mode: 'wal' }])
  })

  test('more than 500 different statements can be used again', async (t) => {
    const { db } = (await openFor(t, 'sqlite')).database
    for (const round of [1, 2]) {
      for (let number = 0; number < 600; number++) {
        const { value } = await db.selectNoFrom(sql.lit(number + round).as('value')).executeTakeFirstOrThrow()
        assert.equal(value, number + round)
      }
    }
  })

  test('streaming is refused with a hint', async (t) => {
    const { db } = (await openFor(t, 'sqlite')).database
    await assert.rejects(db.selectFrom('users').selectAll().stream().next(), /read in pages/)
  })

  test('a prepared SELECT * sees columns added since, with their types', async (t) => {
    const { db } = (await openFor(t, 'sqlite')).database
    await addUser(db, 'a')
    const [before] = await db.selectFrom('users').selectAll().execute()
    await sql`alter table users add column later boolean not null default true`.execute(db)
    assert.deepEqual(await db.selectFrom('users').selectAll().execute(), [{ ...before, later: true }])
  })

  test('what cannot be opened is a StartupError of one line', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-test-'))
    t.after(() => rm(folder, { recursive: true }))
    const text = join(folder, 'notes.txt')
    await writeFile(text, 'This is not a database. '.repeat(100))
    const refused = (reason: RegExp) => (error: Error) =>
      error.name === 'StartupError' && !error.message.includes('\n') && reason.test(error.message)
    await assert.rejects(openDatabase({ kind: 'sqlite', file: text }), refused(/is not an SQLite database/))
    await assert.rejects(openDatabase({ kind: 'sqlite', file: folder }), refused(/cannot be opened/))
    await assert.rejects(
      openDatabase({ kind: 'sqlite', file: join(text, 'x.db') }),
      refused(/cannot be opened/),
    )
  })
})
