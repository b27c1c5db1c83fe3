import assert from 'node:assert/strict'
import { it } from 'node:test'
import { HOUR, SECOND } from '../../src/core/clock.ts'
import { disableUser } from '../../src/features/users/set-active.ts'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import { openEventSource } from '../support/event-source.ts'
import { parseMetrics, type Told } from '../support/metrics.ts'
import { getUser } from '../support/people.ts'
import { assertProblem } from '../support/replies.ts'
import { makeServiceKey } from '../support/service-keys.ts'
import { until } from '../support/until.ts'

const TOKEN = 'scrape-3Zq7-Xw9-pLm2-Vb5-Nn8-Kk4-Rr1'
const WITH_ROUTE = { metrics: { at: 'route', token: TOKEN } } as const
const LOGIN = `${API}/auth/login`

async function scrape(server: TestServer): Promise<Told> {
  const { status, text } = await server.call('GET', '/metrics', { token: TOKEN })
  assert.equal(status, 200, text)
  return parseMetrics(text)
}

/** What each value of a label stands at, without those that nothing happened to. */
const tally = (told: Told, name: string, label: string): Record<string, number | undefined> =>
  Object.fromEntries(
    told
      .labels(name)
      .map((labels) => [labels[label], told.value(name, labels)] as const)
      .filter(([, value]) => value !== 0),
  )

onEachDatabase('metrics', ({ start, kind }) => {
  it('without a setting for it there is no /metrics', async () => {
    const server = await start()
    assertProblem(await server.call('GET', '/metrics'), { status: 404, code: 'not_found' })
  })

  it('beside the API it is for whoever presents the token, and nobody else', async () => {
    const server = await start(WITH_ROUTE)
    const { tokens } = await server.register()
    const without = await server.call('GET', '/metrics')
    assertProblem(without, { status: 401, code: 'not_authenticated', challenge: 'Bearer realm="postern"' })
    for (const token of ['', 'x', TOKEN.slice(1), `${TOKEN}x`, TOKEN.toLowerCase(), tokens.access_token]) {
      const wrong = await server.call('GET', '/metrics', { token })
      assertProblem(wrong, {
        status: 401,
        code: 'access_token_invalid',
        challenge: 'Bearer realm="postern", error="invalid_token"',
      })
    }
    assert.equal((await server.call('GET', `/metrics?token=${TOKEN}`)).status, 401)
    const right = await server.call('GET', '/metrics', { token: TOKEN })
    assert.equal(right.status, 200)
    assert.equal(right.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8')
    assert.equal(right.headers['cache-control'], 'no-store')
  })

  it('sign-ins and registrations are counted by outcome', async () => {
    const server = await start(WITH_ROUTE)
    const ada = await server.register()
    const eve = await server.register()
    await disableUser(server.context, (await getUser(server, eve.username)).id)
    const login = (username: string, password = PASSWORD) =>
      server.call('POST', LOGIN, { form: { username, password } })
    await login(ada.username)
    await login(ada.email)
    await login(ada.username, 'wrong')
    await login('nobody', 'wrong')
    await login('nobody')
    await login(eve.username)
    // Never a sign-in: it is refused before.
    await server.call('POST', LOGIN, { json: { username: 1 } })
    const register = (given: object) => server.call('POST', `${API}/auth/register`, { json: given })
    await register({ ...ada, tokens: undefined })
    await register({ username: 'other', email: ada.email, password: PASSWORD })
    await register({ username: 'other', email: 'other@example.com', password: 'only-10-ch' })
    const told = await scrape(server)
    assert.deepEqual(tally(told, 'postern_logins_total', 'outcome'), {
      succeeded: 2,
      invalid_credentials: 3,
      inactive_user: 1,
    })
    const registrations = tally(told, 'postern_registrations_total', 'outcome')
    assert.deepEqual(registrations, { succeeded: 2, username_taken: 1, email_taken: 1, validation_failed: 1 })
    assert.equal(told.value('postern_hash_duration_seconds_count'), 8)
  })

  it('what a limit refuses is counted by limit', async () => {
    const server = await start({ ...WITH_ROUTE, rateLimits: true })
    const form = { username: 'nobody', password: 'wrong' }
    const statuses: number[] = []
    for (let count = 0; count < 13; count++)
      statuses.push((await server.call('POST', LOGIN, { form })).status)
    const refused = statuses.slice(10)
    assert.deepEqual(refused, [429, 429, 429])
    const told = await scrape(server)
    assert.equal(told.value('postern_limited_total', { limit: 'login-address-account' }), 3)
    assert.equal(told.value('postern_limited_total', { limit: 'register-address' }), 0)
    assert.equal(told.value('postern_logins_total', { outcome: 'too_many_requests' }), 3)
  })

  it('refreshes are counted by outcome', async () => {
    const server = await start(WITH_ROUTE)
    const { tokens } = await server.register()
    const first = tokens.refresh_token
    const second = (await server.refresh(first)).body.refresh_token
    await server.refresh(first)
    server.clock.advance(HOUR)
    await server.refresh(first)
    const third = (await server.refresh(second)).body.refresh_token
    await server.refresh(first)
    await server.refresh(third)
    await server.refresh('rubbish')
    const outcomes = tally(await scrape(server), 'postern_refreshes_total', 'outcome')
    assert.deepEqual(outcomes, { rotated: 2, replayed: 1, recovered: 1, reused: 1, invalid: 2 })
  })

  it('every outcome and every problem stands at 0 before it first happens', async () => {
    const told = await scrape(await start(WITH_ROUTE))
    for (const [name, labels] of [
      ['postern_logins_total', { outcome: 'server_busy' }],
      ['postern_registrations_total', { outcome: 'database_unavailable' }],
      ['postern_refreshes_total', { outcome: 'reused' }],
      ['postern_problems_total', { code: 'internal_error' }],
      ['postern_hash_queue_refused_total', {}],
    ] as const) {
      assert.equal(told.value(name, labels), 0, name)
    }
  })

  it('requests are counted by route, method and status; what clients make up shares one label', async () => {
    const server = await start(WITH_ROUTE)
    const { tokens } = await server.register()
    const before = (await scrape(server)).labels('postern_http_requests_total').length
    for (let count = 0; count < 3; count++) await server.me(tokens.access_token)
    await server.me('rubbish')
    for (let count = 0; count < 50; count++) {
      await server.call('GET', `/made-up-${count}`)
      await server.call(
        'DELETE',
        `${API}/users/me/sessions/01a219d4-5c9e-7cbc-8c7a-ea71a7d97${100 + count}`,
        {
          token: tokens.access_token,
        },
      )
      await server.call('GET', `${API}/users/me?made-up-${count}=1`, { token: tokens.access_token })
    }
    await server.call('DELETE', '/health')
    const told = await scrape(server)
    const count = (method: string, route: string, status: string) =>
      told.value('postern_http_requests_total', { method, route, status })
    assert.equal(count('GET', `${API}/users/me`, '200'), 53)
    assert.equal(count('GET', `${API}/users/me`, '401'), 1)
    assert.equal(count('GET', 'unknown', '404'), 50)
    assert.equal(count('DELETE', 'unknown', '405'), 1)
    assert.equal(count('DELETE', `${API}/users/me/sessions/:id`, '404'), 50)
    // The five above, and the scrape before.
    assert.equal(told.labels('postern_http_requests_total').length, before + 6)
    const ofMe = { method: 'GET', route: `${API}/users/me` }
    assert.equal(told.value('postern_http_request_duration_seconds_count', ofMe), 54)
    assert.ok((told.value('postern_http_request_duration_seconds_sum', ofMe) ?? 0) > 0)
    assert.equal(told.value('postern_problems_total', { code: 'not_found' }), 50)
    assert.equal(told.value('postern_problems_total', { code: 'access_token_invalid' }), 1)
  })

  it('the database and the process tell how they are', async () => {
    const server = await start(WITH_ROUTE)
    await server.register()
    const told = await scrape(server)
    const statements = (operation: string) =>
      told.value('postern_database_statement_duration_seconds_count', { operation }) ?? 0
    for (const operation of ['select', 'insert', 'commit']) assert.ok(statements(operation) > 0, operation)
    assert.equal(told.value('postern_database_waiting'), 0)
    const inUse = told.value('postern_database_pool_connections', { state: 'in_use' })
    assert.equal(inUse, kind === 'postgres' ? 0 : undefined)
    assert.equal(told.value('postern_database_pool_max_connections'), kind === 'postgres' ? 10 : undefined)
    const [build] = told.labels('postern_build_info')
    assert.deepEqual([build?.node, build?.database], [process.version, kind])
    assert.ok((told.value('process_resident_memory_bytes') ?? 0) > 10_000_000)
    assert.ok((told.value('process_start_time_seconds') ?? 0) > 1_700_000_000)
  })

  it('streams of revocations are counted while they last, and how old is what they tell', async (t) => {
    const server = await start(WITH_ROUTE)
    const { context, clock, app } = server
    const key = await makeServiceKey(server, ['revocations:read'])
    const url = `${await app.listen({ host: '127.0.0.1', port: 0 })}${API}/revocations`
    const sources = [await openEventSource(url, key.secret), await openEventSource(url, key.secret)]
    t.after(() => {
      for (const source of sources) source.close()
    })
    await context.feed.poll()
    clock.advance(3 * SECOND)
    const meanwhile = await scrape(server)
    assert.equal(meanwhile.value('postern_revocation_streams'), 2)
    assert.equal(meanwhile.value('postern_revocation_feed_age_seconds'), 3)
    await context.feed.poll()
    for (const source of sources) source.close()
    await until(
      'both have gone',
      async () => (await scrape(server)).value('postern_revocation_streams') === 0,
    )
    const told = await scrape(server)
    assert.equal(told.value('postern_revocation_streams'), 0)
    assert.equal(told.value('postern_revocation_feed_age_seconds'), 0)
  })

  it('many scrapes at once share one answer, and none of it holds a name, an address or a token', async () => {
    const server = await start(WITH_ROUTE)
    const ada = await server.register({ username: 'canary-ada' })
    await server.login({ username: 'canary-ada', password: PASSWORD })
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => server.call('GET', '/metrics', { token: TOKEN })),
    )
    for (const { status, text } of replies) {
      assert.equal(status, 200)
      for (const secret of ['canary-ada', PASSWORD, TOKEN, ada.tokens.access_token, '127.0.0.1'])
        assert.ok(!text.includes(secret), secret)
    }
  })
})
