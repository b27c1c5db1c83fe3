import assert from 'node:assert/strict'
import { before, it } from 'node:test'
import { HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { disableUser, enableUser } from '../../src/features/users/set-active.ts'
import { API, onEachDatabase, onSharedServer, type Person } from '../kit.ts'
import { getUser } from '../support/people.ts'
import {
  ACCESS_TOKEN_INVALID,
  assertProblem,
  assertUncached,
  INACTIVE_USER,
  NOT_AUTHENTICATED,
  TOKEN_SENT_TWICE,
} from '../support/replies.ts'
import { claimsOf, headerOf } from '../support/tokens.ts'

const ME = `${API}/users/me`

onSharedServer('me', (server) => {
  let ada: Person
  before(async () => {
    ada = await server().register({ username: 'Ada', email: 'Ada@Example.com' })
  })

  it('[V14.2.6] [V15.3.1] gives the profile, whole and nothing more', async () => {
    const reply = await server().me(ada.tokens.access_token)
    assert.equal(reply.status, 200)
    assertUncached(reply)
    const { id } = await getUser(server(), 'Ada')
    const now = new Date(server().context.clock.now()).toISOString()
    const { created_at, updated_at, ...rest } = reply.body
    assert.deepEqual(rest, {
      id,
      username: 'Ada',
      email: 'Ada@Example.com',
      is_active: true,
      is_superuser: false,
      email_verified: false,
      locale: null,
    })
    assert.equal(created_at, updated_at)
    assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.ok(Math.abs(Date.parse(created_at) - Date.parse(now)) < MINUTE)
  })

  it('[RFC6750-3] [RFC6750-3.1b] without a token: 401 that asks for a bearer and gives no error', async () => {
    for (const headers of [
      {},
      { authorization: '' },
      { authorization: 'Basic YTpi' },
      { authorization: 'x' },
    ]) {
      assertProblem(await server().call('GET', ME, { headers }), NOT_AUTHENTICATED)
    }
  })

  it('[RFC6750-3.1a] with a bad token: 401 with error="invalid_token"', async () => {
    const [header, claims] = ada.tokens.access_token.split('.')
    const bad = [
      '',
      ' ',
      'x',
      'a b',
      `${header}.${claims}.`,
      ada.tokens.refresh_token,
      'x'.repeat(5000),
      '{}',
    ]
    for (const token of bad) assertProblem(await server().call('GET', ME, { token }), ACCESS_TOKEN_INVALID)
    const bare = await server().call('GET', ME, { headers: { authorization: 'Bearer' } })
    assertProblem(bare, ACCESS_TOKEN_INVALID)
  })

  it('[RFC6750-5.2] the scheme is taken in any case', async () => {
    for (const scheme of ['bearer', 'BEARER', 'BeArEr', 'Bearer  ']) {
      const headers = { authorization: `${scheme} ${ada.tokens.access_token}` }
      assert.equal((await server().call('GET', ME, { headers })).status, 200, scheme)
    }
  })

  it('[RFC6750-2.3] a token in the query is not read', async () => {
    const query = `${ME}?access_token=${ada.tokens.access_token}`
    assertProblem(await server().call('GET', query), NOT_AUTHENTICATED)
  })

  it('[RFC6750-2] [RFC6750-3.1a] a token in the header and in query or body as well is refused with 400 and error="invalid_request"', async () => {
    const { access_token: token } = (await server().register()).tokens
    const json = { access_token: token }
    for (const [method, path, call] of [
      ['GET', `${ME}?access_token=${token}`, {}],
      ['GET', `${ME}?access_token=`, {}],
      ['PATCH', ME, { json }],
      ['POST', `${API}/auth/logout`, { form: json }],
      ['POST', `${API}/auth/logout?access_token=${token}`, {}],
    ] as const) {
      const reply = await server().call(method, path, { token, ...call })
      assertProblem(reply, TOKEN_SENT_TWICE)
      assert.ok(!reply.text.includes(token))
    }
    assert.equal((await server().me(token)).status, 200, 'and nothing was done')
  })

  it('where no bearer is asked for, what is called like a token is no matter', async () => {
    const query = `/health?access_token=${ada.tokens.access_token}`
    assert.equal((await server().call('GET', query, { token: ada.tokens.access_token })).status, 200)
  })

  it('[V7.4.2] a disabled user gets 400 "Inactive user"; enabled again they must sign in anew', async () => {
    const person = await server().register()
    const { id } = await getUser(server(), person.username)
    await disableUser(server().context, id)
    assertProblem(await server().me(person.tokens.access_token), INACTIVE_USER)
    assertProblem(
      await server().call('PATCH', ME, { token: person.tokens.access_token, json: {} }),
      INACTIVE_USER,
    )
    assert.equal(await disableUser(server().context, id), false)
    await enableUser(server().context, id)
    assert.equal(await enableUser(server().context, id), false)
    assertProblem(await server().me(person.tokens.access_token), ACCESS_TOKEN_INVALID)
    assert.equal((await server().me((await server().login(person)).access_token)).status, 200)
  })

  it('HEAD answers as GET does, without a body', async () => {
    const reply = await server().call('HEAD', ME, { token: ada.tokens.access_token })
    assert.equal(reply.status, 200)
    assert.equal(reply.text, '')
    assert.equal(reply.headers['cache-control'], 'no-store')
    assert.equal((await server().call('HEAD', ME)).status, 401)
  })

  it('[RFC9068-6] [RFC9068-2.1b] [RFC9068-2.2a] [RFC8725bis-3.2] the access token says who and until when, and nothing personal', async () => {
    const [header, claims] = [headerOf(ada.tokens.access_token), claimsOf(ada.tokens.access_token)]
    const { id } = await getUser(server(), 'Ada')
    const { kid } = header
    assert.deepEqual(header, { alg: 'ES256', typ: 'at+jwt', kid })
    const { sid, jti, iat, exp, auth_time, ...rest } = claims
    assert.deepEqual(rest, {
      iss: 'http://127.0.0.1:8000',
      aud: 'http://127.0.0.1:8000',
      sub: id,
      amr: ['pwd'],
      client_id: 'postern',
      scope: '',
      type: 'access',
    })
    assert.equal(Number(exp) - Number(iat), 1800)
    assert.equal(auth_time, iat)
    assert.match(String(jti), /^[\w-]{22}$/)
    assert.match(String(sid), /^[0-9a-f-]{36}$/)
  })

  it('the refresh token says which session and how often it was refreshed, and no more', async () => {
    const person = await server().register()
    const { refresh_token } = (await server().refresh(person.tokens.refresh_token)).body
    const [header, claims] = [headerOf(refresh_token), claimsOf(refresh_token)]
    assert.deepEqual(header, { alg: 'HS256', typ: 'rt+jwt', kid: header.kid })
    const { sub, sid, iat, exp, ...rest } = claims
    assert.deepEqual(rest, { gen: 1, type: 'refresh' })
    const access = claimsOf(person.tokens.access_token)
    assert.deepEqual([sub, sid], [access.sub, access.sid])
    assert.ok(Number(exp) - Number(iat) >= 7 * 24 * 3600)
  })
})

onEachDatabase('me in time', ({ start }) => {
  it('[V9.2.1] [RFC6750-5.3] [RFC9068-4b] an access token lives 30 minutes, to the second', async () => {
    const server = await start()
    const { tokens } = await server.register()
    server.clock.advance(30 * MINUTE - SECOND)
    assert.equal((await server.me(tokens.access_token)).status, 200)
    server.clock.advance(SECOND)
    assertProblem(await server.me(tokens.access_token), ACCESS_TOKEN_INVALID)
  })

  it('an access token is no good once its session has idled out, even where it lives longer', async () => {
    const server = await start({ refreshTokenTtlMs: 10 * MINUTE })
    const { tokens } = await server.register()
    server.clock.advance(10 * MINUTE)
    assertProblem(await server.me(tokens.access_token), ACCESS_TOKEN_INVALID)
  })

  it('ACCESS_TOKEN_EXPIRE_MINUTES sets how long an access token lives and what expires_in says', async () => {
    const server = await start({ accessTokenTtlMs: HOUR })
    const { tokens } = await server.register()
    assert.equal(tokens.expires_in, 3600)
    server.clock.advance(HOUR - SECOND)
    assert.equal((await server.me(tokens.access_token)).status, 200)
    server.clock.advance(SECOND)
    assertProblem(await server.me(tokens.access_token), ACCESS_TOKEN_INVALID)
  })
})
