import assert from 'node:assert/strict'
import { it } from 'node:test'
import { MINUTE } from '../../src/core/clock.ts'
import { createServiceKey } from '../../src/features/service-keys/service-keys.ts'
import { disableUser } from '../../src/features/users/set-active.ts'
import { API, onEachDatabase } from '../kit.ts'
import { assertProblem, assertUncached, NOT_AUTHENTICATED } from '../support/replies.ts'
import { claimsOf } from '../support/tokens.ts'

onEachDatabase('the standard calls about tokens', ({ start }) => {
  const startWithKey = async () => {
    const server = await start()
    const { secret } = await createServiceKey(server.context, { name: 'api', scopes: ['tokens:introspect'] })
    const introspect = async (token: string) => {
      const reply = await server.call('POST', `${API}/auth/introspect`, { form: { token }, token: secret })
      assert.equal(reply.status, 200, reply.text)
      assertUncached(reply)
      return reply.body
    }
    const revoke = (token: string) => server.call('POST', `${API}/auth/revoke`, { form: { token } })
    return { server, secret, introspect, revoke }
  }

  it('introspection tells what a good token stands for', async () => {
    const { server, introspect } = await startWithKey()
    const { tokens, username } = await server.register()
    const { type: _, ...claims } = claimsOf(tokens.access_token)
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

  it('and of any other nothing but that it is not good', async () => {
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
  })

  it('it is for who has the scope; the token that is asked about proves nothing', async () => {
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
    const { secret } = await createServiceKey(server.context, { name: 'x', scopes: ['revocations:read'] })
    assertProblem(await server.call('POST', path, { form, token: secret }), refused)
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

  it('revocation ends the session of an access token or a refresh token, old ones included, and says the same of any other', async () => {
    const { server, revoke } = await startWithKey()
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
      assert.equal((await server.me(other.tokens.access_token)).status, 200)
    }
    assert.deepEqual((await revoke('nonsense')).body, {})
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
