import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { createContext } from '../../src/context.ts'
import { HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { ALGORITHMS } from '../../src/core/security/algorithms.ts'
import { loadSettings, type Settings } from '../../src/core/settings.ts'
import { settleAlgorithm } from '../../src/features/keys/settle-algorithm.ts'
import { onEachDatabase, onSharedServer, type TestServer } from '../kit.ts'
import { assertTokenPair } from '../support/replies.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { claimsOf, headerOf } from '../support/tokens.ts'

const SECRETS = ['Zk1vX8-0bT5nZ2rL7wY4mD9sF6hJ1cP_aGeUiOxQ', 'Yj2vX8-0bT5nZ2rL7wY4mD9sF6hJ1cP_aGeUiOxW']
const PUBLIC_MEMBERS: Record<string, { kty: string; crv?: string; members: string[] }> = {
  ES256: { kty: 'EC', crv: 'P-256', members: ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'] },
  EdDSA: { kty: 'OKP', crv: 'Ed25519', members: ['alg', 'crv', 'kid', 'kty', 'use', 'x'] },
  RS256: { kty: 'RSA', members: ['alg', 'e', 'kid', 'kty', 'n', 'use'] },
  PS256: { kty: 'RSA', members: ['alg', 'e', 'kid', 'kty', 'n', 'use'] },
}

const getJwks = async (server: TestServer) => server.call('GET', '/.well-known/jwks.json')

for (const algorithm of Object.keys(ALGORITHMS) as Settings['algorithm'][]) {
  onSharedServer(
    `ALGORITHM=${algorithm}`,
    (server) => {
      it('signing in, calling and refreshing work', async () => {
        const person = await server().register()
        const pair = await server().login(person)
        assert.equal(headerOf(pair.access_token).alg, algorithm)
        assert.equal((await server().me(pair.access_token)).status, 200)
        const next = await server().refresh(pair.refresh_token)
        assertTokenPair(next)
        assert.equal((await server().me(next.body.access_token)).status, 200)
      })

      it('[V11.2.3] [RFC8725-3.1b] [RFC9068-2.1a] [RFC8725-3.2] the key set has the public key with alg, use and kid, and nothing private', async () => {
        const reply = await getJwks(server())
        assert.equal(reply.status, 200)
        assert.equal(reply.headers['cache-control'], 'public, max-age=300')
        const { keys, ...rest } = reply.body
        assert.deepEqual(rest, {})
        const expected = PUBLIC_MEMBERS[algorithm]
        if (!expected) return assert.deepEqual(keys, [])
        assert.equal(keys.length, 1)
        const { tokens } = await server().register()
        const [{ alg, use, kid, kty, crv, n }] = keys
        assert.deepEqual(Object.keys(keys[0]).sort(), expected.members)
        assert.deepEqual(
          { alg, use, kty, crv },
          { alg: algorithm, use: 'sig', kty: expected.kty, crv: expected.crv },
        )
        assert.equal(kid, headerOf(tokens.access_token).kid)
        if (n) assert.equal(Buffer.from(n, 'base64url').length * 8, 3072)
      })
    },
    { algorithm },
  )
}

it('[RFC8725-3.2] ALGORITHM is one of five current ones: none, SHA-1 and all that is not known stop the start', () => {
  const load = (ALGORITHM: string) =>
    loadSettings({ env: { ALGORITHM, SECRET_KEY }, directory: '/nonexistent' })
  for (const algorithm of Object.keys(ALGORITHMS)) assert.equal(load(algorithm).settings.algorithm, algorithm)
  const refused = ['none', 'None', 'RS1', 'HS1', 'HS512', 'ES256K', 'RSA1_5', 'rs256', 'RS256,none']
  for (const algorithm of refused) assert.throws(() => load(algorithm), /ALGORITHM/)
})

onEachDatabase('keys', ({ start }) => {
  it('an API verifies access tokens with nothing but the published address of the keys', async () => {
    const server = await start()
    const { tokens } = await server.register()
    const address = await server.app.listen({ host: '127.0.0.1', port: 0 })
    const keys = createRemoteJWKSet(new URL(`${address}/.well-known/jwks.json`))
    const { publicUrl } = server.settings
    const expected = { issuer: publicUrl, audience: publicUrl, typ: 'at+jwt', algorithms: ['ES256'] }
    const currentDate = new Date(server.clock.now())
    const { payload } = await jwtVerify(tokens.access_token, keys, { ...expected, currentDate })
    assert.equal(payload.sub, claimsOf(tokens.access_token).sub)
    await assert.rejects(jwtVerify(tokens.refresh_token, keys, { ...expected, currentDate }))
  })

  it('[V11.2.2] [V13.3.4] [RFC8725-3.2] ALGORITHM can be changed without signing anyone out, there and back', async () => {
    const server = await start()
    const { tokens } = await server.register()
    const published = async () =>
      (await getJwks(server)).body.keys.map(({ alg }: { alg: string }) => alg).sort()
    await server.restart({ algorithm: 'EdDSA' })
    assert.deepEqual(await published(), ['ES256', 'EdDSA'])
    let pair = (await server.refresh(tokens.refresh_token)).body
    assert.equal(headerOf(pair.access_token).alg, 'ES256', 'until every API has seen the new key')
    server.clock.advance(HOUR - MINUTE)
    pair = (await server.refresh(pair.refresh_token)).body
    server.clock.advance(MINUTE + SECOND)
    assert.equal((await server.me(pair.access_token)).status, 200)
    pair = (await server.refresh(pair.refresh_token)).body
    assert.equal(headerOf(pair.access_token).alg, 'EdDSA')
    // As a start does; on PostgreSQL one would be back at the time of before.
    const settings = { ...server.settings, algorithm: 'ES256' } as const
    await settleAlgorithm({ ...server.context, settings })
    await server.context.keyring.refresh()
    server.clock.advance(HOUR + SECOND)
    pair = (await server.refresh(pair.refresh_token)).body
    assert.equal(headerOf(pair.access_token).alg, 'ES256')
    assert.notEqual(headerOf(pair.access_token).kid, headerOf(tokens.access_token).kid)
    assert.equal((await server.me(pair.access_token)).status, 200)
  })

  it('to HS256 at once, and tokens from before go on; from it at once, and they do not: whoever holds it could go on making them', async () => {
    const server = await start()
    const { tokens } = await server.register()
    await server.restart({ algorithm: 'HS256' })
    assert.equal((await server.me(tokens.access_token)).status, 200)
    const shared = (await server.refresh(tokens.refresh_token)).body
    assert.equal((await server.me(shared.access_token)).status, 200)
    await server.restart({ algorithm: 'ES256' })
    assert.equal((await server.me(shared.access_token)).status, 401)
    const next = await server.refresh(shared.refresh_token)
    assert.equal((await server.me(next.body.access_token)).status, 200)
  })

  it('[V13.3.4] SECRET_KEY is rotated by way of PREVIOUS without signing anyone out, and private keys sealed anew', async () => {
    const [secretKey = '', nextKey = ''] = SECRETS
    const server = await start({ secretKey })
    const { tokens } = await server.register()
    const stored = () => server.context.db.selectFrom('signing_keys').selectAll().executeTakeFirstOrThrow()
    const before = await stored()
    await server.restart({ secretKeyPrevious: nextKey })
    assert.equal((await server.me(tokens.access_token)).status, 200)
    assert.deepEqual(await stored(), before)

    await server.restart({ secretKey: nextKey, secretKeyPrevious: secretKey })
    assert.equal((await server.me(tokens.access_token)).status, 200)
    const next = (await server.refresh(tokens.refresh_token)).body
    const after = await stored()
    assert.notEqual(after.sealed_private_jwk, before.sealed_private_jwk)
    assert.deepEqual({ ...after, sealed_private_jwk: '' }, { ...before, sealed_private_jwk: '' })

    await server.restart({ secretKeyPrevious: undefined })
    assert.deepEqual(await stored(), after)
    assert.equal((await server.me(next.access_token)).status, 200)
    assert.equal((await server.refresh(tokens.refresh_token)).status, 401, 'the former key counts no more')
    assert.equal((await server.refresh(next.refresh_token)).status, 200)
  })

  it('with HS256 as well, where the access tokens depend on it too', async () => {
    const [secretKey = '', nextKey = ''] = SECRETS
    const server = await start({ secretKey, algorithm: 'HS256' })
    const { tokens } = await server.register()
    await server.restart({ secretKey: nextKey, secretKeyPrevious: secretKey })
    assert.equal((await server.me(tokens.access_token)).status, 200)
    const next = (await server.refresh(tokens.refresh_token)).body
    await server.restart({ secretKeyPrevious: undefined })
    assert.equal((await server.me(tokens.access_token)).status, 401)
    assert.equal((await server.me(next.access_token)).status, 200)
  })

  it('[V11.3.2] the private key is stored sealed', async () => {
    const server = await start()
    const [key, ...others] = await server.context.db.selectFrom('signing_keys').selectAll().execute()
    assert.deepEqual(others, [])
    assert.match(key?.sealed_private_jwk ?? '', /^v1\.[\w-]{100,}$/)
    assert.ok(!key?.public_jwk.includes('"d"'))
  })

  it('[V11.3.3] a wrong SECRET_KEY or an altered key stops the start, with a line that says what to do', async () => {
    const [secretKey = '', wrongKey = ''] = SECRETS
    const server = await start({ secretKey })
    const { db } = server.context
    const [key] = await db.selectFrom('signing_keys').selectAll().execute()
    const { kid, sealed_private_jwk: sealed } = key ?? assert.fail('no key')
    const message = `The signing key ${kid} was sealed with another SECRET_KEY: set that one, or set it as SECRET_KEY_PREVIOUS`
    const startNode = (changes: Partial<Settings> = {}) =>
      createContext({ ...server.settings, ...changes }, server.clock)
    const refused = { name: 'StartupError', message }
    const foreign = {
      name: 'StartupError',
      message: /^The key of the audit log was sealed with another SECRET_KEY/,
    }
    await assert.rejects(startNode({ secretKey: wrongKey }), foreign)
    await assert.rejects(startNode({ secretKey: wrongKey, secretKeyPrevious: `${wrongKey}2` }), foreign)
    const altered = { sealed_private_jwk: `${sealed.slice(0, -5)}AAAAA` }
    await db.updateTable('signing_keys').set(altered).execute()
    await assert.rejects(startNode(), refused)
  })

  it('a changed PUBLIC_URL signs nobody out: a refresh goes on, its tokens have the new issuer', async () => {
    const server = await start()
    const { tokens } = await server.register()
    await server.restart({ publicUrl: 'https://auth.example.com' })
    assert.equal((await server.me(tokens.access_token)).status, 401)
    const next = await server.refresh(tokens.refresh_token)
    assertTokenPair(next)
    const { iss, aud } = claimsOf(next.body.access_token)
    assert.deepEqual([iss, aud], ['https://auth.example.com', 'https://auth.example.com'])
    assert.equal((await server.me(next.body.access_token)).status, 200)
  })
})
