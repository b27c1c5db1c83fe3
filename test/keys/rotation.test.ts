import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createContext } from '../../src/context.ts'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { generateSigningKey } from '../../src/core/security/keyring.ts'
import { importKey } from '../../src/features/keys/import-key.ts'
import { stateOf } from '../../src/features/keys/key-states.ts'
import { listSigningKeys } from '../../src/features/keys/queries.ts'
import { revokeKey } from '../../src/features/keys/revoke-keys.ts'
import { rotateKeys, rotateOldKeys } from '../../src/features/keys/rotate-keys.ts'
import { settleAlgorithm } from '../../src/features/keys/settle-algorithm.ts'
import { endAllSessions } from '../../src/features/sessions/end-sessions.ts'
import { onEachDatabase, type TestServer } from '../kit.ts'
import { claimsOf, headerOf } from '../support/tokens.ts'

const NO_SUCCESSOR = { successor: undefined }

onEachDatabase('rotation of keys', ({ start }) => {
  const states = async ({ context }: TestServer) =>
    (await listSigningKeys(context.db)).map((key) => stateOf(key, context.clock.now())).sort()
  const kidOf = async (server: TestServer) => {
    await server.context.keyring.refresh()
    return server.context.keyring.current().access.current.kid
  }
  const published = async (server: TestServer) => {
    await server.context.keyring.refresh()
    const { body } = await server.call('GET', '/.well-known/jwks.json')
    return body.keys.map(({ kid }: { kid: string }) => kid)
  }

  it('a key waits, published, before it signs; after the rotation the former verifies until its last token has expired', async () => {
    const server = await start()
    const { context, clock } = server
    const first = await kidOf(server)
    await rotateOldKeys(context)
    assert.deepEqual(await states(server), ['current', 'next'])
    const second = (await published(server)).find((kid: string) => kid !== first)
    clock.advance(30 * DAY - MINUTE)
    await rotateOldKeys(context)
    assert.equal(await kidOf(server), first)
    clock.advance(MINUTE)
    await rotateOldKeys(context)
    assert.equal(await kidOf(server), first, 'until every node has read it')
    clock.advance(5 * SECOND)
    assert.equal(await kidOf(server), second)
    await rotateOldKeys(context)
    assert.deepEqual(await states(server), ['current', 'next', 'previous'])
    clock.advance(61 * MINUTE)
    assert.ok((await published(server)).includes(first))
    clock.advance(2 * MINUTE)
    assert.ok(!(await published(server)).includes(first))
    assert.deepEqual(await states(server), ['current', 'next', 'retired'])
  })

  it('a token of the former key is good until it expires', async () => {
    const server = await start({ accessTokenTtlMs: HOUR })
    const { tokens } = await server.register()
    await rotateOldKeys(server.context)
    server.clock.advance(HOUR)
    const late = (await server.refresh(tokens.refresh_token)).body
    const rotation = await rotateKeys(server.context)
    server.clock.advance(5 * SECOND)
    assert.equal(await kidOf(server), rotation?.key.kid)
    server.clock.advance(HOUR - 6 * SECOND)
    assert.equal((await server.me(late.access_token)).status, 200)
  })

  it('by command at once where the next key has been published for an hour, else then', async () => {
    const server = await start()
    const { clock, context } = server
    const soon = await rotateKeys(server.context)
    assert.equal(soon?.at, context.clock.now() + HOUR)
    const again = await rotateKeys(server.context)
    assert.deepEqual([again?.key.kid, again?.wasSetBefore], [soon?.key.kid, true])
    clock.advance(HOUR)
    await rotateOldKeys(context)
    clock.advance(HOUR)
    assert.equal((await rotateKeys(server.context))?.at, context.clock.now() + 5 * SECOND)
  })

  it('of several nodes that rotate at once one makes the key', async (t) => {
    const server = await start()
    const nodes = await Promise.all(
      Array.from({ length: 4 }, () => createContext(server.settings, server.clock)),
    )
    t.after(() => Promise.all(nodes.map((node) => node.close())))
    const rotations = await Promise.all(nodes.map((context) => rotateKeys(context)))
    assert.equal(new Set(rotations.map((rotation) => rotation?.key.kid)).size, 1)
    assert.equal(rotations.filter((rotation) => !rotation?.wasSetBefore).length, 1)
    assert.deepEqual(await states(server), ['current', 'next'])
    await Promise.all(nodes.map((context) => rotateOldKeys(context)))
    assert.deepEqual(await states(server), ['current', 'next', 'next'])
  })

  it('a key that has leaked is dropped at once, and the one that waits takes over', async () => {
    const server = await start()
    const { context } = server
    const { tokens } = await server.register()
    await rotateOldKeys(context)
    const first = await kidOf(server)
    const second = (await published(server)).find((kid: string) => kid !== first)
    const revoked = await revokeKey(server.context, first)
    assert.equal(revoked?.successor?.key.kid, second)
    assert.equal(await kidOf(server), second)
    assert.deepEqual(await published(server), [second])
    assert.equal((await server.me(tokens.access_token)).status, 401)
    const next = (await server.refresh(tokens.refresh_token)).body
    assert.equal(headerOf(next.access_token).kid, second)
    assert.equal((await server.me(next.access_token)).status, 200)
    const rows = await context.db.selectFrom('revocations').select(['kind', 'subject']).execute()
    assert.deepEqual(rows, [{ kind: 'key', subject: first }])
    assert.equal(await revokeKey(server.context, first), undefined)
    assert.equal(await revokeKey(server.context, 'unknown'), undefined)
  })

  it('also one that nobody had made another for, one that is about to take over, and one that only verifies', async () => {
    const server = await start()
    const first = await kidOf(server)
    assert.ok((await revokeKey(server.context, first))?.successor)
    const second = await kidOf(server)
    assert.notEqual(second, first)
    const rotation = await rotateKeys(server.context)
    assert.deepEqual(await revokeKey(server.context, rotation?.key.kid ?? ''), NO_SUCCESSOR)
    server.clock.advance(2 * HOUR)
    assert.equal(await kidOf(server), second, 'nothing takes over any more')
    await rotateKeys(server.context)
    server.clock.advance(HOUR)
    assert.notEqual(await kidOf(server), second)
    assert.deepEqual(await revokeKey(server.context, second), NO_SUCCESSOR)
    assert.ok(!(await published(server)).includes(second))
  })

  it('one that waits, while another is about to take over: that rotation goes on', async () => {
    const server = await start()
    const { context } = server
    const first = await kidOf(server)
    const rotation = await rotateKeys(server.context)
    await rotateOldKeys(context)
    const waiting = (await published(server)).find(
      (kid: string) => kid !== first && kid !== rotation?.key.kid,
    )
    assert.deepEqual(await revokeKey(server.context, waiting), NO_SUCCESSOR)
    server.clock.advance(HOUR)
    assert.equal(await kidOf(server), rotation?.key.kid)
    assert.deepEqual(await states(server), ['current', 'previous', 'revoked'])
  })

  it('one that was made elsewhere takes over at the next rotation, in place of the one that waited', async () => {
    const server = await start()
    await rotateOldKeys(server.context)
    const made = await generateSigningKey('ES256')
    assert.equal(await importKey(server.context, made), true)
    assert.equal(await importKey(server.context, made), false)
    assert.ok((await published(server)).includes(made.kid))
    assert.deepEqual(await states(server), ['current', 'next'])
    await rotateKeys(server.context)
    server.clock.advance(HOUR)
    assert.equal(await kidOf(server), made.kid)
  })

  it('also where it is the first of another ALGORITHM', async () => {
    const server = await start()
    const { context } = server
    const made = await generateSigningKey('EdDSA')
    await importKey(context, made)
    await server.restart({ algorithm: 'EdDSA' })
    assert.deepEqual(await states(server), ['current', 'next'])
    server.clock.advance(HOUR)
    assert.equal(await kidOf(server), made.kid)
  })

  it('and at once where no key signs', async () => {
    const server = await start()
    const { context } = server
    await settleAlgorithm({ ...context, settings: { ...context.settings, algorithm: 'HS256' } })
    server.clock.advance(2 * HOUR)
    const made = await generateSigningKey('ES256')
    await importKey(context, made)
    assert.equal(await kidOf(server), made.kid)
    assert.deepEqual(await states(server), ['current', 'retired'])
  })

  it('keys take over at their time without another look at the database', async () => {
    const server = await start()
    const rotation = await rotateKeys(server.context)
    await server.context.keyring.refresh()
    server.clock.advance(HOUR)
    assert.equal(server.context.keyring.current().access.current.kid, rotation?.key.kid)
  })

  it('KEY_ROTATION_DAYS=0 leaves it to the operator', async () => {
    const server = await start({ keyRotationMs: 0 })
    const first = await kidOf(server)
    await rotateOldKeys(server.context)
    server.clock.advance(1000 * DAY)
    await rotateOldKeys(server.context)
    server.clock.advance(DAY)
    assert.equal(await kidOf(server), first)
  })

  it('a node that is back at the former ALGORITHM before the change takes place calls it off', async () => {
    const server = await start()
    const first = await kidOf(server)
    await server.restart({ algorithm: 'EdDSA' })
    await server.restart({ algorithm: 'ES256' })
    server.clock.advance(2 * HOUR)
    assert.equal(await kidOf(server), first)
    assert.deepEqual(await states(server), ['current'])
  })

  it('a node that was told of HS256 ends the key of the others: they take it up again, and none is without one', async () => {
    const server = await start()
    const { context, clock } = server
    const first = await kidOf(server)
    await rotateOldKeys(context)
    const misled = { ...context, settings: { ...context.settings, algorithm: 'HS256' } } as const
    await settleAlgorithm(misled)
    assert.deepEqual(await states(server), ['previous'])
    await rotateOldKeys(misled)
    assert.deepEqual(await states(server), ['previous'])
    clock.advance(SECOND)
    assert.equal(await kidOf(server), first)
    assert.deepEqual(await states(server), ['current'])
    clock.advance(2 * HOUR)
    assert.equal((await server.call('GET', '/.well-known/jwks.json')).status, 200)
    const discarded = await context.db
      .selectFrom('audit_events')
      .select('detail')
      .where('type', '=', 'key.discarded')
      .execute()
    assert.equal(discarded.length, 1)
  })

  it('and where that key has retired by then, a new one signs at once', async () => {
    const server = await start()
    const { context, clock } = server
    const first = await kidOf(server)
    await settleAlgorithm({ ...context, settings: { ...context.settings, algorithm: 'HS256' } })
    clock.advance(2 * HOUR)
    assert.notEqual(await kidOf(server), first)
    assert.deepEqual(await states(server), ['current', 'retired'])
  })

  it('a key that is about to take over does so before one of another ALGORITHM', async () => {
    const server = await start()
    const { context, clock } = server
    await rotateOldKeys(context)
    clock.advance(2 * HOUR)
    const rotation = await rotateKeys(context)
    clock.advance(2 * SECOND)
    await settleAlgorithm({ ...context, settings: { ...context.settings, algorithm: 'EdDSA' } })
    clock.advance(4 * SECOND)
    assert.equal(await kidOf(server), rotation?.key.kid)
    clock.advance(HOUR)
    assert.equal((await context.db.selectFrom('signing_keys').selectAll().execute()).length, 3)
    await server.context.keyring.refresh()
    assert.equal(server.context.keyring.current().access.current.algorithm, 'EdDSA')
  })

  it('the end of all sessions drops every key, and a new one signs', async () => {
    const server = await start()
    const { context } = server
    const { tokens } = await server.register()
    await rotateOldKeys(context)
    const before = await published(server)
    assert.equal(before.length, 2)
    assert.equal(await endAllSessions(context), 1)
    const after = await published(server)
    assert.equal(after.length, 1)
    assert.ok(!before.includes(after[0]))
    assert.equal((await server.me(tokens.access_token)).status, 401)
    const rows = await context.db.selectFrom('revocations').select(['kind', 'subject']).execute()
    assert.deepEqual(
      rows.map(({ kind, subject }) => `${kind} ${subject}`).sort(),
      before.map((kid: string) => `key ${kid}`).sort(),
    )
    await server.register()
  })

  it('and with HS256 there is none to drop: the sessions are told of that may have a living token', async () => {
    const server = await start({ algorithm: 'HS256' })
    const { db, clock } = server.context
    const signIn = async () => String(claimsOf((await server.register()).tokens.access_token).sid)
    const [, recovered] = [await signIn(), await signIn()]
    server.clock.advance(MINUTE)
    const repeated = await signIn()
    server.clock.advance(66 * MINUTE)
    const recovery = { recovered_at: clock.now(), recovered_generation: 1 }
    await db.updateTable('sessions').set(recovery).where('id', '=', recovered).execute()
    const used = await signIn()
    assert.equal(await endAllSessions(server.context), 4)
    assert.deepEqual(await states(server), [])
    const rows = await db.selectFrom('revocations').select(['kind', 'subject']).execute()
    assert.deepEqual(
      rows.map(({ kind, subject }) => `${kind} ${subject}`).sort(),
      [recovered, repeated, used].map((sid) => `session ${sid}`).sort(),
    )
  })

  it('of both, where a key verifies that no longer signs', async () => {
    const server = await start()
    const kid = await kidOf(server)
    await server.restart({ algorithm: 'HS256' })
    server.clock.advance(MINUTE)
    const { tokens } = await server.register()
    await endAllSessions(server.context)
    const { db } = server.context
    const rows = await db.selectFrom('revocations').select(['kind', 'subject']).orderBy('kind').execute()
    const { sid } = claimsOf(tokens.access_token)
    assert.deepEqual(rows, [
      { kind: 'key', subject: kid },
      { kind: 'session', subject: sid },
    ])
  })
})
