import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY } from '../../src/core/clock.ts'
import { pruneEvents } from '../../src/features/audit/prune-events.ts'
import { verifyChain } from '../../src/features/audit/verify-chain.ts'
import { onEachDatabase, type TestServer } from '../kit.ts'
import {
  chainOf,
  findBreak,
  record,
  recordMany,
  seal,
  sealedEvents,
  startChain,
  verify,
} from '../support/audit.ts'

const RETENTION_MS = 30 * DAY

onEachDatabase('retention of the audit log', ({ start }) => {
  const startKeeping = (count: number) => startChain(() => start({ auditRetentionMs: RETENTION_MS }), count)
  const count = async ({ context }: TestServer) =>
    (await context.db.selectFrom('audit_events').select('id').execute()).length

  it('what is older is deleted, to the millisecond, and the chain still holds', async () => {
    const server = await startKeeping(600)
    server.clock.advance(DAY)
    await recordMany(server, 40)
    await seal(server)
    server.clock.advance(RETENTION_MS - DAY)
    assert.equal(await pruneEvents(server.context), 0)
    server.clock.advance(1)
    assert.equal(await pruneEvents(server.context), 600)
    assert.equal(await pruneEvents(server.context), 0)
    const { first, last, broken } = await verify(server)
    assert.deepEqual([first, last, broken], [601, 640, undefined])
    server.clock.advance(DAY)
    assert.equal(await pruneEvents(server.context), 40)
    assert.equal(await count(server), 0)
    await record(server)
    await seal(server)
    const end = await verify(server)
    assert.deepEqual([end.first, end.last, end.broken], [641, 641, undefined])
  })

  it('what is yet to be sealed stays, however old, and so does all after an event that is young', async () => {
    const server = await startKeeping(3)
    server.clock.advance(RETENTION_MS + 1)
    await record(server)
    await seal(server)
    server.clock.advance(-RETENTION_MS)
    await recordMany(server, 2)
    await seal(server)
    await recordMany(server, 2)
    server.clock.advance(RETENTION_MS)
    assert.equal(await pruneEvents(server.context), 3)
    assert.equal(await count(server), 5)
    assert.equal(await findBreak(server), undefined)
  })

  it('several nodes at it, and at sealing, prune each event once', async () => {
    const server = await startKeeping(1200)
    server.clock.advance(RETENTION_MS + 1)
    const work = [pruneEvents(server.context), pruneEvents(server.context), recordMany(server, 300)]
    await Promise.all([...work, seal(server), verify(server)])
    await pruneEvents(server.context)
    await seal(server)
    const { first, last, broken } = await verify(server)
    assert.deepEqual([first, last, broken], [1201, 1500, undefined])
  })

  it('a verification under way holds while events are pruned before it', async () => {
    const server = await startKeeping(3500)
    server.clock.advance(RETENTION_MS + 1)
    const { db, chainKey } = server.context
    let isPruned = false
    let pruning = Promise.resolve(0)
    const result = await verifyChain(db, chainKey, () => {
      if (!isPruned) pruning = pruneEvents(server.context)
      isPruned = true
    })
    assert.equal(await pruning, 3500)
    assert.equal(result.broken, undefined)
  })

  it('what does not hold is not pruned, and told: no evidence is destroyed', async () => {
    const server = await startKeeping(300)
    await server.context.db.updateTable('audit_events').set({ ip: 'x' }).where('seq', '=', 270).execute()
    server.clock.advance(RETENTION_MS + 1)
    await assert.rejects(pruneEvents(server.context), /does not hold at number 270: nothing is pruned/)
    assert.equal((await chainOf(server)).pruned_seq, 250)
    assert.deepEqual((await findBreak(server))?.seq, 270)
    assert.equal((await sealedEvents(server)).length, 50)
  })

  it('an event that was pruned, and is put back, is found', async () => {
    const server = await startKeeping(10)
    const [old] = await sealedEvents(server)
    assert.ok(old)
    server.clock.advance(RETENTION_MS + 1)
    await pruneEvents(server.context)
    await server.context.db.insertInto('audit_events').values(old).execute()
    assert.deepEqual(await findBreak(server), { what: 'was_pruned', seq: 1, id: old.id })
  })

  it('a stop in the middle loses nothing', async () => {
    const server = await startKeeping(1000)
    server.clock.advance(RETENTION_MS + 1)
    const pruned = await pruneEvents(server.context, AbortSignal.abort())
    assert.ok(pruned > 0 && pruned < 1000)
    assert.equal(await findBreak(server), undefined)
  })
})
