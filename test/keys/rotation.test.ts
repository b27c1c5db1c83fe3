import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createContext } from '../../src/context.ts'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { generateSigningKey } from '../../src/core/security/keyring.ts'
import { stateOf } from '../../src/features/keys/key-states.ts'
import { listSigningKeys } from '../../src/features/keys/queries.ts'
import { importKey, revokeKey, rotateKeys, rotateOldKeys } from '../../src/features/keys/rotate-keys.ts'
import { onEachDatabase, type TestServer } from '../kit.ts'
import { headerOf } from '../support/tokens.ts'

onEachDatabase('rotation of keys', ({ start }) => {
  const keeperOf = ({ context }: Pick<TestServer, 'context'>) => ({ ...context, secrets: context.settings })
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
    const rotation = await rotateKeys(keeperOf(server))
    server.clock.advance(5 * SECOND)
    assert.equal(await kidOf(server), rotation?.key.kid)
    server.clock.advance(HOUR - 6 * SECOND)
    assert.equal((await server.me(late.access_token)).status, 200)
  })

  it('by command at once where the next key has been published for an hour, else then', async () => {
    const server = await start()
    const { clock, context } = server
    const soon = await rotateKeys(keeperOf(server))
    assert.equal(soon?.at, context.clock.now() + HOUR)
    const again = await rotateKeys(keeperOf(server))
    assert.deepEqual([again?.key.kid, again?.wasSetBefore], [soon?.key.kid, true])
    clock.advance(HOUR)
    await rotateOldKeys(context)
    clock.advance(HOUR)
    assert.equal((await rotateKeys(keeperOf(server)))?.at, context.clock.now() + 5 * SECOND)
  })

  it('of several nodes that rotate at once one makes the key', async (t) => {
    const server = await start()
    const nodes = await Promise.all(
      Array.from({ length: 4 }, () => createContext(server.settings, server.clock)),
    )
    t.after(() => Promise.all(nodes.map((node) => node.close())))
    const rotations = await Promise.all(nodes.map((context) => rotateKeys(keeperOf({ context }))))
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
    const revoked = await revokeKey(keeperOf(server), first)
    assert.equal(typeof revoked === 'object' && revoked.key.kid, second)
    assert.equal(await kidOf(server), second)
    assert.deepEqual(await published(server), [second])
    assert.equal((await server.me(tokens.access_token)).status, 401)
    const next = (await server.refresh(tokens.refresh_token)).body
    assert.equal(headerOf(next.access_token).kid, second)
    assert.equal((await server.me(next.access_token)).status, 200)
    const rows = await context.db.selectFrom('revocations').select(['kind', 'subject']).execute()
    assert.deepEqual(rows, [{ kind: 'key', subject: first }])
    assert.equal(await revokeKey(keeperOf(server), first), 'notFound')
    assert.equal(await revokeKey(keeperOf(server), 'unknown'), 'notFound')
  })

  it('also one that nobody had made another for, one that is about to take over, and one that only verifies', async () => {
    const server = await start()
    const first = await kidOf(server)
    assert.equal(typeof (await revokeKey(keeperOf(server), first)), 'object')
    const second = await kidOf(server)
    assert.notEqual(second, first)
    const rotation = await rotateKeys(keeperOf(server))
    assert.equal(await revokeKey(keeperOf(server), rotation?.key.kid ?? ''), undefined)
    server.clock.advance(2 * HOUR)
    assert.equal(await kidOf(server), second, 'nothing takes over any more')
    await rotateKeys(keeperOf(server))
    server.clock.advance(HOUR)
    assert.notEqual(await kidOf(server), second)
    assert.equal(await revokeKey(keeperOf(server), second), undefined)
    assert.ok(!(await published(server)).includes(second))
  })

  it('one that waits, while another is about to take over: that rotation goes on', async () => {
    const server = await start()
    const { context } = server
    const first = await kidOf(server)
    const rotation = await rotateKeys(keeperOf(server))
    await rotateOldKeys(context)
    const waiting = (await published(server)).find(
      (kid: string) => kid !== first && kid !== rotation?.key.kid,
    )
    assert.equal(await revokeKey(keeperOf(server), waiting), undefined)
    server.clock.advance(HOUR)
    assert.equal(await kidOf(server), rotation?.key.kid)
    assert.deepEqual(await states(server), ['current', 'previous', 'revoked'])
  })

  it('one that was made elsewhere takes over at the next rotation, in place of the one that waited', async () => {
    const server = await start()
    await rotateOldKeys(server.context)
    const made = await generateSigningKey('ES256')
    assert.notEqual(await importKey(keeperOf(server), made), 'known')
    assert.equal(await importKey(keeperOf(server), made), 'known')
    assert.ok((await published(server)).includes(made.kid))
    assert.deepEqual(await states(server), ['current', 'next'])
    await rotateKeys(keeperOf(server))
    server.clock.advance(HOUR)
    assert.equal(await kidOf(server), made.kid)
  })

  it('while the database is away keys take over at their time all the same', async () => {
    const server = await start()
    const rotation = await rotateKeys(keeperOf(server))
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
})
