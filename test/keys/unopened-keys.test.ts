import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type KyselyPlugin, UpdateQueryNode } from 'kysely'
import type { Context } from '../../src/context.ts'
import { HOUR, MINUTE } from '../../src/core/clock.ts'
import { generateSigningKey } from '../../src/core/security/keyring.ts'
import { importKey } from '../../src/features/keys/import-key.ts'
import { openKeyring } from '../../src/features/keys/live-keyring.ts'
import { listSigningKeys, updateSigningKey } from '../../src/features/keys/queries.ts'
import { revokeAllKeys, revokeKey } from '../../src/features/keys/revoke-keys.ts'
import { rotateKeys, rotateOldKeys } from '../../src/features/keys/rotate-keys.ts'
import { publishKey, unsealPrivateJwk } from '../../src/features/keys/stored-keys.ts'
import { endAllSessions } from '../../src/features/sessions/end-sessions.ts'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'

/** Of a node that cannot open what the server has sealed, nor the other way round. */
const FOREIGN = {
  secretKey: 'another secret of at least thirty-two characters',
  secretKeyPrevious: undefined,
}

onEachDatabase('keys that cannot be opened', ({ start }) => {
  const published = async (server: TestServer): Promise<string[]> => {
    const { status, body } = await server.call('GET', '/.well-known/jwks.json')
    assert.equal(status, 200)
    return body.keys.map(({ kid }: { kid: string }) => kid)
  }
  const signingKid = ({ context }: TestServer) => context.keyring.current().access.current.kid
  const openForeignNode = (context: Context) => openKeyring(context, { ...FOREIGN, algorithm: 'ES256' })
  const isForeign = (kid: string) => ({
    name: 'StartupError',
    message: new RegExp(`^The signing key ${kid} was sealed with another SECRET_KEY`),
  })
  const assertBusy = ({ status, body, headers }: Awaited<ReturnType<TestServer['call']>>) =>
    assert.deepEqual([status, body.code, headers['retry-after']], [503, 'server_busy', '1'])

  const UNOPENED = [
    {
      what: 'sealed with another secret',
      spoil: {},
      settings: FOREIGN,
      message: /^The signing key .* was sealed with another SECRET_KEY/,
    },
    {
      what: 'with half of it unreadable',
      spoil: { public_jwk: '{' },
      message: /^Signing key .* cannot be read$/,
    },
    {
      what: 'of an algorithm that is none',
      spoil: { algorithm: 'ES512' as 'ES256' },
      message: /^Signing key .* cannot be read$/,
    },
  ]
  for (const { what, spoil, settings, message } of UNOPENED) {
    it(`one ${what} stops no other from being dropped`, async () => {
      const server = await start()
      const { context } = server
      const first = signingKid(server)
      const rotation = await rotateKeys(context)
      await context.keyring.refresh()
      const spoilt = await generateSigningKey('ES256')
      await importKey({ ...context, settings: settings ?? context.settings }, spoilt)
      await updateSigningKey(context.db, spoilt.kid, { ...spoil, kid: spoilt.kid })
      const refused = { name: 'StartupError', message }
      await assert.rejects(context.keyring.refresh(), refused)
      assert.ok(!(await published(server)).includes(spoilt.kid))
      await revokeKey(context, first)
      await assert.rejects(context.keyring.refresh(), refused)
      await assert.rejects(context.keyring.refresh(), refused, 'until it is gone')
      assert.deepEqual(await published(server), [rotation?.key.kid])
      assert.equal(signingKid(server), rotation?.key.kid)
    })
  }

  it('the end of all sessions is heeded by who cannot open the key that was made then: it answers 503', async () => {
    const server = await start()
    const { context } = server
    const { username, tokens } = await server.register()
    assert.ok(context.tokens.verifyAccess(tokens.access_token))
    await endAllSessions(context)
    const foreign = (await openForeignNode(context)).current().access.current.kid
    await assert.rejects(context.keyring.refresh(), isForeign(foreign))
    await assert.rejects(context.keyring.refresh(), isForeign(foreign), 'until it can')
    assert.deepEqual(await published(server), [])
    assert.equal(context.tokens.verifyAccess(tokens.access_token), undefined)
    assert.equal((await server.me(tokens.access_token)).status, 401)
    const form = { username, password: PASSWORD }
    assertBusy(await server.call('POST', `${API}/auth/login`, { form }))
  })

  it('who has no key to sign with begins no session, moves none on, and goes on once it has', async () => {
    const server = await start()
    const { context, clock } = server
    const { tokens } = await server.register({ username: 'ada' })
    await context.db.transaction().execute((trx) => revokeAllKeys(trx, context.clock.now()))
    const foreign = (await openForeignNode(context)).current().access.current.kid
    await assert.rejects(context.keyring.refresh(), isForeign(foreign))
    const rows = () => context.db.selectFrom('sessions').selectAll().execute()
    const before = await rows()
    for (let time = 0; time < 4; time += 1) {
      assertBusy(await server.refresh(tokens.refresh_token))
      clock.advance(MINUTE)
    }
    const bob = { username: 'bob', email: 'bob@example.com', password: PASSWORD }
    assertBusy(await server.call('POST', `${API}/auth/register`, { json: bob }))
    const form = { username: 'ada', password: PASSWORD }
    assertBusy(await server.call('POST', `${API}/auth/login`, { form }))
    assert.deepEqual(await rows(), before)

    await revokeKey(context, foreign)
    await context.keyring.refresh()
    assert.equal((await server.refresh(tokens.refresh_token)).status, 200)
    await server.register({ username: 'bob' })
  })

  it('one that waits does not stand in for it, one that has signed does', async () => {
    const server = await start()
    const { context } = server
    const first = signingKid(server)
    await rotateOldKeys(context)
    await context.keyring.refresh()
    const [waiting] = (await published(server)).filter((kid) => kid !== first)
    const foreign = await generateSigningKey('ES256')
    const now = context.clock.now()
    await updateSigningKey(context.db, first, { signs_until: now })
    await publishKey({ ...context, settings: FOREIGN }, context.db, foreign, now)
    await assert.rejects(context.keyring.refresh(), isForeign(foreign.kid))
    assert.equal(signingKid(server), first)
    await updateSigningKey(context.db, first, { revoked_at: now })
    await assert.rejects(context.keyring.refresh(), isForeign(foreign.kid))
    assert.deepEqual(await published(server), [waiting])
    assert.throws(() => context.tokens.requireSigner(), { code: 'server_busy' })
  })

  it('where no other key can be made, those that were dropped are gone all the same', async () => {
    const server = await start()
    const { context } = server
    let isAway = false
    const { database, clock } = context
    const runAlone: typeof database.runAlone = (work) =>
      isAway ? Promise.reject(new Error('away')) : database.runAlone(work)
    const keyring = await openKeyring({ database: { ...database, runAlone }, clock }, context.settings)
    const [before] = keyring.current().jwks.keys
    assert.ok(before)
    await endAllSessions(context)
    isAway = true
    await assert.rejects(keyring.refresh(), /^Error: away$/)
    assert.deepEqual(keyring.current().jwks.keys, [])
    assert.equal(keyring.current().access.byHeader.size, 0)
    isAway = false
    await keyring.refresh()
    assert.notEqual(keyring.current().access.current.kid, before.kid)
  })

  it('nor does anything fail where the last key has retired before the database is back', async () => {
    const server = await start()
    const { context } = server
    await updateSigningKey(context.db, signingKid(server), { signs_until: context.clock.now() + HOUR })
    await context.keyring.refresh()
    server.clock.advance(3 * HOUR)
    assert.deepEqual(await published(server), [])
    assert.throws(() => context.tokens.requireSigner(), { code: 'server_busy' })
  })

  it('one that could not be sealed anew is so at the next look', async () => {
    const server = await start()
    const { database, clock, settings } = server.context
    let isFailing = true
    const plugin: KyselyPlugin = {
      transformQuery({ node }) {
        if (isFailing && UpdateQueryNode.is(node)) throw new Error('away')
        return node
      },
      transformResult: async ({ result }) => result,
    }
    const secrets = { secretKey: settings.secretKey, secretKeyPrevious: FOREIGN.secretKey }
    const failing = { ...database, db: database.db.withPlugin(plugin) }
    const keyring = await openKeyring({ database: failing, clock }, { ...secrets, algorithm: 'ES256' })
    const key = await generateSigningKey('ES256')
    await importKey({ database, clock, settings: FOREIGN }, key)
    const isResealed = async () => {
      const stored = (await listSigningKeys(database.db)).find(({ kid }) => kid === key.kid)
      return stored && unsealPrivateJwk(stored, secrets)?.isOfPrevious === false
    }
    await assert.rejects(keyring.refresh(), /^Error: away$/)
    assert.ok(keyring.current().jwks.keys.some(({ kid }) => kid === key.kid))
    assert.equal(await isResealed(), false)
    isFailing = false
    await keyring.refresh()
    assert.equal(await isResealed(), true)
  })
})
