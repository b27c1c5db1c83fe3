import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onSharedServer } from '../kit.ts'
import { getUser, listEvents } from '../support/people.ts'
import { assertProblem, NOT_AUTHENTICATED } from '../support/replies.ts'
import { claimsOf } from '../support/tokens.ts'

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const LOGIN = `${API}/auth/login`

onSharedServer('headers', (server) => {
  /** One reply of every kind: page, profile, token, error, and what no route answers. */
  const replies = async () => {
    const { tokens } = await server().register()
    const token = tokens.access_token
    return {
      root: await server().call('GET', '/'),
      health: await server().call('GET', '/health'),
      keys: await server().call('GET', '/.well-known/jwks.json'),
      docs: await server().call('GET', '/docs'),
      openapi: await server().call('GET', `${API}/openapi.json`),
      profile: await server().call('GET', `${API}/users/me`, { token }),
      sessions: await server().call('GET', `${API}/users/me/sessions`, { token }),
      tokens: await server().refresh(tokens.refresh_token),
      refused: await server().call('GET', `${API}/users/me`),
      invalid: await server().call('POST', LOGIN, { json: {} }),
      unknown: await server().call('GET', '/nothing'),
      wrongMethod: await server().call('TRACE', '/'),
      done: await server().call('POST', `${API}/auth/logout`, { token }),
    }
  }

  it('[V3.4.1] [V3.4.4] [V3.4.5] [V3.4.6] [V3.4.8] [V3.5.8] [V3.2.1] every reply carries the headers that keep browsers strict', async () => {
    for (const [name, { headers }] of Object.entries(await replies())) {
      assert.equal(headers['strict-transport-security'], 'max-age=63072000; includeSubDomains', name)
      assert.equal(headers['x-content-type-options'], 'nosniff', name)
      assert.equal(headers['referrer-policy'], 'no-referrer', name)
      assert.equal(headers['x-frame-options'], 'DENY', name)
      assert.equal(headers['cross-origin-opener-policy'], 'same-origin', name)
      assert.equal(headers['cross-origin-resource-policy'], 'same-origin', name)
      const policy = String(headers['content-security-policy'])
      for (const directive of ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"]) {
        assert.ok(policy.includes(directive), `${name}: ${policy}`)
      }
      assert.doesNotMatch(policy, /unsafe|https?:|\*/, name)
    }
  })

  it('[V14.3.2] nothing is stored by a cache but what is public', async () => {
    const { keys, docs, openapi, ...others } = await replies()
    for (const [name, { headers }] of Object.entries(others))
      assert.equal(headers['cache-control'], 'no-store', name)
    assert.equal(keys.headers['cache-control'], 'public, max-age=300')
    for (const { status } of [docs, openapi]) assert.equal(status, 200)
  })

  it('[V13.4.6] no reply tells what the server is made of', async () => {
    for (const { headers } of Object.values(await replies())) {
      for (const name of ['server', 'x-powered-by', 'via']) assert.equal(headers[name], undefined)
    }
  })

  it('[V4.1.1] JSON comes with its media type and charset', async () => {
    const { docs, done, ...others } = await replies()
    for (const [name, { headers }] of Object.entries(others)) {
      assert.match(String(headers['content-type']), /^application\/(problem\+)?json; charset=utf-8$/, name)
    }
    assert.match(String(docs.headers['content-type']), /^text\/html; charset=utf-8$/i)
    assert.equal(done.headers['content-type'], undefined)
  })

  it('every reply has a request id of its own', async () => {
    const ids = Object.values(await replies()).map(({ headers }) => String(headers['x-request-id']))
    for (const id of ids) assert.match(id, UUID_V7)
    assert.equal(new Set(ids).size, ids.length)
  })

  it('a well-formed X-Request-Id is taken over, into problems too', async () => {
    for (const id of ['1', 'a.b_c-d0', 'x'.repeat(128), '4bf92f3577b34da6a3ce929d0e0e4736']) {
      const reply = await server().call('GET', '/nothing', { headers: { 'x-request-id': id } })
      assert.equal(reply.headers['x-request-id'], id)
      assert.equal(reply.body.request_id, id)
    }
  })

  it('any other is replaced', async () => {
    for (const id of [
      '',
      'x'.repeat(129),
      'has space',
      '<script>',
      'a,b,c,d,e',
      'ümlaut-id',
      '12345678\t9',
    ]) {
      const reply = await server().call('GET', '/nothing', { headers: { 'x-request-id': id } })
      assert.match(String(reply.headers['x-request-id']), UUID_V7, id)
    }
  })

  it('[V4.1.3] [V15.3.4] forwarding headers change neither issuer nor address', async () => {
    const { username, password } = await server().register()
    const headers = {
      host: 'evil.example',
      'x-forwarded-for': '198.51.100.1',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'https',
      'x-real-ip': '198.51.100.1',
      forwarded: 'for=198.51.100.1;host=evil.example',
    }
    const call = { form: { username, password }, headers, ip: '203.0.113.5' }
    const reply = await server().call('POST', LOGIN, call)
    assert.equal(claimsOf(reply.body.access_token).iss, 'http://127.0.0.1:8000')
    const { body } = await server().call('GET', `${API}/users/me/sessions`, {
      token: reply.body.access_token,
    })
    assert.equal(body.items[0].ip, '203.0.113.5')
    const refused = await server().call('POST', LOGIN, { json: {}, headers })
    assert.doesNotMatch(refused.text, /evil/)
  })

  it('[V4.1.2] nothing redirects to https', async () => {
    const reply = await server().call('POST', LOGIN, { json: {}, headers: { 'x-forwarded-proto': 'http' } })
    assert.equal(reply.status, 422)
    assert.equal(reply.headers.location, undefined)
  })

  it('[V9.2.1] a Date header has no effect on expiry', async () => {
    const { tokens } = await server().register()
    const headers = { date: 'Thu, 01 Jan 1970 00:00:00 GMT', 'x-date': '0' }
    const reply = await server().call('GET', `${API}/users/me`, { token: tokens.access_token, headers })
    assert.equal(reply.status, 200)
  })

  it('a user agent of 8 KB is kept as far as its first 512 characters, and refreshes as itself', async () => {
    const userAgent = 'agent '.repeat(1365)
    const { username, tokens } = await server().register({}, { userAgent })
    for (let time = 0; time < 2; time++) {
      assert.equal((await server().refresh(tokens.refresh_token, { userAgent })).status, 200)
    }
    const { body } = await server().call('GET', `${API}/users/me/sessions`, { token: tokens.access_token })
    assert.equal(body.items[0].user_agent, userAgent.slice(0, 512))
    const events = await listEvents(server(), (await getUser(server(), username)).id)
    for (const event of events) assert.equal(event.user_agent, userAgent.slice(0, 512))
    assert.ok(!events.some(({ type }) => type === 'session.recovered'))
  })

  it('a user agent may be empty, or hold any bytes that a header can', async () => {
    const { username, password } = await server().register()
    for (const agent of ['', '\u00ff\u00fe', "'; drop table users; --", '<script>', '%00%0d%0a', '{{7*7}}']) {
      const pair = await server().login({ username, password }, { userAgent: agent })
      const { body } = await server().call('GET', `${API}/users/me/sessions`, { token: pair.access_token })
      assert.equal(body.items[0].user_agent, agent)
    }
  })

  it('[V2.2.1] hostile values in any header do no harm', async () => {
    const values = [
      '\u00ff',
      '%0d%0aset-cookie:a=b',
      "' or 1=1",
      '\t',
      'x'.repeat(8000),
      '../../etc/passwd',
      '{{7*7}}',
    ]
    const names = [
      'authorization',
      'cookie',
      'origin',
      'accept',
      'accept-encoding',
      'x-request-id',
      'referer',
      'range',
    ]
    for (const name of names) {
      for (const value of values) {
        const reply = await server().call('GET', `${API}/users/me`, { headers: { [name]: value } })
        assertProblem(reply, NOT_AUTHENTICATED)
        assert.equal(reply.headers['set-cookie'], undefined)
      }
    }
  })
})
