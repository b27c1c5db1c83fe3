import assert from 'node:assert/strict'
import { it } from 'node:test'
import { CompiledQuery, type KyselyPlugin, sql } from 'kysely'
import { MINUTE } from '../../src/core/clock.ts'
import type { Db } from '../../src/database/tables.ts'
import { listNewestEvents } from '../../src/features/audit/list-queries.ts'
import { disableUser, enableUser } from '../../src/features/users/set-active.ts'
import { API, onEachDatabase, PASSWORD, type Person, type Reply, type TestServer } from '../kit.ts'
import { seal } from '../support/audit.ts'
import {
  assertProblem,
  assertUncached,
  NOT_AUTHENTICATED,
  NOT_ENOUGH_PERMISSIONS,
} from '../support/replies.ts'
import { claimsOf } from '../support/tokens.ts'

const STEP = 5 * MINUTE
const OWN = `${API}/users/me/security-events`
const ALL = `${API}/admin/audit`
const FROM = { ip: '203.0.113.7', userAgent: 'phone/1' }
const typesOf = ({ body }: Reply): string[] => body.items.map(({ type }: { type: string }) => type)
const tokenOf = ({ tokens }: Person) => tokens.access_token
const idOf = (person: Person) => String(claimsOf(tokenOf(person)).sub)

onEachDatabase('reading the audit log', ({ start }) => {
  const registerRoot = async (server: TestServer): Promise<Person> => {
    const root = await server.register()
    const { context } = server
    await context.db
      .updateTable('users')
      .set({ is_superuser: true })
      .where('username', '=', root.username)
      .execute()
    return root
  }
  const get = (server: TestServer, path: string, person: Person) =>
    server.call('GET', path, { token: tokenOf(person) })
  const walk = async (server: TestServer, path: string, person: Person) => {
    const items: { id: string }[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const reply = await get(server, `${path}${cursor && `&cursor=${cursor}`}`, person)
      assert.equal(reply.status, 200, reply.text)
      items.push(...reply.body.items)
      cursor = reply.body.next
    }
    return items
  }

  it('people see what concerns them, newest first, whole, and nothing of others', async () => {
    const server = await start()
    const ada = await server.register({}, FROM)
    const bob = await server.register()
    server.clock.advance(1)
    const form = { username: ada.username, password: 'not the right password' }
    await server.call('POST', `${API}/auth/login`, { form, ip: '192.0.2.66' })
    server.clock.advance(1)
    await server.login(ada)
    const reply = await get(server, OWN, ada)
    assertUncached(reply)
    assert.deepEqual(typesOf(reply), ['user.signed_in', 'user.sign_in_failed', 'user.created'])
    const [, failed, created] = reply.body.items
    const { id, occurred_at, request_id, ...rest } = failed
    assert.match(occurred_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.deepEqual([typeof id, typeof request_id], ['string', 'string'])
    assert.deepEqual(rest, {
      type: 'user.sign_in_failed',
      actor: 'anonymous',
      actor_id: null,
      user_id: idOf(ada),
      session_id: null,
      ip: '192.0.2.66',
      user_agent: 'test-agent',
      detail: { reason: 'invalid_credentials' },
    })
    assert.deepEqual([created.ip, created.user_agent, created.actor_id], [FROM.ip, FROM.userAgent, idOf(ada)])
    assert.deepEqual(typesOf(await get(server, OWN, bob)), ['user.created'])
  })

  it('what an operator did is shown without the operator’s name', async () => {
    const server = await start()
    const ada = await server.register()
    await disableUser(server.context, idOf(ada))
    await enableUser(server.context, idOf(ada))
    const tokens = await server.login(ada)
    const { body } = await server.call('GET', OWN, { token: tokens.access_token })
    const enabled = body.items.find(({ type }: { type: string }) => type === 'user.enabled')
    assert.equal(enabled.actor, 'server')
    assert.ok(!('actor_name' in enabled))
  })

  it('pages: every event once, in the same order, until next is null', async () => {
    const server = await start()
    const root = await registerRoot(server)
    for (let count = 0; count < 6; count += 1) await server.login(root)
    for (const path of [OWN, ALL]) {
      const all = (await get(server, `${path}?limit=100`, root)).body
      assert.equal(all.next, null)
      assert.deepEqual(await walk(server, `${path}?limit=3`, root), all.items)
      const exact = await get(server, `${path}?limit=${all.items.length}`, root)
      assert.equal(exact.body.next, null)
      const newest = all.items.map(({ id }: { id: string }) => id)
      assert.deepEqual(newest, newest.toSorted().reverse())
    }
  })

  it('superusers see everything, with its place in the chain once it is sealed', async () => {
    const server = await start()
    const root = await registerRoot(server)
    await server.call('POST', `${API}/auth/login`, { form: { username: 'nobody', password: PASSWORD } })
    const unsealed = await get(server, ALL, root)
    assertUncached(unsealed)
    assert.ok(typesOf(unsealed).includes('key.created'))
    assert.equal(unsealed.body.items[0].seq, null)
    await seal(server)
    const [newest] = (await get(server, ALL, root)).body.items
    assert.equal(newest.seq, typesOf(unsealed).length)
    assert.match(newest.hash, /^[\w-]{43}$/)
    assert.equal(newest.user_id, null)
  })

  it('filters: type, user, actor, since, until, alone and together', async () => {
    const server = await start()
    const root = await registerRoot(server)
    const ada = await server.register()
    const begin = server.context.clock.now()
    server.clock.advance(STEP)
    await server.login(ada)
    await server.login(root)
    server.clock.advance(STEP)
    await server.login(ada)
    const time = (ms: number) => encodeURIComponent(new Date(ms).toISOString())
    const count = async (query: string) => (await get(server, `${ALL}?${query}`, root)).body.items.length
    assert.equal(await count('type=user.signed_in'), 3)
    assert.equal(await count(`user=${idOf(ada)}`), 3)
    assert.equal(await count(`user=${idOf(ada).toUpperCase()}&type=user.signed_in`), 2)
    assert.equal(await count(`actor=${idOf(root)}`), 2)
    assert.equal(await count(`since=${time(begin + STEP)}`), 3)
    assert.equal(await count(`since=${time(begin + STEP + 1)}`), 1)
    assert.equal(await count(`since=${time(begin + STEP)}&until=${time(begin + 2 * STEP)}`), 2)
    assert.equal(await count(`user=${idOf(ada)}&until=${time(begin + 2 * STEP)}&type=user.signed_in`), 1)
    assert.equal(await count(`until=${time(begin - MINUTE)}`), 0)
    assert.equal(await count(`type=user.deleted`), 0)
    const local = encodeURIComponent('1970-01-01T02:00:00+02:00')
    assert.equal(await count(`until=${local}`), 0)
    assert.ok((await count(`since=${local}&limit=100`)) > 5)
  })

  it('the whole log is for superusers alone', async () => {
    const server = await start()
    const ada = await server.register()
    assertProblem(await get(server, ALL, ada), NOT_ENOUGH_PERMISSIONS)
    assertProblem(await get(server, `${ALL}?user=${idOf(ada)}`, ada), NOT_ENOUGH_PERMISSIONS)
    for (const path of [OWN, ALL]) assertProblem(await server.call('GET', path), NOT_AUTHENTICATED)
    assertProblem(await get(server, `${OWN}?user=${idOf(ada)}`, ada), {
      status: 422,
      code: 'validation_failed',
      pointers: ['/user'],
    })
  })

  it('a wrong filter, limit or cursor is refused, and named', async () => {
    const server = await start()
    const root = await registerRoot(server)
    for (const [query, pointer] of [
      ['type=user.nothing', '/type'],
      ['user=ada', '/user'],
      ['actor=1', '/actor'],
      ['since=yesterday', '/since'],
      ['since=2026-01-01', '/since'],
      ['until=2016-12-31T23:59:60Z', '/until'],
      ['limit=0', '/limit'],
      ['limit=101', '/limit'],
      ['cursor=x', '/cursor'],
      ['page=2', '/page'],
    ] as const) {
      const refused = { status: 422, code: 'validation_failed', pointers: [pointer] }
      assertProblem(await get(server, `${ALL}?${query}`, root), refused)
    }
  })

  it('every filter goes by an index, and none sorts', async () => {
    const server = await start()
    const id = '019a1f6e-7c1a-7b7e-8a54-3f1d2c9b0e11'
    for (const [filter, index] of [
      [{}, /audit_events_pkey|autoindex_audit_events_1/],
      [{ since: 1, until: 2 }, /audit_events_pkey|autoindex_audit_events_1/],
      [{ userId: id }, /audit_events_user_id/],
      [{ actorId: id, since: 1 }, /audit_events_actor_id/],
      [{ type: 'user.created', since: 1 }, /audit_events_type/],
    ] as const) {
      const plan = await explain(server, (db) => listNewestEvents(db, filter, { before: id, limit: 10 }))
      assert.match(plan, index, JSON.stringify(filter))
      assert.doesNotMatch(plan, /sort|b-tree|seq scan/i)
    }
  })
})

/** How the database would go about what the work asks for. */
function explain({ context: { db }, kind }: TestServer, work: (db: Db) => Promise<unknown>): Promise<string> {
  return db.transaction().execute(async (trx) => {
    // The tables of a test are so small that reading them whole is quickest.
    if (kind === 'postgres') await sql`set local enable_seqscan = off`.execute(trx)
    if (kind === 'postgres') await sql`set local enable_bitmapscan = off`.execute(trx)
    const queries: CompiledQuery[] = []
    const capture: KyselyPlugin = {
      transformQuery({ node, queryId }) {
        queries.push(trx.getExecutor().compileQuery(node, queryId))
        return node
      },
      transformResult: async ({ result }) => result,
    }
    await work(trx.withPlugin(capture))
    const [query] = queries
    assert.ok(query)
    const prefix = kind === 'postgres' ? 'explain' : 'explain query plan'
    const { rows } = await trx.executeQuery(
      CompiledQuery.raw(`${prefix} ${query.sql}`, [...query.parameters]),
    )
    return JSON.stringify(rows)
  })
}
