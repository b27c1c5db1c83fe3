import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type KyselyPlugin, sql } from 'kysely'
import pg from 'pg'
import { DAY, HOUR } from '../../src/core/clock.ts'
import { newId } from '../../src/core/ids.ts'
import type { Session } from '../../src/database/tables.ts'
import { cleanUpSessions } from '../../src/features/sessions/clean-up-sessions.ts'
import { onEachDatabase, type TestServer } from '../kit.ts'
import { mustFail, mustRefresh, ROAD, sessionOf, signIn } from '../support/sessions.ts'

onEachDatabase('session storage', ({ share, start, kind }) => {
  it('is one row a session, however many refreshes', async () => {
    const server = await start()
    let token = await signIn(server)
    const before = await countRows(server)
    for (let count = 0; count < 30; count += 1) token = await mustRefresh(server, token)
    assert.deepEqual(await countRows(server), before)
    assert.equal(before.sessions, 1)
  })

  it('has no index on a column that a refresh changes', async () => {
    const server = await share()
    const token = await signIn(server)
    const before = await sessionOf(server, token)
    server.clock.advance(HOUR)
    await mustRefresh(server, token, { ip: '192.0.2.9', userAgent: 'other/1.0' })
    server.clock.advance(HOUR)
    await mustRefresh(server, token, { ...ROAD, userAgent: 'third/1.0' })
    const after = await sessionOf(server, token)
    const changed = (Object.keys(after) as (keyof Session)[]).filter((name) => after[name] !== before[name])
    assert.deepEqual(changed.sort(), [
      'generation',
      'ip',
      'recovered_at',
      'recovered_generation',
      'rotated_at',
      'user_agent',
    ])
    const indexes = await readIndexes(server)
    assert.ok(indexes.length >= 3)
    for (const index of indexes) {
      for (const column of changed) assert.doesNotMatch(index, new RegExp(`\\b${column}\\b`))
    }
  })

  it('deletes sessions 30 days after their end, in batches of at most 500, and no others', async () => {
    const server = await start()
    const [old, fresh] = [await signIn(server), await signIn(server)]
    await copySession(server, old, 1200, { revoked_at: server.context.clock.now(), revoked_reason: 'logout' })
    server.clock.advance(15 * DAY)
    await copySession(server, fresh, 3, { revoked_at: server.context.clock.now(), revoked_reason: 'logout' })
    server.clock.advance(15 * DAY)
    assert.equal(await cleanUpSessions(server.context), 0)
    server.clock.advance(1)
    const counter = countDeletes()
    const db = server.context.db.withPlugin(counter.plugin)
    assert.equal(await cleanUpSessions({ ...server.context, db }, AbortSignal.abort()), 500)
    assert.equal(await cleanUpSessions({ ...server.context, db }), 700)
    assert.deepEqual(counter.deleted, [500, 500, 200])
    assert.equal((await countRows(server)).sessions, 5)
  })

  it('a token of a deleted session is simply invalid', async () => {
    const server = await share()
    const { tokens } = await server.register()
    await server.context.db.deleteFrom('sessions').execute()
    await mustFail(server, tokens.refresh_token, 'refresh_token_invalid')
    assert.equal((await server.me(tokens.access_token)).status, 401)
  })

  it('a session past its absolute end is deleted as well, and its tokens stay invalid', async () => {
    const server = await start()
    const token = await signIn(server)
    server.clock.advance(server.settings.sessionMaxAgeMs + 30 * DAY)
    assert.equal(await cleanUpSessions(server.context), 0)
    server.clock.advance(1)
    assert.equal(await cleanUpSessions(server.context), 1)
    await mustFail(server, token, 'refresh_token_invalid')
  })

  if (kind === 'postgres') describePostgres(start)
})

function describePostgres(start: () => Promise<TestServer>): void {
  describe('on PostgreSQL', () => {
    it('a refresh is one round trip', async (t) => {
      const server = await start()
      const first = await signIn(server)
      const second = await mustRefresh(server, first)
      const query = t.mock.method(pg.Client.prototype, 'query')
      await mustRefresh(server, second)
      const texts = query.mock.calls.map(({ arguments: [sent] }) => textOf(sent))
      assert.equal(texts.length, 1, texts.join('\n'))
      assert.match(texts[0] ?? '', /^update "sessions"/)
    })

    it('refreshes update the row in place (HOT)', async () => {
      const server = await start()
      const { database } = server.settings
      assert.ok(database.kind === 'postgres')
      // One connection, which is then also the one that reports what it has done.
      await server.restart({ database: { ...database, poolSize: 1 } })
      let token = await signIn(server)
      const before = await readUpdates(server)
      for (let count = 0; count < 20; count += 1) token = await mustRefresh(server, token)
      const after = await readUpdates(server)
      assert.equal(after.all - before.all, 20)
      assert.equal(after.inPlace - before.inPlace, 20)
    })
  })
}

const textOf = (sent: unknown): string =>
  typeof sent === 'object' && sent !== null && 'text' in sent ? String(sent.text) : String(sent)

async function readUpdates({ context: { db } }: TestServer): Promise<{ all: number; inPlace: number }> {
  await sql`select pg_stat_force_next_flush()`.execute(db)
  const { rows } = await sql<{ all: number; inPlace: number }>`
    select n_tup_upd as "all", n_tup_hot_upd as "inPlace" from pg_stat_user_tables where relname = 'sessions'
  `.execute(db)
  assert.ok(rows[0])
  return rows[0]
}

async function countRows({ context: { db } }: TestServer): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of ['users', 'sessions', 'signing_keys', 'audit_events'] as const) {
    const rows = await db.selectFrom(table).select(sql.lit(1).as('one')).execute()
    counts[table] = rows.length
  }
  return counts
}

async function readIndexes({ context: { db }, kind }: TestServer): Promise<string[]> {
  const query =
    kind === 'postgres'
      ? sql<{
          definition: string
        }>`select indexdef as definition from pg_indexes where tablename = 'sessions'`
      : sql<{ definition: string }>`
          select coalesce(sql, name) as definition from sqlite_master where type = 'index' and tbl_name = 'sessions'`
  return (await query.execute(db)).rows.map(({ definition }) => definition)
}

async function copySession(
  server: TestServer,
  token: string,
  count: number,
  changes: Partial<Session>,
): Promise<void> {
  const session = await sessionOf(server, token)
  const rows = Array.from({ length: count }, () => ({ ...session, ...changes, id: newId() }))
  for (let from = 0; from < count; from += 300) {
    await server.context.db
      .insertInto('sessions')
      .values(rows.slice(from, from + 300))
      .execute()
  }
}

/** Writes down how many rows each DELETE took. */
function countDeletes(): { plugin: KyselyPlugin; deleted: number[] } {
  const deleted: number[] = []
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => {
      deleted.push(Number(result.numAffectedRows))
      return result
    },
  }
  return { plugin, deleted }
}
