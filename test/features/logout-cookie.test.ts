import assert from 'node:assert/strict'
import { it } from 'node:test'
import { MINUTE } from '../../src/core/clock.ts'
import { API, type Call, onEachDatabase, type Person, type Reply, type TestServer } from '../kit.ts'
import { ACCESS_TOKEN_INVALID, assertDone, assertProblem } from '../support/replies.ts'
import { claimsOf } from '../support/tokens.ts'

const OWN = 'https://auth.example.com'
const EVIL = 'https://evil.example'
const NAME = '__Host-postern_refresh'
const SETTINGS = { publicUrl: OWN }
const ORIGIN_NOT_ALLOWED = { status: 403, code: 'origin_not_allowed' }

type Kept = { token: string; cookie: string }
type LogoutCall = Call & { cookie?: string; origin?: string }

onEachDatabase('logout where a cookie comes along', ({ start, share }) => {
  it('[V3.5.1] a page of another site that sends a refresh token of its own clears no cookie and ends no session of others', async () => {
    const server = await share(SETTINGS)
    const victim = await signIn(server, await server.register())
    for (const scope of ['session', 'others', 'all']) {
      const { tokens } = await server.register()
      const { refresh_token } = tokens
      const forms =
        scope === 'session'
          ? [{ json: { refresh_token } }, { form: { refresh_token } }]
          : [{ json: { refresh_token } }]
      for (const form of forms) {
        const reply = await logout(server, { ...form, cookie: victim.cookie, origin: EVIL }, scope)
        assertDone(reply)
        assert.equal(reply.headers['set-cookie'], undefined, scope)
      }
    }
    await assertAlive(server, victim)
  })

  it('a bearer ends its own session; the cookie of another stays, and so does that session', async () => {
    const server = await share(SETTINGS)
    const person = await server.register()
    const kept = await signIn(server, person)
    const stranger = await signIn(server, await server.register())
    for (const { cookie } of [kept, stranger]) {
      const { access_token } = await server.login(person)
      const reply = await logout(server, { token: access_token, cookie })
      assertDone(reply)
      assert.equal(reply.headers['set-cookie'], undefined)
      assertProblem(await server.me(access_token), ACCESS_TOKEN_INVALID)
    }
    const all = await logout(server, { token: person.tokens.access_token, cookie: stranger.cookie }, 'all')
    assertDone(all)
    assert.equal(all.headers['set-cookie'], undefined)
    await assertAlive(server, stranger)
  })

  it('the cookie of a session that scope=all or scope=others ends is cleared', async () => {
    const server = await share(SETTINGS)
    for (const scope of ['all', 'others']) {
      const person = await server.register()
      const kept = await signIn(server, person)
      const reply = await logout(server, { token: person.tokens.access_token, cookie: kept.cookie }, scope)
      assertDone(reply)
      assertCleared(reply)
      await assertDead(server, kept)
    }
  })

  it('so is the own one, when all are signed out by the bearer of its session', async () => {
    const server = await share(SETTINGS)
    const kept = await signIn(server, await server.register())
    const reply = await logout(server, kept, 'all')
    assertDone(reply)
    assertCleared(reply)
    await assertDead(server, kept)
  })

  it('a cookie with something else in it is no hindrance, and stays', async () => {
    const server = await share(SETTINGS)
    const { tokens } = await server.register()
    const reply = await logout(server, { token: tokens.access_token, cookie: 'rubbish' })
    assertDone(reply)
    assert.equal(reply.headers['set-cookie'], undefined)
    assertProblem(await server.me(tokens.access_token), ACCESS_TOKEN_INVALID)
  })

  it('who signs in again in the same browser ends the session before, for that reason', async () => {
    const server = await share(SETTINGS)
    const person = await server.register()
    const kept = await signIn(server, person)
    await signIn(server, person, kept.cookie)
    const rows = await server.context.db
      .selectFrom('sessions')
      .select('revoked_reason')
      .where('id', '=', String(claimsOf(kept.token).sid))
      .execute()
    assert.deepEqual(rows, [{ revoked_reason: 'signed_in_again' }])
  })

  it('a bearer that has expired leaves it to the cookie of a page that may: its session is signed out', async () => {
    const server = await start(SETTINGS)
    const kept = await signIn(server, await server.register())
    server.clock.advance(31 * MINUTE)
    assertProblem(await server.me(kept.token), ACCESS_TOKEN_INVALID)
    const reply = await logout(server, { ...kept, origin: OWN })
    assertDone(reply)
    assertCleared(reply)
    await assertDead(server, kept)
  })

  it('[V3.5.1] without an allowed origin a bearer that is no good ends nothing', async () => {
    const server = await start(SETTINGS)
    const kept = await signIn(server, await server.register())
    server.clock.advance(31 * MINUTE)
    for (const token of [kept.token, 'x', '']) {
      assertProblem(await logout(server, { token }), ACCESS_TOKEN_INVALID)
      for (const call of [{}, { origin: EVIL }, { origin: 'null' }]) {
        const reply = await logout(server, { token, cookie: kept.cookie, ...call })
        assertProblem(reply, ORIGIN_NOT_ALLOWED)
        assert.equal(reply.headers['set-cookie'], undefined)
      }
    }
    await assertAlive(server, kept)
  })
})

/** A further session, kept by cookie. */
async function signIn(server: TestServer, { username, password }: Person, before?: string): Promise<Kept> {
  const reply = await server.call('POST', `${API}/auth/login?transport=cookie`, {
    form: { username, password },
    headers: { origin: OWN, ...(before !== undefined && { cookie: `${NAME}=${before}` }) },
  })
  assert.equal(reply.status, 200, reply.text)
  const [, cookie = ''] = new RegExp(`^${NAME}=([^;]+)`).exec(String(reply.headers['set-cookie'])) ?? []
  return { token: reply.body.access_token, cookie }
}

const logout = (server: TestServer, { cookie, origin, ...call }: LogoutCall, scope = 'session') =>
  server.call('POST', `${API}/auth/logout?scope=${scope}`, {
    ...call,
    headers: {
      ...(cookie !== undefined && { cookie: `${NAME}=${cookie}` }),
      ...(origin !== undefined && { origin }),
    },
  })

const refresh = (server: TestServer, { cookie }: Kept) =>
  server.call('POST', `${API}/auth/refresh`, { headers: { cookie: `${NAME}=${cookie}`, origin: OWN } })

async function assertAlive(server: TestServer, kept: Kept): Promise<void> {
  assert.equal((await refresh(server, kept)).status, 200)
}

async function assertDead(server: TestServer, kept: Kept): Promise<void> {
  assert.equal((await refresh(server, kept)).body.code, 'refresh_token_invalid')
}

function assertCleared(reply: Reply): void {
  assert.match(
    String(reply.headers['set-cookie']),
    new RegExp(`^${NAME}=;.* Expires=Thu, 01 Jan 1970 00:00:00 GMT`),
  )
}
