import assert from 'node:assert/strict'
import { it } from 'node:test'
import { HOUR } from '../../src/core/clock.ts'
import { endAllSessions } from '../../src/features/sessions/end-sessions.ts'
import { disableUser, enableUser } from '../../src/features/users/set-active.ts'
import { setSuperuser } from '../../src/features/users/set-superuser.ts'
import { API, type Call, onEachDatabase, onSharedServer, PASSWORD, type TestServer } from '../kit.ts'
import { getUser, listEvents } from '../support/people.ts'
import { claimsOf } from '../support/tokens.ts'

const FROM = { ip: '203.0.113.7', userAgent: 'phone/1', headers: { 'x-request-id': 'request-0001' } }
const NEW_PASSWORD = 'staple battery horse correct'
const sid = (token: string) => String(claimsOf(token).sid)

onSharedServer('audit', (server) => {
  /** What the audit log gains about a user by some work: type, session and detail of each event. */
  const gained = async (userId: string | null, work: () => Promise<unknown>) => {
    const before = new Set((await listEvents(server(), userId)).map(({ id }) => id))
    await work()
    const events = (await listEvents(server(), userId)).filter(({ id }) => !before.has(id))
    return events.sort((a, b) => a.type.localeCompare(b.type))
  }
  const brief = (events: Awaited<ReturnType<typeof gained>>) =>
    events.map(({ type, session_id, detail }) => ({ type, session_id, detail }))
  const signIn = async () => {
    const person = await server().register()
    const { id } = await getUser(server(), person.username)
    return { ...person, id, session: sid(person.tokens.access_token) }
  }
  const call = (method: string, path: string, call: Call) => server().call(method, `${API}${path}`, call)

  it('[V16.2.1] [V16.3.1] a registration is written down with who, when, where and which request', async () => {
    const { username, tokens } = await server().register({}, FROM)
    const { id } = await getUser(server(), username)
    const [event, ...others] = await listEvents(server(), id)
    assert.deepEqual(others, [])
    assert.deepEqual(
      { ...event, id: '', mac: typeof event?.mac },
      {
        id: '',
        occurred_at: server().context.clock.now(),
        type: 'user.created',
        actor: 'user',
        actor_id: id,
        actor_name: null,
        user_id: id,
        session_id: sid(tokens.access_token),
        ip: '203.0.113.7',
        user_agent: 'phone/1',
        request_id: 'request-0001',
        detail: null,
        mac: 'string',
        seq: null,
        hash: null,
      },
    )
  })

  it('[V16.3.1] so is every sign-in, with how', async () => {
    const { id, username } = await signIn()
    const form = { username, password: PASSWORD }
    let token = ''
    const events = await gained(id, async () => {
      token = (await call('POST', '/auth/login', { form, ...FROM })).body.access_token
    })
    assert.deepEqual(brief(events), [
      { type: 'user.signed_in', session_id: sid(token), detail: { method: 'password' } },
    ])
    assert.deepEqual(
      [events[0]?.ip, events[0]?.user_agent, events[0]?.request_id],
      ['203.0.113.7', 'phone/1', 'request-0001'],
    )
  })

  it('[V16.3.1] and every sign-in that fails, with why, for a user and for nobody', async () => {
    const { id, username } = await signIn()
    const wrong = { username, password: 'a wrong one' }
    const failed = { type: 'user.sign_in_failed', session_id: null }
    const events = await gained(id, () => call('POST', '/auth/login', { form: wrong, ...FROM }))
    assert.deepEqual(brief(events), [{ ...failed, detail: { reason: 'invalid_credentials' } }])
    assert.equal(events[0]?.ip, '203.0.113.7')
    const unknown = { username: 'nobody', password: 'a wrong one' }
    const nobody = await gained(null, () => call('POST', '/auth/login', { form: unknown, ...FROM }))
    assert.deepEqual(brief(nobody), [{ ...failed, detail: { reason: 'invalid_credentials' } }])
    await disableUser(server().context, id)
    const right = { username, password: PASSWORD }
    const inactive = await gained(id, () => call('POST', '/auth/login', { form: right }))
    assert.deepEqual(brief(inactive), [{ ...failed, detail: { reason: 'inactive' } }])
  })

  it('every way a session ends has its reason', async () => {
    const { id, session, username, password, tokens } = await signIn()
    const token = tokens.access_token
    const other = sid((await server().login({ username, password })).access_token)
    const ended = (session_id: string, reason: string) => ({
      type: 'session.ended',
      session_id,
      detail: { reason },
    })
    const byUser = await gained(id, () => call('DELETE', `/users/me/sessions/${other}`, { token }))
    assert.deepEqual(brief(byUser), [ended(other, 'ended_by_user')])
    const again = await gained(id, () => call('DELETE', `/users/me/sessions/${other}`, { token }))
    assert.deepEqual(again, [])
    const second = sid((await server().login({ username, password })).access_token)
    const others = await gained(id, () => call('POST', '/auth/logout?scope=others', { token, ...FROM }))
    assert.deepEqual(brief(others), [ended(second, 'logout')])
    assert.equal(others[0]?.request_id, 'request-0001')
    const logout = await gained(id, () => call('POST', '/auth/logout', { token }))
    assert.deepEqual(brief(logout), [ended(session, 'logout')])
  })

  it('changes of name, address and password are written down, and failed proofs', async () => {
    const { id, session, username, email, password, tokens } = await signIn()
    const token = tokens.access_token
    const patch = (json: unknown) => () => call('PATCH', '/users/me', { token, json })
    const event = (type: string) => ({ type, session_id: session, detail: null })
    assert.deepEqual(brief(await gained(id, patch({ username: `${username}.a` }))), [
      event('user.username_changed'),
    ])
    assert.deepEqual(brief(await gained(id, patch({ email: `a.${email}` }))), [event('user.email_changed')])
    assert.deepEqual(brief(await gained(id, patch({ email: `a.${email}` }))), [])
    const wrong = patch({ password: NEW_PASSWORD, current_password: 'a wrong one' })
    assert.deepEqual(brief(await gained(id, wrong)), [event('user.reauthentication_failed')])
    const other = sid((await server().login({ username: `${username}.a`, password })).access_token)
    const right = patch({ password: NEW_PASSWORD, current_password: PASSWORD })
    assert.deepEqual(brief(await gained(id, right)), [
      { type: 'session.ended', session_id: other, detail: { reason: 'password_changed' } },
      event('user.password_changed'),
    ])
  })

  it('what an operator does is written down without an address', async () => {
    const { id, session } = await signIn()
    const { context } = server()
    const disabled = await gained(id, () => disableUser(context, id))
    assert.deepEqual(brief(disabled), [
      { type: 'session.ended', session_id: session, detail: { reason: 'user_disabled' } },
      { type: 'user.disabled', session_id: null, detail: null },
    ])
    for (const { ip, user_agent, request_id } of disabled) {
      assert.deepEqual([ip, user_agent, request_id], [null, null, null])
    }
    const enabled = await gained(id, () => enableUser(context, id))
    assert.deepEqual(brief(enabled), [{ type: 'user.enabled', session_id: null, detail: null }])
    for (const [type, isSuperuser] of [
      ['user.promoted', true],
      ['user.demoted', false],
    ] as const) {
      const events = await gained(id, () => setSuperuser(context, id, isSuperuser))
      assert.deepEqual(brief(events), [{ type, session_id: null, detail: null }])
      assert.deepEqual(await gained(id, () => setSuperuser(context, id, isSuperuser)), [])
    }
  })

  it('a deleted user leaves the audit log behind', async () => {
    const { id, tokens } = await signIn()
    const json = { current_password: PASSWORD }
    const events = await gained(id, () =>
      call('DELETE', '/users/me', { json, token: tokens.access_token, ...FROM }),
    )
    assert.deepEqual(brief(events), [{ type: 'user.deleted', session_id: null, detail: null }])
    assert.deepEqual((await listEvents(server(), id)).map(({ type }) => type).sort(), [
      'user.created',
      'user.deleted',
    ])
  })

  it('[V16.2.5] [V14.2.4] no event holds a password, a token or an address of e-mail', async () => {
    const { username, email, tokens } = await server().register({ password: 'canary canary canary' })
    const wrong = { username, password: 'canary two' }
    await call('POST', '/auth/login', { form: wrong, userAgent: 'agent' })
    await call('POST', '/auth/login', { form: { username: 'canary three', password: 'canary four' } })
    await server().refresh(tokens.refresh_token)
    await call('POST', '/auth/logout', { token: tokens.access_token })
    const rows = await server().context.db.selectFrom('audit_events').selectAll().execute()
    const text = JSON.stringify(rows)
    for (const secret of ['canary', email, tokens.access_token, tokens.refresh_token, '$argon2']) {
      assert.ok(!text.includes(secret), secret)
    }
  })
})

onEachDatabase('audit of sessions', ({ start }) => {
  const types = async (server: TestServer, userId: string | null) =>
    (await listEvents(server, userId)).map(({ type }) => type).filter((type) => type.startsWith('session'))

  it('[V16.3.3] a recovery and a reuse are written down, with the address of who came', async () => {
    const server = await start()
    const { username, tokens } = await server.register()
    const { id } = await getUser(server, username)
    const second = (await server.refresh(tokens.refresh_token)).body
    server.clock.advance(HOUR)
    assert.equal((await server.refresh(tokens.refresh_token, FROM)).status, 200)
    assert.deepEqual(await types(server, id), ['session.recovered'])
    const third = (await server.refresh(second.refresh_token)).body
    assert.equal((await server.refresh(third.refresh_token)).status, 200)
    assert.equal((await server.refresh(tokens.refresh_token, FROM)).body.code, 'refresh_token_reused')
    await server.refresh(tokens.refresh_token, FROM)
    const events = (await listEvents(server, id)).filter(({ type }) => type.startsWith('session'))
    assert.deepEqual(events.map(({ type }) => type).sort(), ['session.recovered', 'session.reuse_detected'])
    for (const { ip, session_id, request_id } of events) {
      assert.deepEqual([ip, request_id], ['203.0.113.7', 'request-0001'])
      assert.equal(session_id, sid(tokens.access_token))
    }
  })

  it('the end of all sessions is one event', async () => {
    const server = await start()
    await server.register()
    await server.register()
    assert.equal(await endAllSessions(server.context), 2)
    assert.equal(await endAllSessions(server.context), 0)
    const events = (await listEvents(server, null))
      .map(({ type, detail }) => ({ type, detail }))
      .filter(({ type }) => type === 'sessions.ended')
    assert.deepEqual(events, [
      { type: 'sessions.ended', detail: { reason: 'ended_by_operator', count: 2 } },
      { type: 'sessions.ended', detail: { reason: 'ended_by_operator', count: 0 } },
    ])
  })

  it('a session beyond SESSION_LIMIT ends with its reason', async () => {
    const server = await start({ sessionLimit: 1 })
    const person = await server.register()
    await server.login(person)
    const { id } = await getUser(server, person.username)
    const ended = (await listEvents(server, id)).filter(({ type }) => type === 'session.ended')
    assert.deepEqual(
      ended.map(({ session_id, detail }) => [session_id, detail]),
      [[sid(person.tokens.access_token), { reason: 'session_limit' }]],
    )
  })
})
