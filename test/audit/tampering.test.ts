import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { it } from 'node:test'
import { sql, type Updateable } from 'kysely'
import { newIdAt } from '../../src/core/ids.ts'
import type { AuditEventsTable, StoredEvent } from '../../src/database/tables.ts'
import { linkEvent, signEvent, signHead } from '../../src/features/audit/chain.ts'
import { toEntry } from '../../src/features/audit/entry.ts'
import { readKept, verifyAgainst } from '../../src/features/audit/verify-against.ts'
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

const COUNT = 10

/** What somebody does who can write to the database, and knows this code, but has no SECRET_KEY. */
onEachDatabase('tampering with the audit log', ({ start }) => {
  const startSealed = () => startChain(start, COUNT)
  const change = ({ context }: TestServer, seq: number, columns: Updateable<AuditEventsTable>) =>
    context.db.updateTable('audit_events').set(columns).where('seq', '=', seq).execute()
  const remove = ({ context }: TestServer, seq: number) =>
    context.db.deleteFrom('audit_events').where('seq', '=', seq).execute()
  const get = async (server: TestServer, seq: number): Promise<StoredEvent> => {
    const event = (await sealedEvents(server)).find((found) => found.seq === seq)
    return event ?? assert.fail(`no event ${seq}`)
  }
  const insert = ({ context }: TestServer, event: StoredEvent) =>
    context.db.insertInto('audit_events').values(event).execute()
  const forged = (event: StoredEvent): StoredEvent => ({
    ...event,
    id: newIdAt(event.occurred_at),
    ip: '192.0.2.66',
  })

  it('an untouched chain holds, and so does an empty one', async () => {
    const server = await startSealed()
    const all = { first: 1, last: COUNT, unproven: 0, unsealed: 0, broken: undefined }
    assert.deepEqual(await verify(server), all)
    await record(server)
    assert.deepEqual(await verify(server), { ...all, unsealed: 1 })
    const empty = await startChain(start, 0)
    assert.deepEqual(await verify(empty), { ...all, last: 0 })
  })

  it('a change of any column of a sealed event is found, and the event named', async () => {
    const server = await startSealed()
    const before = await get(server, 4)
    const text = 'x'
    const changes: Updateable<AuditEventsTable> = {
      id: newIdAt(0),
      occurred_at: before.occurred_at + 1,
      type: 'user.signed_in',
      actor: 'user',
      actor_id: before.id,
      actor_name: text,
      user_id: before.id,
      session_id: before.id,
      ip: text,
      user_agent: null,
      request_id: text,
      detail: '{"reason":"inactive"}',
      mac: null,
      hash: text,
    }
    const columns = Object.keys(before).filter((name) => name !== 'seq')
    assert.deepEqual(Object.keys(changes).sort(), columns.sort())
    for (const [name, value] of Object.entries(changes)) {
      await change(server, 4, { [name]: value })
      const broken = await findBreak(server)
      const what = { hash: 'out_of_place', mac: 'forged' }[name] ?? 'changed'
      assert.deepEqual([broken?.what, broken?.seq], [what, 4], name)
      await change(server, 4, before)
      assert.equal(await findBreak(server), undefined, name)
    }
  })

  it('an event that is gone is named: the first, one in the middle, the last, all', async () => {
    for (const seq of [1, 5, COUNT]) {
      const server = await startSealed()
      await remove(server, seq)
      assert.deepEqual(await findBreak(server), { what: 'missing', seq, id: null })
    }
    const server = await startSealed()
    await server.context.db.deleteFrom('audit_events').execute()
    assert.deepEqual(await findBreak(server), { what: 'missing', seq: 1, id: null })
  })

  it('so is one in whose place all later ones have moved up', async () => {
    const server = await startSealed()
    await remove(server, 5)
    for (let seq = 6; seq <= COUNT; seq += 1) await change(server, seq, { seq: seq - 1 })
    const { what, seq } = (await findBreak(server)) ?? {}
    assert.deepEqual([what, seq], ['out_of_place', 5])
  })

  it('two that have changed places are found, with their hashes or without', async () => {
    for (const withHash of [false, true]) {
      const server = await startSealed()
      const [one, other] = [await get(server, 3), await get(server, 7)]
      await change(server, 3, { seq: 99 })
      await change(server, 7, { seq: 3, ...(withHash && { hash: one.hash }) })
      await change(server, 99, { seq: 7, ...(withHash && { hash: other.hash }) })
      assert.deepEqual(await findBreak(server), { what: 'out_of_place', seq: 3, id: other.id })
    }
  })

  it('one that was put in is found: at the end, in the middle, and twice under one number', async () => {
    const end = await startSealed()
    const event = forged(await get(end, 4))
    await insert(end, { ...event, seq: COUNT + 1 })
    assert.deepEqual(await findBreak(end), { what: 'not_sealed_here', seq: COUNT + 1, id: event.id })

    const middle = await startSealed()
    for (let seq = COUNT; seq >= 5; seq -= 1) await change(middle, seq, { seq: seq + 1 })
    await insert(middle, { ...event, seq: 5 })
    assert.deepEqual(await findBreak(middle), { what: 'changed', seq: 5, id: event.id })

    const twice = await startSealed()
    await twice.context.db.schema.dropIndex('audit_events_seq').execute()
    await insert(twice, { ...event, seq: COUNT })
    const { what, seq } = (await findBreak(twice)) ?? {}
    assert.ok(seq === COUNT && (what === 'not_sealed_here' || what === 'changed'), `${what} ${seq}`)
  })

  it('and where pages of the verification meet', async () => {
    const server = await startChain(start, 2001)
    await server.context.db.schema.dropIndex('audit_events_seq').execute()
    const real = await get(server, 1000)
    const copy = { ...real, id: newIdAt(real.occurred_at + 1) }
    await insert(server, copy)
    assert.equal((await findBreak(server))?.seq, 1000)
    await server.context.db.deleteFrom('audit_events').where('id', '=', copy.id).execute()
    assert.equal((await verify(server)).last, 2001)
    await remove(server, 1001)
    assert.deepEqual(await findBreak(server), { what: 'missing', seq: 1001, id: null })
  })

  it('a forged event that waits to be sealed is found, before and after, and an altered one', async () => {
    const server = await startSealed()
    const event = { ...forged(await get(server, 4)), seq: null, hash: null }
    for (const [mac, what] of [
      [null, 'forged'],
      [event.mac, 'changed'],
      [randomBytes(32).toString('base64url'), 'changed'],
    ] as const) {
      const { db } = server.context
      await insert(server, { ...event, mac })
      assert.deepEqual(await findBreak(server), { what, seq: null, id: event.id })
      await db.deleteFrom('audit_events').where('id', '=', event.id).execute()
    }
    await insert(server, event)
    await seal(server)
    assert.deepEqual(await findBreak(server), { what: 'changed', seq: COUNT + 1, id: event.id })
  })

  it('one that says it is an operator’s, or of an older version, is counted as proving nothing', async () => {
    const server = await startSealed()
    for (const actor of ['operator', 'unknown']) {
      await insert(server, { ...forged(await get(server, 4)), seq: null, hash: null, mac: null, actor })
    }
    assert.equal((await verify(server)).unproven, 2)
    await seal(server)
    const { unproven, broken } = await verify(server)
    assert.deepEqual([unproven, broken], [2, undefined])
    await change(server, COUNT + 1, { type: 'user.enabled' })
    assert.equal((await findBreak(server))?.what, 'out_of_place')
  })

  it('everything from the middle on rewritten, with hashes of another key or none, is found', async () => {
    const server = await startSealed()
    const chain = await chainOf(server)
    const keys = [randomBytes(32), Buffer.alloc(0), Buffer.from(chain.sealed_key)]
    for (const key of keys) {
      let previous = { seq: 3, hash: (await get(server, 3)).hash ?? '' }
      for (let seq = 4; seq <= COUNT; seq += 1) {
        const event = { ...(await get(server, seq)), ip: '192.0.2.66' }
        const written = { ...event, mac: signEvent(key, event) }
        previous = { seq, hash: linkEvent(key, previous, written) }
        await change(server, seq, { ...written, hash: previous.hash })
      }
      const head = { ...chain, ...previous }
      const { db } = server.context
      await db
        .updateTable('audit_chain')
        .set({ ...previous, mac: signHead(key, head) })
        .execute()
      assert.equal((await findBreak(server))?.what, 'head_forged')
      const { hash, mac } = chain
      await db.updateTable('audit_chain').set({ hash, mac }).execute()
      const { what, seq } = (await findBreak(server)) ?? {}
      assert.deepEqual([what, seq], ['changed', 4])
    }
  })

  it('a chain cut short with its end set back is found, and so is one without its end', async () => {
    const server = await startSealed()
    const { db } = server.context
    const chain = await chainOf(server)
    for (const seq of [8, 9, 10]) await remove(server, seq)
    const { hash } = await get(server, 7)
    const unsigned = createHash('sha256')
      .update(JSON.stringify(['head', 0, '', 7, hash, 0]))
      .digest('base64url')
    for (const mac of [chain.mac, unsigned, hash ?? '', '']) {
      await db
        .updateTable('audit_chain')
        .set({ seq: 7, hash: hash ?? '', mac })
        .execute()
      assert.deepEqual(await findBreak(server), { what: 'head_forged', seq: 7, id: null })
    }
    await db.deleteFrom('audit_chain').execute()
    assert.deepEqual(await findBreak(server), { what: 'head_missing', seq: null, id: null })
  })

  it('a beginning that pretends that events were pruned is found', async () => {
    const server = await startSealed()
    const { hash } = await get(server, 4)
    for (const seq of [1, 2, 3, 4]) await remove(server, seq)
    const { db } = server.context
    await db
      .updateTable('audit_chain')
      .set({ pruned_seq: 4, pruned_hash: hash ?? '' })
      .execute()
    assert.equal((await findBreak(server))?.what, 'head_forged')
  })

  it('an event numbered before the beginning, or with no number at all, is found', async () => {
    const server = await startSealed()
    const event = forged(await get(server, 4))
    for (const seq of [0, -5]) {
      await insert(server, { ...event, seq })
      assert.deepEqual(await findBreak(server), { what: 'was_pruned', seq, id: event.id })
      await remove(server, seq)
    }
    if (server.kind !== 'sqlite') return
    await insert(server, { ...event, seq: 99 })
    for (const seq of ["'x'", '4.5', "x'00'"]) {
      await sql`update audit_events set seq = ${sql.raw(seq)} where id = ${event.id}`.execute(
        server.context.db,
      )
      assert.match((await findBreak(server))?.what ?? '', /^(not_sealed_here|was_pruned)$/, seq)
    }
  })

  it('an older state of the whole database holds by itself, and not against what was told outside', async () => {
    const server = await startSealed()
    const { db } = server.context
    const old = await chainOf(server)
    await recordMany(server, 5)
    await seal(server)
    const exported = (await sealedEvents(server)).map((event) => JSON.stringify(toEntry(event)))
    await db.deleteFrom('audit_events').where('seq', '>', COUNT).execute()
    await db.updateTable('audit_chain').set(old).execute()
    assert.equal(await findBreak(server), undefined)
    const compare = async () => {
      for (const line of exported) {
        const kept = readKept(line)
        const broken = kept && (await verifyAgainst(db, kept))
        if (broken) return [broken.what, broken.seq]
      }
      return undefined
    }
    assert.deepEqual(await compare(), ['missing', COUNT + 1])
    await recordMany(server, 5)
    await seal(server)
    assert.equal(await findBreak(server), undefined)
    assert.deepEqual(await compare(), ['differs', COUNT + 1])
  })

  it('the key is stored sealed, and no MAC is that of a key the database holds', async () => {
    const server = await startSealed()
    const { sealed_key, ...chain } = await chainOf(server)
    const key = server.context.chainKey
    assert.equal(key.length, 32)
    assert.ok(!sealed_key.includes(key.toString('base64url')))
    for (const guess of [sealed_key, '', chain.hash]) {
      assert.notEqual(createHmac('sha256', guess).update('').digest('base64url'), chain.mac)
      assert.notEqual(signHead(Buffer.from(guess), { ...chain }), chain.mac)
    }
  })
})
