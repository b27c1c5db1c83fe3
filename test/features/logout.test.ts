import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { TokenPair } from '../../src/features/sessions/issue-tokens.ts'
import { API, type Call, onSharedServer, type TestServer } from '../kit.ts'
import {
  ACCESS_TOKEN_INVALID,
  assertDone,
  assertProblem,
  NOT_AUTHENTICATED,
  REFRESH_TOKEN_INVALID,
} from '../support/replies.ts'

const LOGOUT = `${API}/auth/logout`

onSharedServer('logout', (server) => {
  const logout = (call: Call, query = '') => server().call('POST', `${LOGOUT}${query}`, call)
  /** Somebody with two sessions. */
  const signIn = async () => {
    const person = await server().register()
    return { one: person.tokens, other: await server().login(person) }
  }

  it('[V7.4.1] the bearer of an access token is out at once, on every endpoint and with every token', async () => {
    const { one, other } = await signIn()
    assertDone(await logout({ token: one.access_token }))
    for (const [method, path] of [
      ['GET', '/users/me'],
      ['PATCH', '/users/me'],
      ['PUT', '/users/me'],
      ['DELETE', '/users/me'],
      ['GET', '/users/me/sessions'],
      ['DELETE', '/users/me/sessions/019a1f6e-7c1a-7b7e-8a54-3f1d2c9b0e11'],
      ['GET', '/users/admin-only'],
      ['POST', '/auth/logout'],
    ] as const) {
      const json = path === '/users/me' && method === 'DELETE' ? { current_password: 'x' } : {}
      const call = method === 'GET' || path.includes('sessions') ? {} : { json }
      const reply = await server().call(method, `${API}${path}`, { ...call, token: one.access_token })
      assertProblem(reply, ACCESS_TOKEN_INVALID)
    }
    assertProblem(await server().refresh(one.refresh_token), REFRESH_TOKEN_INVALID)
    await assertAlive(server(), other)
  })

  it('a refresh token in the body does it too, as JSON and as a form, current or refreshed since', async () => {
    const { one, other } = await signIn()
    await server().refresh(one.refresh_token)
    assertDone(await logout({ json: { refresh_token: one.refresh_token } }))
    await assertDead(server(), one)
    assertDone(await logout({ form: { refresh_token: other.refresh_token } }))
    await assertDead(server(), other)
  })

  it('no body, an empty one and an empty object are alike, whatever their media type', async () => {
    const json = 'application/json'
    const form = 'application/x-www-form-urlencoded'
    const calls: Call[] = [
      {},
      { json: {} },
      { form: {} },
      { headers: { 'content-type': json } },
      { payload: '', headers: { 'content-type': json } },
      { payload: '', headers: { 'content-type': `${json}; charset=utf-8` } },
      { payload: '', headers: { 'content-type': form } },
    ]
    for (const call of calls) {
      const { one } = await signIn()
      assertDone(await logout({ ...call, token: one.access_token }))
      await assertDead(server(), one)
    }
  })

  it('scope=session ends this session, others all but this one, all every one', async () => {
    const session = await signIn()
    assertDone(await logout({ token: session.one.access_token }, '?scope=session'))
    await assertDead(server(), session.one)
    await assertAlive(server(), session.other)

    const others = await signIn()
    assertDone(await logout({ token: others.one.access_token }, '?scope=others'))
    await assertAlive(server(), others.one)
    await assertDead(server(), others.other)

    const all = await signIn()
    assertDone(await logout({ json: { refresh_token: all.one.refresh_token } }, '?scope=all'))
    await assertDead(server(), all.one)
    await assertDead(server(), all.other)

    // One that was refreshed since may have lost the reply.
    const late = await signIn()
    await server().refresh(late.one.refresh_token)
    assertDone(await logout({ json: { refresh_token: late.one.refresh_token } }, '?scope=all'))
    await assertDead(server(), late.other)
  })

  it('nobody else is signed out', async () => {
    const { one } = await signIn()
    const { tokens } = await server().register()
    assertDone(await logout({ token: one.access_token }, '?scope=all'))
    await assertAlive(server(), tokens)
  })

  it('who does not say which session is told so', async () => {
    for (const call of [{}, { json: {} }, { headers: { authorization: 'Basic YTpi' } }]) {
      assertProblem(await logout(call), NOT_AUTHENTICATED)
    }
    for (const token of ['', 'x', (await signIn()).one.refresh_token]) {
      assertProblem(await logout({ token }), ACCESS_TOKEN_INVALID)
    }
  })

  it('a bad refresh token in the body is refused, even beside a good access token', async () => {
    const { one } = await signIn()
    for (const refresh_token of ['x', one.access_token]) {
      const reply = await logout({ json: { refresh_token }, token: one.access_token })
      assertProblem(reply, REFRESH_TOKEN_INVALID)
    }
    await assertAlive(server(), one)
  })

  it('unknown scopes and unknown fields are refused', async () => {
    const { one } = await signIn()
    for (const query of ['?scope=', '?scope=everything', '?scope=all&scope=session', '?all=1']) {
      const reply = await logout({ token: one.access_token }, query)
      assert.equal(reply.status, 422, query)
    }
    const reply = await logout({ token: one.access_token, json: { token: 'x' } })
    assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/token'] })
    const empty = await logout({ token: one.access_token, json: { refresh_token: '' } })
    assertProblem(empty, { status: 422, code: 'validation_failed', pointers: ['/refresh_token'] })
    await assertAlive(server(), one)
  })

  it('[V3.5.3] nothing but POST signs out', async () => {
    const { one } = await signIn()
    for (const method of ['GET', 'OPTIONS', 'PUT', 'DELETE']) {
      const reply = await server().call(method, LOGOUT, { token: one.access_token })
      assertProblem(reply, { status: 405, code: 'method_not_allowed' })
      assert.equal(reply.headers.allow, 'POST')
    }
    await assertAlive(server(), one)
  })
})

async function assertAlive(server: TestServer, ...pairs: TokenPair[]): Promise<void> {
  for (const { access_token } of pairs) assert.equal((await server.me(access_token)).status, 200)
}

async function assertDead(server: TestServer, { access_token, refresh_token }: TokenPair): Promise<void> {
  assertProblem(await server.me(access_token), ACCESS_TOKEN_INVALID)
  assertProblem(await server.refresh(refresh_token), REFRESH_TOKEN_INVALID)
}
