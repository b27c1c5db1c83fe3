import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sql } from 'kysely'
import { createContext } from '../../src/context.ts'
import { MINUTE, SECOND } from '../../src/core/clock.ts'
import { newIdAt } from '../../src/core/ids.ts'
import { openDatabase } from '../../src/database/connection.ts'
import { createSealer } from '../../src/features/audit/seal-events.ts'
import { API, onEachDatabase, PASSWORD } from '../kit.ts'
import {
  chainOf,
  createLog,
  findBreak,
  NEVER,
  record,
  recordMany,
  seal,
  sealedEvents,
  startChain,
  verify,
} from '../support/audit.ts'
import { freezeThread } from '../support/freeze-thread.ts'
import { createSecondNode } from '../support/sessions.ts'

const CALLER = { ip: '203.0.113.7', userAgent: 'agent/1', requestId: 'request-1' }

onEachDatabase('sealing the audit log', ({ start, kind }) => {
  it('gives what was written its number and hash, in the order in which it was written', async () => {
    const server = await start()
    const { username, password } = await server.register()
    for (let count = 0; count < 3; count += 1) await server.login({ username, password })
    await server.call('POST', `${API}/auth/login`, { form: { username, password: `${PASSWORD}!` } })
    await seal(server)
    const events = await sealedEvents(server)
    const types = events.map(({ type }) => type).filter((type) => type.startsWith('user'))
    const [created, failed] = ['user.created', 'user.sign_in_failed']
    assert.deepEqual(types, [created, ...Array(3).fill('user.signed_in'), failed])
    assert.deepEqual(
      events.map(({ seq }) => seq),
      events.map((_, index) => index + 1),
    )
    assert.equal(new Set(events.map(({ hash }) => hash)).size, events.length)
    assert.equal(await findBreak(server), undefined)
  })

  it('a node that freezes while it seals holds up the others for five seconds', {
    skip: kind === 'sqlite' && 'the locks of SQLite end with their process',
  }, async () => {
    const server = await start()
    const { log, lines } = createLog()
    const clock = {
      now() {
        freezeThread(5.5 * SECOND)
        return server.clock.now()
      },
    }
    await createSealer({ ...server.context, clock }, log)(NEVER)
    assert.match(JSON.stringify(lines), /audit events cannot be sealed/)
    await seal(server)
    assert.equal(await findBreak(server), undefined)
    assert.ok((await sealedEvents(server)).length > 0)
  })

  it('a start that is refused for its SECRET_KEY writes nothing, also when it had tables to make', async () => {
    const server = await start()
    const { db } = server.context
    for (const table of ['revocations', 'revocation_feed', 'service_keys'])
      await db.schema.dropTable(table).execute()
    for (const column of ['signs_from', 'signs_until', 'revoked_at'])
      await db.schema.alterTable('signing_keys').dropColumn(column).execute()
    await sql`delete from kysely_migration where name = '005-keys-and-revocations'`.execute(db)
    const wrong = { ...server.settings, secretKey: 'w'.repeat(40) }
    await assert.rejects(
      createContext(wrong, server.clock),
      /^StartupError: The key of the audit log was sealed/,
    )
    await seal(server)
    assert.equal(await findBreak(server), undefined)
    await server.restart()
  })

  const skip = kind === 'sqlite' && 'on SQLite nobody but this process can hold a row'
  it('a chain that somebody keeps locked is told of, once what waits is a minute old', {
    skip,
  }, async (t) => {
    const server = await start()
    const { settings, context, clock } = server
    const other = await openDatabase(settings.database)
    t.after(() => other.close())
    await recordMany(server, 1)
    const { lines, log } = createLog()
    const sealer = createSealer(context, log)
    await other.db.transaction().execute(async (trx) => {
      await sql`select 1 from audit_chain for update`.execute(trx)
      await sealer(NEVER)
      assert.equal(lines.length, 0)
      clock.advance(MINUTE + SECOND)
      await sealer(NEVER)
      assert.match(String(lines[0]?.msg), /cannot be sealed/)
    })
  })

  it('takes any number in batches, and stops between two of them when told to', async () => {
    const server = await startChain(start, 0)
    await recordMany(server, 1203)
    const { log } = createLog()
    const sealer = createSealer(server.context, log)
    await sealer(AbortSignal.abort())
    const { last } = await verify(server)
    assert.ok(last > 0 && last < 1203, String(last))
    await sealer(NEVER)
    const { last: end, unsealed, broken } = await verify(server)
    assert.deepEqual([end, unsealed, broken], [1203, 0, undefined])
  })

  it('several at once, while others write: one chain, every event once', async () => {
    const server = await startChain(start, 0)
    const sealers = Array.from({ length: 4 }, () => createLog('info'))
    const run = sealers.map(({ log }) => createSealer(server.context, log))
    for (let round = 0; round < 6; round += 1) {
      await Promise.all([
        recordMany(server, 300),
        ...Array.from({ length: 20 }, () => record(server)),
        ...run.map((sealer) => sealer(NEVER)),
      ])
    }
    await seal(server)
    const { last, unsealed, broken } = await verify(server)
    assert.deepEqual([last, unsealed, broken], [6 * 320, 0, undefined])
    const told = sealers.flatMap(({ lines }) => lines)
    assert.deepEqual(
      told.filter(({ msg }) => msg !== 'audit'),
      [],
    )
    const ids = told.map(({ event }) => (event as { id: string }).id)
    assert.equal(new Set(ids).size, ids.length)
  })

  it('what a transaction that failed had written is never sealed nor told', async () => {
    const server = await startChain(start, 0)
    const { db } = server.context
    const failing = db.transaction().execute(async (trx) => {
      await record({ ...server, context: { ...server.context, db: trx } })
      throw new Error('no')
    })
    await assert.rejects(failing)
    await record(server)
    const { lines, log } = createLog()
    await createSealer(server.context, log)(NEVER)
    assert.equal(lines.length, 1)
    assert.equal((await verify(server)).last, 1)
  })

  it('tells each event once, as an export has it, under the message `audit`', async () => {
    const server = await startChain(start, 0)
    const { username } = await server.register({}, { ...CALLER, headers: { 'x-request-id': 'request-1' } })
    const { lines, log } = createLog()
    const sealer = createSealer(server.context, log)
    await sealer(NEVER)
    await sealer(NEVER)
    assert.equal(lines.length, 1)
    const [{ msg, event, level } = {}] = lines
    const [stored] = await sealedEvents(server)
    assert.deepEqual([msg, level], ['audit', 30])
    assert.deepEqual(event, {
      id: stored?.id,
      occurred_at: new Date(server.context.clock.now()).toISOString(),
      type: 'user.created',
      actor: 'user',
      actor_id: stored?.user_id,
      actor_name: null,
      user_id: stored?.user_id,
      session_id: stored?.session_id,
      ip: CALLER.ip,
      user_agent: CALLER.userAgent,
      request_id: CALLER.requestId,
      detail: null,
      seq: 1,
      hash: stored?.hash,
    })
    assert.ok(!JSON.stringify(lines).includes(username))
  })

  it('when the database fails: told once, tried again, nothing lost', async () => {
    const server = await startChain(start, 3)
    const { lines, log } = createLog('error')
    const sealer = createSealer(server.context, log)
    const { schema } = server.context.db
    const failAndMend = async () => {
      await recordMany(server, 2)
      await schema.alterTable('audit_chain').renameTo('away').execute()
      for (let tries = 0; tries < 3; tries += 1) await sealer(NEVER)
      await schema.alterTable('away').renameTo('audit_chain').execute()
      await sealer(NEVER)
    }
    await failAndMend()
    assert.deepEqual(
      lines.map(({ msg }) => msg),
      ['audit events cannot be sealed; it is tried again every second'],
    )
    await failAndMend()
    assert.equal(lines.length, 2)
    const { last, broken } = await verify(server)
    assert.deepEqual([last, broken], [7, undefined])
  })

  it('never goes on from an end that nobody with the key has written', async () => {
    const server = await startChain(start, 5)
    const { db } = server.context
    const chain = await chainOf(server)
    await record(server)
    for (const changes of [{ seq: 3 }, { hash: 'x' }, { pruned_seq: 2 }, { sealed_at: 1 }, { mac: 'x' }]) {
      await db.updateTable('audit_chain').set(changes).execute()
      const { lines, log } = createLog('error')
      await createSealer(server.context, log)(NEVER)
      assert.match(JSON.stringify(lines), /tampered with: `postern audit verify` tells more/)
      assert.equal((await sealedEvents(server)).length, 5)
      await db.updateTable('audit_chain').set(chain).execute()
    }
    await db.deleteFrom('audit_chain').execute()
    const { lines, log } = createLog('error')
    await createSealer(server.context, log)(NEVER)
    assert.equal(lines.length, 1)
    await db.insertInto('audit_chain').values(chain).execute()
    await seal(server)
    assert.equal((await verify(server)).last, 6)
  })

  it('an older state put back under a running server is noticed, told and written down', async () => {
    const server = await startChain(start, 5)
    const { db } = server.context
    const { lines, log } = createLog('error')
    const sealer = createSealer(server.context, log)
    const old = await chainOf(server)
    await record(server)
    await sealer(NEVER)
    await db.deleteFrom('audit_events').where('seq', '>', 5).execute()
    await db.updateTable('audit_chain').set(old).execute()
    // Another node, which has not seen more, goes on from there.
    await recordMany(server, 3)
    await seal(server)
    await record(server)
    await sealer(NEVER)
    assert.match(String(lines[0]?.msg), /^the audit log was set back/)
    await record(server)
    await sealer(NEVER)
    assert.equal(lines.length, 1)
    const event = (await sealedEvents(server)).find(({ type }) => type === 'audit.rolled_back')
    assert.deepEqual(JSON.parse(event?.detail ?? ''), { seen_seq: 6, found_seq: 8 })
    assert.equal(await findBreak(server), undefined)
  })

  it('an event that was altered or forged before it was sealed is told at once', async () => {
    const server = await startChain(start, 2)
    const { db } = server.context
    await record(server)
    await db.updateTable('audit_events').set({ ip: '192.0.2.66' }).where('seq', 'is', null).execute()
    const forgedId = newIdAt(server.clock.now())
    const forged = { id: forgedId, occurred_at: 1, type: 'user.signed_in', actor: 'user' }
    await db.insertInto('audit_events').values(forged).execute()
    const { lines, log } = createLog('error')
    await createSealer(server.context, log)(NEVER)
    const faults = lines.map(({ fault }) => fault)
    assert.deepEqual(faults.sort(), ['changed', 'forged'])
  })

  it('all nodes open the one key of the chain', async () => {
    const server = await startChain(start, 2)
    const twin = await createSecondNode(server)
    assert.deepEqual(twin.context.chainKey, server.context.chainKey)
    await twin.close()
  })
})
