import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY } from '../../src/core/clock.ts'
import { endAllSessions, endSessionsForOperator } from '../../src/features/sessions/end-sessions.ts'
import type { TokenPair } from '../../src/features/sessions/issue-tokens.ts'
import { disableUser, enableUser } from '../../src/features/users/set-active.ts'
import { API, onEachDatabase, PASSWORD, type Person, type TestServer } from '../kit.ts'
import { assertDone, assertProblem, REFRESH_TOKEN_INVALID } from '../support/replies.ts'
import {
  DEN,
  eventsOf,
  HOME,
  liveSessionsOf,
  mustFail,
  mustRefresh,
  sessionOf,
  signIn,
} from '../support/sessions.ts'
import { claimsOf } from '../support/tokens.ts'

type Sessions = { person: Person; own: TokenPair; other: TokenPair; third: TokenPair; stranger: TokenPair }
type Name = Exclude<keyof Sessions, 'person'>

type Ending = {
  event: string
  /** Which of the sessions it ends, when it happens in `own`. */
  ends: Name[]
  /** It concerns more than these sessions. */
  isAlone?: true
  happen: (server: TestServer, sessions: Sessions) => Promise<unknown>
}

const NEW_PASSWORD = 'another long enough password'
const callWith = (token: string, json?: unknown) => ({ token, ...(json !== undefined && { json }) })

const ENDINGS: Ending[] = [
  {
    event: 'logout',
    ends: ['own'],
    happen: (server, { own }) => server.call('POST', `${API}/auth/logout`, callWith(own.access_token)),
  },
  {
    event: 'logout?scope=others',
    ends: ['other', 'third'],
    happen: (server, { own }) =>
      server.call('POST', `${API}/auth/logout?scope=others`, callWith(own.access_token)),
  },
  {
    event: 'logout?scope=all',
    ends: ['own', 'other', 'third'],
    happen: (server, { own }) =>
      server.call('POST', `${API}/auth/logout?scope=all`, callWith(own.access_token)),
  },
  {
    event: 'logout?scope=all with a refresh token',
    ends: ['own', 'other', 'third'],
    happen: (server, { own: { refresh_token } }) =>
      server.call('POST', `${API}/auth/logout?scope=all`, { json: { refresh_token } }),
  },
  {
    event: 'a session ended by its user',
    ends: ['other'],
    happen: (server, { own, other }) =>
      server.call(
        'DELETE',
        `${API}/users/me/sessions/${claimsOf(other.access_token).sid}`,
        callWith(own.access_token),
      ),
  },
  {
    event: 'reuse detected',
    ends: ['other'],
    async happen(server, { other }) {
      await mustRefresh(server, await mustRefresh(server, other.refresh_token))
      await mustFail(server, other.refresh_token, 'refresh_token_reused', DEN)
    },
  },
  {
    event: 'session limit reached',
    ends: ['own', 'other'],
    isAlone: true,
    async happen(server, { person }) {
      await server.restart({ sessionLimit: 2 })
      await server.login(person)
    },
  },
  {
    event: 'password changed',
    ends: ['other', 'third'],
    happen: (server, { own }) =>
      server.call(
        'PATCH',
        `${API}/users/me`,
        callWith(own.access_token, { password: NEW_PASSWORD, current_password: PASSWORD }),
      ),
  },
  {
    event: 'user deleted',
    ends: ['own', 'other', 'third'],
    happen: (server, { own }) =>
      server.call('DELETE', `${API}/users/me`, callWith(own.access_token, { current_password: PASSWORD })),
  },
  {
    event: 'user disabled, even when enabled again',
    ends: ['own', 'other', 'third'],
    async happen({ context }, { own }) {
      assert.equal(await disableUser(context, claimsOf(own.access_token).sub), true)
      assert.equal(await enableUser(context, claimsOf(own.access_token).sub), true)
    },
  },
  {
    event: "an operator's end of one user's sessions",
    ends: ['own', 'other', 'third'],
    happen: ({ context }, { own }) => endSessionsForOperator(context, claimsOf(own.access_token).sub),
  },
  {
    event: "an operator's end of all sessions",
    ends: ['own', 'other', 'third', 'stranger'],
    isAlone: true,
    happen: async ({ context }) => assert.equal(await endAllSessions(context), 4),
  },
]

onEachDatabase('one chain: user, session, tokens', ({ share, start }) => {
  for (const { event, ends, isAlone, happen } of ENDINGS) {
    it(`[V7.4.1] ${event}: ends ${ends.join(', ')} at once with every token, and nothing else`, async () => {
      const server = isAlone ? await start() : await share()
      const sessions = await openSessions(server)
      await happen(server, sessions)
      for (const name of ['own', 'other', 'third', 'stranger'] as const) {
        await checkTokens(server, sessions[name], ends.includes(name) ? 'ended' : 'alive')
      }
    })
  }

  it('[V7.4.2] while a user is disabled no token of theirs is honoured', async () => {
    const server = await share()
    const { tokens } = await server.register()
    await disableUser(server.context, claimsOf(tokens.access_token).sub)
    const me = await server.me(tokens.access_token)
    assert.deepEqual([me.status, me.body.code], [400, 'inactive_user'])
    await mustFail(server, tokens.refresh_token, 'refresh_token_invalid')
    assert.equal(await disableUser(server.context, claimsOf(tokens.access_token).sub), false)
  })

  it('an old copy of a refresh token may sign out its own session, and no other', async () => {
    const server = await share()
    const ada = await server.register({}, HOME)
    const other = await server.login(ada, HOME)
    const { refresh_token: oldest } = ada.tokens
    await mustRefresh(server, await mustRefresh(server, oldest))
    const mayNotEndMore = async () => {
      for (const scope of ['others', 'all']) {
        assertProblem(await logOut(server, oldest, scope), REFRESH_TOKEN_INVALID)
      }
    }
    await mayNotEndMore()
    assert.equal((await liveSessionsOf(server, oldest)).length, 2)
    assertDone(await logOut(server, oldest))
    assert.equal((await sessionOf(server, oldest)).revoked_reason, 'logout')
    await checkTokens(server, ada.tokens, 'ended')
    await mayNotEndMore()
    await checkTokens(server, other, 'alive')
  })

  it('the token before the current one may sign out every session, one of an ended session none', async () => {
    const server = await share()
    const ada = await server.register({}, HOME)
    await mustRefresh(server, ada.tokens.refresh_token)
    assert.equal((await logOut(server, ada.tokens.refresh_token, 'all')).status, 204)
    const later = await server.login(ada, HOME)
    assert.equal((await logOut(server, ada.tokens.refresh_token, 'all')).status, 401)
    await checkTokens(server, later, 'alive')
  })

  it('signing out twice is no failure, and one event', async () => {
    const server = await share()
    const token = await signIn(server)
    for (let time = 0; time < 2; time += 1) assertDone(await logOut(server, token))
    assert.deepEqual(await eventsOf(server, token), ['session.ended'])
    assert.equal((await logOut(server, `${token}x`)).status, 401)
  })

  it('[V2.3.2] [V7.1.2] one sign-in beyond SESSION_LIMIT ends the oldest, and tells the audit log', async () => {
    const server = await share({ sessionLimit: 3 })
    const ada = await server.register()
    const tokens = [ada.tokens.refresh_token]
    for (let count = 0; count < 4; count += 1) tokens.push((await server.login(ada)).refresh_token)
    const live = await liveSessionsOf(server, ada.tokens.access_token)
    const newest = tokens.slice(-3)
    assert.deepEqual(
      live.map(({ id }) => id),
      newest.map((token) => claimsOf(token).sid),
    )
    assert.deepEqual(await eventsOf(server, tokens[0] ?? ''), ['session.ended'])
    assert.equal((await sessionOf(server, tokens[1] ?? '')).revoked_reason, 'session_limit')
  })

  it('a restored backup signs nobody out: tokens ahead of the row go on, and a replay is still caught', async () => {
    const server = await share()
    let token = await signIn(server)
    const backup = await sessionOf(server, token)
    const old = [token]
    for (let count = 0; count < 5; count += 1) {
      server.clock.advance(DAY)
      token = await mustRefresh(server, token)
      old.push(token)
    }
    const { id, ...columns } = backup
    await server.context.db.updateTable('sessions').set(columns).where('id', '=', id).execute()
    token = await mustRefresh(server, token)
    assert.deepEqual([claimsOf(token).gen, (await sessionOf(server, token)).generation], [6, 6])
    await mustFail(server, old[4] ?? '', 'refresh_token_reused', DEN)
  })
})

async function openSessions(server: TestServer): Promise<Sessions> {
  const person = await server.register({}, HOME)
  const own = person.tokens
  const other = await server.login(person, HOME)
  const third = await server.login(person, HOME)
  const { tokens: stranger } = await server.register({}, HOME)
  return { person, own, other, third, stranger }
}

async function checkTokens(server: TestServer, pair: TokenPair, expected: 'ended' | 'alive'): Promise<void> {
  const isAlive = expected === 'alive'
  const list = await server.call('GET', `${API}/users/me/sessions`, { token: pair.access_token })
  assert.deepEqual(
    [(await server.me(pair.access_token)).status, list.status],
    isAlive ? [200, 200] : [401, 401],
    expected,
  )
  const reply = await server.refresh(pair.refresh_token, HOME)
  assert.equal(reply.status, isAlive ? 200 : 401, expected)
  if (!isAlive) assert.equal(reply.body.code, 'refresh_token_invalid')
}

const logOut = (server: TestServer, refreshToken: string, scope = 'session') =>
  server.call('POST', `${API}/auth/logout?scope=${scope}`, { json: { refresh_token: refreshToken } })
