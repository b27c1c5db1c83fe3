import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, type Call, onSharedServer, PASSWORD, type Reply, type TestServer } from '../kit.ts'
import {
  ACCESS_TOKEN_INVALID,
  assertDone,
  assertProblem,
  assertTokenPair,
  assertUncached,
  NOT_AUTHENTICATED,
  REFRESH_TOKEN_INVALID,
} from '../support/replies.ts'

const OWN = 'https://auth.example.com'
const APP = 'https://app.example.com'
const NAME = '__Host-postern_refresh'
const ORIGIN_NOT_ALLOWED = { status: 403, code: 'origin_not_allowed' }
/** Missing, opaque, foreign, and all that looks like an allowed one. */
const FOREIGN = [
  undefined,
  '',
  'null',
  'https://evil.example',
  'http://auth.example.com',
  'https://auth.example.com:8443',
  'https://auth.example.com.evil.example',
  'https://evil-auth.example.com',
  'https://auth.example.co',
  'https://AUTH.example.com',
  'https://auth.example.com/',
  'https://auth.example.com, https://evil.example',
  'https://sub.app.example.com',
  'https://example.com',
]

onSharedServer(
  'the refresh cookie',
  (server) => {
    const call = (path: string, { cookie, origin, ...call }: Call & Browser = {}) =>
      server().call('POST', `${API}/auth/${path}`, {
        ...call,
        headers: {
          ...(cookie !== undefined && { cookie: `other=1; ${NAME}=${cookie}` }),
          ...(origin !== undefined && { origin }),
          ...call.headers,
        },
      })
    /** Somebody signed in by cookie. */
    const signIn = async () => {
      const { username } = await server().register()
      const reply = await call('login?transport=cookie', {
        form: { username, password: PASSWORD },
        origin: OWN,
      })
      return { reply, cookie: cookieOf(reply), token: reply.body.access_token as string }
    }

    it('[V3.3.1] [V3.3.2] [V3.3.3] [V3.3.4] [V3.3.5] [V10.1.1] register and login put the refresh token there, HttpOnly, Secure, SameSite=Strict, and not in the body', async () => {
      const json = { username: 'baker', email: 'baker@example.com', password: PASSWORD }
      const registered = await call('register?transport=cookie', { json, origin: OWN })
      const loggedIn = await call('login?transport=cookie', { form: json, origin: OWN })
      for (const reply of [registered, loggedIn]) {
        assert.equal(reply.status, 200)
        assertUncached(reply)
        assert.deepEqual(Object.keys(reply.body).sort(), ['access_token', 'expires_in', 'token_type'])
        const [refresh = '', device = '', ...others] = [reply.headers['set-cookie'] ?? []].flat().map(String)
        assert.deepEqual(others, [])
        assertStrictCookie(refresh, NAME, 604_800)
        assertStrictCookie(device, '__Host-postern_device', 34_560_000)
        assert.ok(!reply.text.includes(cookieOf(reply)))
        assert.equal((await server().me(reply.body.access_token)).status, 200)
      }
    })

    it('refresh reads it and answers with the next one, again not in the body', async () => {
      const { cookie } = await signIn()
      const reply = await call('refresh', { cookie, origin: OWN })
      assert.equal(reply.status, 200)
      assert.deepEqual(Object.keys(reply.body).sort(), ['access_token', 'expires_in', 'token_type'])
      assert.notEqual(cookieOf(reply), cookie)
      assert.equal((await call('refresh', { cookie: cookieOf(reply), origin: APP, json: {} })).status, 200)
    })

    it('[V3.5.1] [V3.5.2] refresh and logout by cookie demand an allowed origin, whatever the body', async () => {
      const { cookie, token } = await signIn()
      const forms = [
        {},
        { json: {} },
        { form: {} },
        { payload: '', headers: { 'content-type': 'application/json' } },
      ]
      for (const origin of FOREIGN) {
        for (const form of forms) {
          assertProblem(await call('refresh', { ...form, cookie, ...named(origin) }), ORIGIN_NOT_ALLOWED)
          assertProblem(await call('logout', { ...form, cookie, ...named(origin) }), ORIGIN_NOT_ALLOWED)
        }
      }
      const plain = { payload: 'x', headers: { 'content-type': 'text/plain' } }
      assert.equal((await call('refresh', { ...plain, cookie, origin: 'https://evil.example' })).status, 415)
      assert.equal((await server().me(token)).status, 200)
      assert.equal((await call('refresh', { cookie, origin: OWN })).status, 200)
    })

    it('[V3.5.1] [V7.6.2] a page of another origin signs nobody in by cookie; what is no browser may', async () => {
      const { username } = await server().register()
      const form = { username, password: PASSWORD }
      for (const origin of FOREIGN.filter((origin) => origin !== undefined)) {
        const json = { ...form, username: 'forged', email: 'forged@example.com' }
        assertProblem(await call('login?transport=cookie', { form, origin }), ORIGIN_NOT_ALLOWED)
        assertProblem(await call('register?transport=cookie', { json, origin }), ORIGIN_NOT_ALLOWED)
      }
      for (const origin of [undefined, OWN, APP]) {
        assert.equal((await call('login?transport=cookie', { form, ...named(origin) })).status, 200)
      }
    })

    it('where no cookie is given, pages of any origin may register and sign in', async () => {
      const json = { username: 'anywhere', email: 'anywhere@example.com', password: PASSWORD }
      const registered = await call('register', { json, origin: 'https://evil.example' })
      assert.equal(registered.status, 200, registered.text)
      const signedIn = await call('login', { form: json, origin: 'https://evil.example' })
      assert.equal(signedIn.status, 200, signedIn.text)
      for (const { headers } of [registered, signedIn]) assert.equal(headers['set-cookie'], undefined)
    })

    it('[V7.2.4] a sign-in or a registration by cookie ends the session that the browser had, and no other', async () => {
      const { username, tokens: elsewhere } = await server().register()
      const form = { username, password: PASSWORD }
      const first = await call('login?transport=cookie', { form, origin: OWN })
      const cookie = cookieOf(first)
      const second = await call('login?transport=cookie', { form, origin: OWN, cookie })
      assert.notEqual(cookieOf(second), cookie)
      assertProblem(await server().me(first.body.access_token), ACCESS_TOKEN_INVALID)
      assertProblem(await call('refresh', { cookie, origin: OWN }), REFRESH_TOKEN_INVALID)

      const json = { username: `${username}.new`, email: `new.${username}@example.com`, password: PASSWORD }
      const kept = cookieOf(second)
      const third = await call('register?transport=cookie', { json, origin: OWN, cookie: kept })
      assertProblem(await server().me(second.body.access_token), ACCESS_TOKEN_INVALID)
      for (const pair of [elsewhere, third.body])
        assert.equal((await server().me(pair.access_token)).status, 200)

      const newest = cookieOf(third)
      const wrong = { ...json, password: 'a wrong one' }
      assert.equal(
        (await call('login?transport=cookie', { form: wrong, origin: OWN, cookie: newest })).status,
        401,
      )
      for (const bad of [`${newest}x`, 'x', elsewhere.access_token]) {
        assert.equal((await call('login?transport=cookie', { form, origin: OWN, cookie: bad })).status, 200)
      }
      assert.equal((await call('login', { form, cookie: newest })).status, 200, 'not by cookie')
      assert.equal((await server().me(third.body.access_token)).status, 200, 'still signed in')
    })

    it('with the token in the body no origin is asked for, at any route', async () => {
      const { username } = await server().register()
      for (const query of ['', '?transport=body']) {
        const login = await call(`login${query}`, {
          form: { username, password: PASSWORD },
          origin: 'https://evil.example',
        })
        assertTokenPair(login)
        assert.equal(login.headers['set-cookie'], undefined)
        const json = { refresh_token: login.body.refresh_token }
        const refresh = await call('refresh', { json, origin: 'https://evil.example' })
        assertTokenPair(refresh)
        assert.equal(refresh.headers['set-cookie'], undefined)
      }
    })

    it('logout by cookie ends the session and clears the cookie', async () => {
      const { cookie, token } = await signIn()
      const reply = await call('logout', { cookie, origin: APP })
      assertDone(reply)
      assertCleared(reply)
      assertProblem(await server().me(token), ACCESS_TOKEN_INVALID)
      assertProblem(await call('refresh', { cookie, origin: OWN }), REFRESH_TOKEN_INVALID)
    })

    it('logout by bearer clears a cookie that came along, and scope=others keeps it', async () => {
      const { cookie, token } = await signIn()
      const others = await call('logout?scope=others', { cookie, token })
      assertDone(others)
      assert.equal(others.headers['set-cookie'], undefined)
      const reply = await call('logout', { cookie, token })
      assertDone(reply)
      assertCleared(reply)
      assertProblem(await server().me(token), ACCESS_TOKEN_INVALID)
    })

    it('a token in the body goes before the cookie', async () => {
      const { cookie, token } = await signIn()
      const { tokens } = await server().register()
      const json = { refresh_token: tokens.refresh_token }
      assertTokenPair(await call('refresh', { json, cookie }))
      assertDone(await call('logout', { json, cookie }))
      assert.equal((await server().me(token)).status, 200)
      assert.equal((await server().me(tokens.access_token)).status, 401)
    })

    it('a bad cookie is an invalid refresh token; other cookies are none', async () => {
      for (const cookie of ['', 'x', '%', 'a.b.c', '"quoted"']) {
        const refresh = await call('refresh', { cookie, origin: OWN })
        assert.ok([401, 422].includes(refresh.status), cookie)
        assert.equal((await call('logout', { cookie, origin: OWN })).status, 401, cookie)
      }
      const { cookie } = await signIn()
      for (const name of ['postern_refresh', '__host-postern_refresh', '__Secure-postern_refresh']) {
        const headers = { cookie: `${name}=${cookie}`, origin: OWN }
        assert.equal((await call('refresh', { headers })).status, 422)
        assertProblem(await call('logout', { headers }), NOT_AUTHENTICATED)
      }
    })

    it('the access token is never read from a cookie', async () => {
      const { token } = await signIn()
      const headers = { cookie: `${NAME}=${token}; access_token=${token}`, origin: OWN }
      assertProblem(await server().call('GET', `${API}/users/me`, { headers }), NOT_AUTHENTICATED)
      assertProblem(await call('refresh', { headers }), REFRESH_TOKEN_INVALID)
    })
  },
  { publicUrl: `${OWN}/base`, corsOrigins: [APP] },
)

onSharedServer('the refresh cookie on the own machine', (server) => {
  it('either name of the machine is the own origin, with its port and no other', async () => {
    const { username } = await server().register()
    const form = { username, password: PASSWORD }
    for (const [origin, status] of [
      ['http://127.0.0.1:8000', 200],
      ['http://localhost:8000', 200],
      ['http://localhost', 403],
      ['http://localhost:3000', 403],
      ['https://localhost:8000', 403],
      ['http://[::1]:8000', 403],
    ] as const) {
      const reply = await login(server(), form, origin)
      assert.equal(reply.status, status, origin)
    }
  })
})

type Browser = { cookie?: string; origin?: string }

const named = (origin: string | undefined): Browser => (origin === undefined ? {} : { origin })

const login = (server: TestServer, form: Record<string, string>, origin: string) =>
  server.call('POST', `${API}/auth/login?transport=cookie`, { form, headers: { origin } })

function assertStrictCookie(cookie: string, name: string, maxAge: number): void {
  const [value, ...attributes] = cookie.split('; ')
  assert.match(value ?? '', new RegExp(`^${name}=[\\w-]+\\.[\\w-]+\\.[\\w-]+$`))
  const expected = ['HttpOnly', `Max-Age=${maxAge}`, 'Path=/', 'SameSite=Strict', 'Secure']
  assert.deepEqual(attributes.sort(), expected)
  assert.ok(cookie.length < 4096)
}

const cookieOf = (reply: Reply): string =>
  new RegExp(`^${NAME}=([^;]+)`).exec(String(reply.headers['set-cookie']))?.[1] ?? ''

function assertCleared(reply: Reply): void {
  const [value, ...attributes] = String(reply.headers['set-cookie']).split('; ')
  assert.equal(value, `${NAME}=`)
  for (const attribute of ['Path=/', 'Secure', 'HttpOnly', 'SameSite=Strict']) {
    assert.ok(attributes.includes(attribute), attribute)
  }
  assert.ok(attributes.includes('Expires=Thu, 01 Jan 1970 00:00:00 GMT'))
}
