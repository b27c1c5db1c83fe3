import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { type CompiledQuery, UpdateQueryNode } from 'kysely'
import type { DirectAdapter } from '../../src/database/compiled.ts'
import { advanceSessionEpoch, revokeUserSessions } from '../../src/features/sessions/ending-queries.ts'
import { livenessAt } from '../../src/features/sessions/liveness.ts'
import { rotateSession } from '../../src/features/sessions/rotation-queries.ts'
import { startServer, type TestServer } from '../kit.ts'
import { scale } from '../support/scale.ts'
import {
  createNode,
  createSecondNode,
  DEN,
  HOME,
  mustFail,
  mustRefresh,
  type Node,
  sessionOf,
} from '../support/sessions.ts'

const SESSIONS = 30
const ROUNDS = scale(5, 50)

async function start(t: TestContext): Promise<TestServer> {
  const server = await startServer('postgres')
  t.after(() => server.close())
  return server
}

async function signInOften(server: TestServer, count = SESSIONS): Promise<string[]> {
  const ada = await server.register({}, HOME)
  const tokens: string[] = []
  while (tokens.length < count) tokens.push((await server.login(ada, HOME)).refresh_token)
  return tokens
}

/** How often sessions are updated while `work` runs. */
async function countUpdates({ context }: TestServer, work: () => Promise<unknown>): Promise<number> {
  const adapter = context.db.getExecutor().adapter as DirectAdapter
  const { runDirectly } = adapter
  let count = 0
  adapter.runDirectly = <Row>(query: CompiledQuery<Row>) => {
    if (UpdateQueryNode.is(query.query)) count += 1
    return runDirectly.call(adapter, query) as ReturnType<typeof adapter.runDirectly<Row>>
  }
  await work()
  adapter.runDirectly = runDirectly
  return count
}

describe('refreshes that meet on PostgreSQL', () => {
  it('are one statement, and each session gets its own successor', async (t) => {
    const server = await start(t)
    const tokens = await signInOften(server)
    let next: string[] = []
    const updates = await countUpdates(server, async () => {
      next = await Promise.all(tokens.map((token) => mustRefresh(server, token)))
    })
    assert.equal(updates, 1)
    for (const [index, token] of next.entries()) {
      assert.equal((await sessionOf(server, token)).id, (await sessionOf(server, tokens[index] ?? '')).id)
      await mustRefresh(server, token)
    }
  })

  it('keep what each client is: address and agent go to its own session', async (t) => {
    const server = await start(t)
    const [mine = '', theirs = ''] = await signInOften(server, 2)
    await Promise.all([mustRefresh(server, mine, HOME), mustRefresh(server, theirs, DEN)])
    assert.equal((await sessionOf(server, mine)).ip, HOME.ip)
    assert.equal((await sessionOf(server, theirs)).ip, DEN.ip)
  })

  it('of the same session are won by one: the others have to show that they may repeat it', async (t) => {
    const server = await start(t)
    const [token = ''] = await signInOften(server, 1)
    const { db } = server.context
    const { id, generation } = await sessionOf(server, token)
    const rotation = {
      ...livenessAt(server.context),
      id,
      next: generation + 1,
      ip: HOME.ip,
      userAgent: HOME.userAgent,
    }
    const results = await Promise.all(
      [HOME, DEN, HOME].map(({ ip }) => rotateSession(db, { ...rotation, ip })),
    )
    assert.deepEqual(
      results.map((session) => session?.ip),
      [HOME.ip, undefined, undefined],
    )
  })

  it('do not share a fate: a dead, a reused and a living session are answered each for itself', async (t) => {
    const server = await start(t)
    const [dead = '', reused = '', living = ''] = await signInOften(server, 3)
    const { context } = server
    const { id } = await sessionOf(server, dead)
    const revoked = { revoked_at: context.clock.now(), revoked_reason: 'logout' }
    await context.db.updateTable('sessions').set(revoked).where('id', '=', id).execute()
    await mustRefresh(server, await mustRefresh(server, reused))
    await Promise.all([
      mustFail(server, dead, 'refresh_token_invalid'),
      mustFail(server, reused, 'refresh_token_reused'),
      mustRefresh(server, living),
    ])
  })

  it('do not wait for a session that somebody else has locked', async (t) => {
    const server = await start(t)
    const [locked = '', ...others] = await signInOften(server)
    const { id } = await sessionOf(server, locked)
    const reached = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const holding = server.context.db.transaction().execute(async (trx) => {
      await trx.selectFrom('sessions').select('id').where('id', '=', id).forUpdate().execute()
      reached.resolve()
      await gate.promise
    })
    await reached.promise
    let isAnswered = false
    const late = mustRefresh(server, locked).then(() => {
      isAnswered = true
    })
    await Promise.all(others.map((token) => mustRefresh(server, token)))
    assert.equal(isAnswered, false)
    gate.resolve()
    await Promise.all([late, holding])
  })

  it('never end in a deadlock, across nodes and in any order', async (t) => {
    const server = await start(t)
    const [one, two] = await startNodes(t, server)
    let tokens = await signInOften(server)
    for (let round = 0; round < ROUNDS; round += 1) {
      const [forwards] = await Promise.all([
        Promise.all(tokens.map((token) => one.refresh(token, HOME))),
        Promise.all(tokens.toReversed().map((token) => two.refresh(token, HOME))),
      ])
      assert.deepEqual([...new Set(forwards.map(({ status }) => status))], [200])
      tokens = forwards.map(({ body }) => body.refresh_token)
    }
  })

  it('and the end of all of a user’s sessions do not deadlock: each refresh is answered 200 or 401, and none lives on', async (t) => {
    const server = await start(t)
    const [one, two] = await startNodes(t, server)
    const { db, clock } = server.context
    for (let round = 0; round < ROUNDS; round += 1) {
      const tokens = await signInOften(server, 10)
      const { user_id } = await sessionOf(server, tokens[0] ?? '')
      const ending = db.transaction().execute(async (trx) => {
        await advanceSessionEpoch(trx, user_id)
        return revokeUserSessions(trx, user_id, 'ended_by_user', clock.now())
      })
      const replies = await Promise.all([
        ...tokens.map((token) => one.refresh(token, HOME)),
        ...tokens.toReversed().map((token) => two.refresh(token, HOME)),
      ])
      await ending
      for (const { status, text } of replies) assert.ok(status === 200 || status === 401, text)
      for (const token of tokens) assert.notEqual((await sessionOf(server, token)).revoked_at, null)
    }
  })
})

async function startNodes(t: TestContext, server: TestServer): Promise<[Node, Node]> {
  const nodes: [Node, Node] = [await createNode(server.context), await createSecondNode(server)]
  t.after(async () => {
    for (const node of nodes) await node.close()
  })
  return nodes
}
