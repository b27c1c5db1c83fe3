import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, HOUR, MINUTE } from '../../src/core/clock.ts'
import { newId } from '../../src/core/ids.ts'
import { endAllSessions, endSessionsForOperator } from '../../src/features/sessions/end-sessions.ts'
import { API, onEachDatabase, onSharedServer, type Reply, type TestServer } from '../kit.ts'
import {
  ACCESS_TOKEN_INVALID,
  assertDone,
  assertProblem,
  assertUncached,
  NOT_AUTHENTICATED,
  REFRESH_TOKEN_INVALID,
} from '../support/replies.ts'
import { claimsOf } from '../support/tokens.ts'

const SESSIONS = `${API}/users/me/sessions`
const SESSION_NOT_FOUND = { status: 404, code: 'session_not_found', detail: 'You have no such session' }
const sid = (accessToken: string) => claimsOf(accessToken).sid
const idsOf = ({ body }: Reply): string[] => body.items.map(({ id }: { id: string }) => id)

onSharedServer('sessions', (server) => {
  const list = (token: string, query = '') => server().call('GET', `${SESSIONS}${query}`, { token })
  const end = (token: string, id: string) => server().call('DELETE', `${SESSIONS}/${id}`, { token })

  it('[V7.5.2] lists where the caller is signed in, newest first, whole and nothing more', async () => {
    const call = { ip: '203.0.113.7', userAgent: 'phone/1' }
    const person = await server().register({}, call)
    const laptop = await server().login(person, { ip: '2001:db8::1', userAgent: 'laptop/2' })
    await server().register()
    const reply = await list(laptop.access_token)
    assert.equal(reply.status, 200)
    assertUncached(reply)
    const times = reply.body.items.map((item: Record<string, unknown>) => [
      item.created_at,
      item.last_used_at,
    ])
    assert.deepEqual(reply.body, {
      items: [
        {
          id: sid(laptop.access_token),
          created_at: times[0][0],
          last_used_at: times[0][1],
          ip: '2001:db8::1',
          user_agent: 'laptop/2',
          is_current: true,
        },
        {
          id: sid(person.tokens.access_token),
          created_at: times[1][0],
          last_used_at: times[1][1],
          ip: '203.0.113.7',
          user_agent: 'phone/1',
          is_current: false,
        },
      ],
      next: null,
    })
    for (const [created] of times) assert.match(created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  it('what an operator ends says so, for one user and for everyone', async () => {
    const { context } = server()
    const reasons = async (accessToken: string) => {
      const event = await context.db
        .selectFrom('sessions')
        .select('revoked_reason')
        .where('id', '=', String(sid(accessToken)))
        .executeTakeFirst()
      return event?.revoked_reason
    }
    const { tokens } = await server().register()
    await endSessionsForOperator(context, String(claimsOf(tokens.access_token).sub))
    assert.equal(await reasons(tokens.access_token), 'ended_by_operator')
    const other = await server().register()
    await endAllSessions(context)
    assert.equal(await reasons(other.tokens.access_token), 'ended_by_operator')
  })

  it('pages: every session once, in the same order, until next is null', async () => {
    const person = await server().register()
    let token = person.tokens.access_token
    for (let count = 0; count < 6; count++) token = (await server().login(person)).access_token
    const all = (await list(token)).body.items
    assert.equal(all.length, 7)
    const paged = []
    const sizes = []
    let query = '?limit=3'
    for (let page = 0; query !== '' && page < 9; page++) {
      const { items, next } = (await list(token, query)).body
      paged.push(...items)
      sizes.push(items.length)
      query = next === null ? '' : `?limit=3&cursor=${next}`
    }
    assert.deepEqual(paged, all)
    assert.deepEqual(sizes, [3, 3, 1])
    assert.equal((await list(token, '?limit=7')).body.next, null)
  })

  it('a wrong limit, cursor or unknown field is refused', async () => {
    const { tokens } = await server().register()
    const refused = { status: 422, code: 'validation_failed' }
    for (const [query, pointer] of [
      ['limit=0', '/limit'],
      ['limit=101', '/limit'],
      ['limit=two', '/limit'],
      ['limit=1.5', '/limit'],
      ['limit=1e400', '/limit'],
      ['limit=-Infinity', '/limit'],
      ['limit=1&limit=2', '/limit'],
      ['cursor=x', '/cursor'],
      ["cursor=' or 1=1", '/cursor'],
      ['offset=1', '/offset'],
    ] as const) {
      assertProblem(await list(tokens.access_token, `?${query}`), { ...refused, pointers: [pointer] })
    }
  })

  it('ends one session, which is then out and gone from the list; the others stay', async () => {
    const person = await server().register()
    const other = await server().login(person)
    assertDone(await end(person.tokens.access_token, sid(other.access_token)))
    assertProblem(await server().me(other.access_token), ACCESS_TOKEN_INVALID)
    assertProblem(await server().refresh(other.refresh_token), REFRESH_TOKEN_INVALID)
    assert.deepEqual(idsOf(await list(person.tokens.access_token)), [sid(person.tokens.access_token)])
  })

  it('ending it again is no failure; ending the current one signs out', async () => {
    const person = await server().register()
    const other = await server().login(person)
    for (let time = 0; time < 2; time++) {
      assertDone(await end(person.tokens.access_token, sid(other.access_token)))
    }
    assertDone(await end(person.tokens.access_token, sid(person.tokens.access_token)))
    assertProblem(await server().me(person.tokens.access_token), ACCESS_TOKEN_INVALID)
  })

  it("[V7.5.2] [V8.2.2] somebody else's session is not there, as one that never was", async () => {
    const { tokens } = await server().register()
    const { tokens: foreign } = await server().register()
    for (const id of [sid(foreign.access_token), newId()]) {
      assertProblem(await end(tokens.access_token, id), SESSION_NOT_FOUND)
    }
    assert.deepEqual(idsOf(await list(tokens.access_token)), [sid(tokens.access_token)])
    const listed = await list(tokens.access_token, `?cursor=${sid(foreign.access_token)}`)
    assert.ok(!idsOf(listed).includes(sid(foreign.access_token)))
    assert.equal((await server().me(foreign.access_token)).status, 200)
    assert.equal((await server().refresh(foreign.refresh_token)).status, 200)
  })

  it('what is no id is refused', async () => {
    const { tokens } = await server().register()
    for (const id of ['x', '1', '%27', 'current', `${newId()}x`, `urn:uuid:${newId()}`]) {
      const refused = { status: 422, code: 'validation_failed', pointers: ['/id'] }
      assertProblem(await end(tokens.access_token, id), refused)
    }
  })

  it('an id is taken in capitals as well', async () => {
    const person = await server().register()
    const tokens = await server().login(person)
    const page = await list(tokens.access_token, `?cursor=${sid(tokens.access_token).toUpperCase()}`)
    assert.equal(page.body.items.length, 1)
    assertDone(await end(tokens.access_token, sid(tokens.access_token).toUpperCase()))
    assertProblem(await server().me(tokens.access_token), ACCESS_TOKEN_INVALID)
  })

  it('needs somebody signed in', async () => {
    assertProblem(await server().call('GET', SESSIONS), NOT_AUTHENTICATED)
    assertProblem(await list('x'), ACCESS_TOKEN_INVALID)
    assertProblem(await server().call('DELETE', `${SESSIONS}/${newId()}`), NOT_AUTHENTICATED)
  })
})

onEachDatabase('sessions in time', ({ share }) => {
  const list = (server: TestServer, token: string) => server.call('GET', SESSIONS, { token })

  it('the last use is told to the hour, with address and agent of the last refresh', async () => {
    const server = await share()
    server.clock.advance(HOUR - (server.context.clock.now() % HOUR) + 5 * MINUTE)
    const hour = server.context.clock.now() - 5 * MINUTE
    const { tokens } = await server.register({}, { ip: '203.0.113.7', userAgent: 'phone/1' })
    const look = async (token: string) => (await list(server, token)).body.items[0]
    const first = await look(tokens.access_token)
    assert.equal(first.last_used_at, new Date(hour).toISOString())
    assert.doesNotMatch(first.created_at, /:00:00\.000Z$/)
    server.clock.advance(20 * MINUTE)
    const call = { ip: '::ffff:198.51.100.9', userAgent: 'phone/2' }
    const { refresh_token } = (await server.refresh(tokens.refresh_token, call)).body
    const second = await look(tokens.access_token)
    assert.deepEqual(second, { ...first, ip: '198.51.100.9', user_agent: 'phone/2' })
    server.clock.advance(40 * MINUTE)
    const third = await look((await server.refresh(refresh_token, call)).body.access_token)
    assert.deepEqual(third, { ...second, last_used_at: new Date(hour + HOUR).toISOString() })
  })

  it('an older session that is used again keeps its place, and the others their last use', async () => {
    const server = await share()
    const person = await server.register()
    const newer = await server.login(person)
    const before = (await list(server, newer.access_token)).body.items[0]
    server.clock.advance(2 * HOUR)
    const { body } = await server.refresh(person.tokens.refresh_token)
    const reply = await list(server, body.access_token)
    assert.deepEqual(idsOf(reply), [sid(newer.access_token), sid(body.access_token)])
    const [other, own] = reply.body.items
    assert.deepEqual(other, { ...before, is_current: false })
    assert.equal(Date.parse(own.last_used_at) - Date.parse(other.last_used_at), 2 * HOUR)
  })

  it('sessions that have idled out are not listed', async () => {
    const server = await share()
    const person = await server.register()
    server.clock.advance(7 * DAY)
    const { access_token: token } = await server.login(person)
    assert.deepEqual(idsOf(await list(server, token)), [sid(token)])
  })

  it('sessions past their absolute end are not listed, even when just used', async () => {
    const server = await share()
    const person = await server.register()
    server.clock.advance(server.settings.sessionMaxAgeMs - 2 * DAY)
    const later = await server.login(person)
    await server.context.db
      .updateTable('sessions')
      .set({ rotated_at: server.context.clock.now() })
      .where('user_id', '=', claimsOf(later.access_token).sub)
      .execute()
    const ids = [sid(later.access_token), sid(person.tokens.access_token)]
    assert.deepEqual(idsOf(await list(server, later.access_token)), ids)
    server.clock.advance(2 * DAY)
    const { access_token: token } = (await server.refresh(later.refresh_token)).body
    assert.deepEqual(idsOf(await list(server, token)), [sid(token)])
  })

  it('[V6.2.10] [NIST63B-norotate] after 400 days the password still signs in, with nothing asked', async () => {
    const server = await share()
    const ada = await server.register()
    server.clock.advance(400 * DAY)
    assert.equal((await server.me((await server.login(ada)).access_token)).status, 200)
  })
})
