import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { migrate, pendingMigrations } from '../../src/database/migrate.ts'
import { migrations } from '../../src/database/migrations/index.ts'
import { createTestDatabase, DATABASES } from '../support/databases.ts'
import { openFor } from './opened.ts'

const run = promisify(execFile)
const all = Object.keys(migrations).sort()
const script = fileURLToPath(new URL('./migrate-child.ts', import.meta.url))

for (const kind of DATABASES) {
  describe(`${kind}: migrations`, () => {
    test('run once, in order, and say which', async (t) => {
      const { database } = await openFor(t, kind, 'empty')
      assert.deepEqual(await pendingMigrations(database), all)
      assert.deepEqual(await migrate(database), all)
      assert.deepEqual(await migrate(database), [])
      assert.deepEqual(await pendingMigrations(database), [])
    })

    test('asking for the pending ones changes nothing', async (t) => {
      const { database } = await openFor(t, kind, 'empty')
      await pendingMigrations(database)
      assert.deepEqual(await database.db.introspection.getTables({ withInternalKyselyTables: true }), [])
    })

    test('five processes at once: all succeed and each migration runs once', async (t) => {
      const { settings, drop } = await createTestDatabase(kind)
      t.after(drop)
      const children = Array.from({ length: 5 }, () =>
        run(process.execPath, [script, JSON.stringify(settings)], { timeout: 60_000 }),
      )
      const applied = (await Promise.all(children)).map(({ stdout }) => JSON.parse(stdout))
      assert.deepEqual(applied.flat().sort(), all)
    })

    test('a database that a newer version has migrated is refused and left as it is', async (t) => {
      const { database } = await openFor(t, kind, 'empty')
      await sql`create table kysely_migration (name text, timestamp text)`.execute(database.db)
      await sql`insert into kysely_migration values ('999-later', '2026-01-01T00:00:00Z')`.execute(
        database.db,
      )
      const refused = {
        name: 'StartupError',
        message: 'The database was migrated by a newer version of Postern (999-later): update this node',
      }
      await assert.rejects(pendingMigrations(database), refused)
      await assert.rejects(migrate(database), refused)
      const tables = await database.db.introspection.getTables({ withInternalKyselyTables: true })
      assert.deepEqual(
        tables.map(({ name }) => name),
        ['kysely_migration'],
      )
    })

    test('one that fails leaves nothing behind, and the lock free', async (t) => {
      const { database } = await openFor(t, kind, 'empty')
      await sql`create table audit_events (id text)`.execute(database.db)
      await assert.rejects(migrate(database), /already exists/)
      const tables = await database.db.introspection.getTables({ withInternalKyselyTables: true })
      assert.deepEqual(
        tables.map(({ name }) => name),
        ['audit_events'],
      )
      await sql`drop table audit_events`.execute(database.db)
      assert.deepEqual(await migrate(database), all)
    })
  })
}
