import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, MINUTE } from '../../src/core/clock.ts'
import { disableUser } from '../../src/features/users/set-active.ts'
import { createLimits, LIMITS } from '../../src/http/limits.ts'
import { API, onEachDatabase } from '../kit.ts'
import { requestFrom, startLimited } from '../support/guesses.ts'
import { assertProblem, assertUncached, NOT_AUTHENTICATED } from '../support/replies.ts'
import { makeServiceKey } from '../support/service-keys.ts'
import { claimsOf } from '../support/tokens.ts'

onEachDatabase('the standard calls about tokens', ({ start }) => {
  const startWithKey = async () => {
    const server = await start()
    const { secret } = await makeServiceKey(server, ['tokens:introspect'])
    const introspect = async (token: string) => {
      const reply = await server.call('POST', `${API}/auth/introspect`, { form: { token }, token: secret })
      assert.equal(reply.status, 200, reply.text)
      assertUncached(reply)
      return reply.body
    }
    const revoke = (token: string, hint?: string) => {
      const form = { token, ...(hint !== undefined && { token_type_hint: hint }) }
      return server.call('POST', `${API}/auth/revoke`, { form })
    }
    return { server, secret, introspect, revoke }
  }

  it('[RFC7662-2.2b] introspection tells what a good token stands for', async () => {
    const { server, introspect } = await startWithKey()
    const { tokens, username } = await server.register()
    const { type: _, ...claims } = claimsOf(tokens.access_token)
    for (const name of ['scope', 'client_id', 'sub', 'aud', 'iss', 'exp', 'iat', 'jti'])
      assert.ok(name in claims)
    assert.deepEqual(await introspect(tokens.access_token), {
      active: true,
      ...claims,
      username,
      token_type: 'Bearer',
    })
    const { sub, sid, iat, exp } = claimsOf(tokens.refresh_token)
    assert.deepEqual(await introspect(tokens.refresh_token), {
      active: true,
      iss: server.settings.publicUrl,
      sub,
      sid,
      iat,
      exp,
      client_id: claims.client_id,
      scope: claims.scope,
      token_type: 'refresh_token',
    })
  })

  it('a token of a session that has not been used for as long as it may be is none, though it has not expired', async () => {
    const { server, introspect } = await startWithKey()
    await server.restart({ refreshTokenTtlMs: MINUTE })
    const { tokens } = await server.register()
    server.clock.advance(MINUTE - 1)
    assert.equal((await introspect(tokens.access_token)).active, true)
    server.clock.advance(1)
    assert.deepEqual(await introspect(tokens.access_token), { active: false })
  })

  it('[RFC7662-2.2a] [RFC7662-4] and of any other nothing but that it is not good', async () => {
    const { server, introspect, secret } = await startWithKey()
    const ada = await server.register()
    const old = ada.tokens.refresh_token
    const next = (await server.refresh(old)).body
    const eve = await server.register()
    const bob = await server.register()
    await server.call('POST', `${API}/auth/logout`, { token: eve.tokens.access_token })
    await disableUser(server.context, String(claimsOf(bob.tokens.access_token).sub))
    const device = Reflect.get(ada.tokens, 'device_token')
    for (const token of [
      old,
      eve.tokens.access_token,
      eve.tokens.refresh_token,
      bob.tokens.access_token,
      bob.tokens.refresh_token,
      `${next.access_token}x`,
      'x',
      device,
      secret,
    ]) {
      assert.deepEqual(await introspect(token), { active: false })
    }
    assert.equal((await introspect(next.access_token)).active, true)
    server.clock.advance(30 * MINUTE)
    assert.deepEqual(await introspect(next.access_token), { active: false })
    assert.equal((await introspect(next.refresh_token)).active, true)
    server.clock.advance(7 * DAY)
    assert.deepEqual(await introspect(next.refresh_token), { active: false })
  })

  it('[RFC7662-2.1] it is for who has the scope; the token that is asked about proves nothing', async () => {
    const { server } = await startWithKey()
    const { tokens } = await server.register()
    const path = `${API}/auth/introspect`
    const form = { token: tokens.access_token }
    assertProblem(await server.call('POST', path, { form }), NOT_AUTHENTICATED)
    const refused = {
      status: 403,
      code: 'insufficient_scope',
      challenge: 'Bearer realm="postern", error="insufficient_scope", scope="tokens:introspect"',
    }
    assertProblem(await server.call('POST', path, { form, token: tokens.access_token }), refused)
    const { secret } = await makeServiceKey(server, ['revocations:read'])
    assertProblem(await server.call('POST', path, { form, token: secret }), refused)
  })

  it('[RFC7662-2.1] nobody looks through tokens: beyond the limit there is no answer, not even with a key', async () => {
    const server = await startLimited(start)
    const { secret } = await makeServiceKey(server, ['tokens:introspect'])
    const { tokens } = await server.register()
    const ip = '192.0.2.7'
    const call = { form: { token: tokens.access_token }, token: secret, ip }
    const path = `${API}/auth/introspect`
    assert.equal((await server.call('POST', path, call)).body.active, true)
    const { most } = LIMITS['introspect-address']
    await createLimits(server.context).count(requestFrom(ip), 'introspect-address', [ip], most - 1)
    assertProblem(await server.call('POST', path, call), { status: 429, code: 'too_many_requests' })
  })

  it('what is missing is named, a hint and unknown fields are ignored', async () => {
    const { server, secret, introspect } = await startWithKey()
    const missing = await server.call('POST', `${API}/auth/introspect`, { form: {}, token: secret })
    assertProblem(missing, { status: 422, code: 'validation_failed', pointers: ['/token'] })
    const { tokens } = await server.register()
    const form = { token: tokens.access_token, token_type_hint: 'refresh_token', resource: 'x' }
    const reply = await server.call('POST', `${API}/auth/introspect`, { form, token: secret })
    assert.deepEqual(reply.body, await introspect(tokens.access_token))
  })

  it('[RFC7009-2a] [RFC7009-2b] [RFC7009-2.2] revocation ends the session of an access token or a refresh token, old ones included, and says the same of any other', async () => {
    const { server, introspect, revoke } = await startWithKey()
    for (const pick of ['access_token', 'refresh_token', 'old'] as const) {
      const { tokens } = await server.register()
      const next = (await server.refresh(tokens.refresh_token)).body
      const other = await server.register()
      const token = pick === 'old' ? tokens.refresh_token : next[pick]
      for (let time = 0; time < 2; time += 1) {
        const reply = await revoke(token)
        assert.deepEqual([reply.status, reply.body], [200, {}])
      }
      assert.equal((await server.me(next.access_token)).status, 401)
      assert.equal((await server.refresh(next.refresh_token)).status, 401)
      assert.deepEqual(await introspect(next.access_token), { active: false })
      assert.equal((await server.me(other.tokens.access_token)).status, 200)
    }
    const reply = await revoke('nonsense')
    assert.deepEqual([reply.status, reply.body], [200, {}])
  })

  it('[RFC7009-2.1] a hint that is wrong, or that nobody knows, changes nothing', async () => {
    const { server, revoke } = await startWithKey()
    for (const [kind, hint] of [
      ['access_token', 'refresh_token'],
      ['refresh_token', 'access_token'],
      ['access_token', 'made_up'],
      ['refresh_token', 'made_up'],
    ] as const) {
      const { tokens } = await server.register()
      assert.equal((await revoke(tokens[kind], hint)).status, 200)
      assert.equal((await server.me(tokens.access_token)).status, 401, `${kind} as ${hint}`)
    }
  })

  it('[RFC7009-2.3] a page of a named origin may revoke, and reads the answer', async () => {
    const origin = 'https://app.example.com'
    const server = await start({ corsOrigins: [origin] })
    const { tokens } = await server.register()
    const path = `${API}/auth/revoke`
    const asked = { origin, 'access-control-request-method': 'POST' }
    const preflight = await server.call('OPTIONS', path, { headers: asked })
    const form = { token: tokens.refresh_token }
    const revoked = await server.call('POST', path, { form, headers: { origin } })
    assert.deepEqual([preflight.status, revoked.status], [204, 200])
    assert.match(String(preflight.headers['access-control-allow-methods']), /POST/)
    for (const { headers } of [preflight, revoked]) {
      assert.equal(headers['access-control-allow-origin'], origin)
    }
    assert.equal((await server.me(tokens.access_token)).status, 401)
  })

  it('the server says what it can, and nothing that it cannot', async () => {
    const { server } = await startWithKey()
    await server.restart({ publicUrl: 'https://auth.example.com/base' })
    const url = 'https://auth.example.com/base'
    for (const name of ['oauth-authorization-server', 'openid-configuration']) {
      const reply = await server.call('GET', `/.well-known/${name}`)
      assert.equal(reply.headers['cache-control'], 'public, max-age=300')
      assert.deepEqual(reply.body, {
        issuer: url,
        jwks_uri: `${url}/.well-known/jwks.json`,
        introspection_endpoint: `${url}/api/v1/auth/introspect`,
        introspection_endpoint_auth_methods_supported: ['Bearer'],
        revocation_endpoint: `${url}/api/v1/auth/revoke`,
        revocation_endpoint_auth_methods_supported: ['none'],
        scopes_supported: ['revocations:read', 'tokens:introspect'],
        response_types_supported: [],
        grant_types_supported: [],
        service_documentation: `${url}/docs`,
      })
    }
  })

  it('the key set has an ETag, and says when it is the same', async () => {
    const { server } = await startWithKey()
    const path = '/.well-known/jwks.json'
    const { headers } = await server.call('GET', path)
    const etag = String(headers.etag)
    assert.match(etag, /^"[\w-]{22}"$/)
    for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
      const reply = await server.call('GET', path, { headers: { 'if-none-match': known } })
      assert.deepEqual([reply.status, reply.text, reply.headers.etag], [304, '', etag], known)
      assert.equal(reply.headers['cache-control'], 'public, max-age=300')
    }
    const other = await server.call('GET', path, { headers: { 'if-none-match': '"x"' } })
    assert.equal(other.status, 200)
  })
})
