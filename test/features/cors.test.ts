import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onSharedServer, type Reply } from '../kit.ts'
import { assertDone, assertProblem } from '../support/replies.ts'

const APP = 'https://app.example.com'
const OTHER_APP = 'http://localhost:5173'
const FOREIGN = [
  'https://evil.example',
  'null',
  '',
  'https://app.example.com.evil.example',
  'https://evil-app.example.com',
  'http://app.example.com',
  'https://app.example.com:444',
  'https://APP.example.com',
  'https://app.example.co',
]
const LOGIN = `${API}/auth/login`

const corsHeaders = ({ headers }: Reply) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith('access-control-')))

const preflight = (origin: string) => ({
  headers: {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization, content-type',
  },
})

onSharedServer('CORS off', (server) => {
  it('[V3.4.2] no reply has a CORS header, whatever the origin', async () => {
    for (const origin of [APP, 'http://127.0.0.1:8000', ...FOREIGN]) {
      for (const reply of [
        await server().call('GET', '/health', { headers: { origin } }),
        await server().call('POST', LOGIN, { json: {}, headers: { origin } }),
        await server().call('OPTIONS', LOGIN, preflight(origin)),
      ]) {
        assert.deepEqual(corsHeaders(reply), {})
      }
    }
  })

  it('OPTIONS is a method that no address has', async () => {
    const reply = await server().call('OPTIONS', LOGIN, preflight(APP))
    assertProblem(reply, { status: 405, code: 'method_not_allowed' })
    assert.equal(reply.headers.allow, 'POST')
  })
})

onSharedServer(
  'CORS for named origins',
  (server) => {
    it('a named origin may read every reply, errors too, with credentials', async () => {
      for (const origin of [APP, OTHER_APP, 'http://127.0.0.1:8000']) {
        for (const reply of [
          await server().call('GET', '/health', { headers: { origin } }),
          await server().call('GET', `${API}/users/me`, { headers: { origin } }),
          await server().call('GET', '/nothing', { headers: { origin } }),
        ]) {
          assert.deepEqual(corsHeaders(reply), {
            'access-control-allow-origin': origin,
            'access-control-allow-credentials': 'true',
            'access-control-expose-headers':
              'ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id',
          })
          assert.equal(reply.headers.vary, 'Origin')
        }
      }
    })

    it('a preflight of a named origin is answered with what the API takes', async () => {
      const reply = await server().call('OPTIONS', LOGIN, preflight(APP))
      assertDone(reply)
      const { 'access-control-allow-methods': methods, ...rest } = corsHeaders(reply)
      assert.equal(methods, 'GET, POST, PUT, PATCH, DELETE')
      assert.equal(rest['access-control-allow-origin'], APP)
      assert.equal(rest['access-control-allow-headers'], 'authorization, content-type, x-request-id')
      assert.equal(rest['access-control-max-age'], '600')
    })

    it('[V3.4.2] any other origin gets no CORS header at all, in a preflight neither', async () => {
      for (const origin of FOREIGN) {
        const plain = await server().call('GET', '/health', { headers: { origin } })
        assert.equal(plain.status, 200)
        assert.equal(plain.headers.vary, 'Origin')
        const asked = await server().call('OPTIONS', LOGIN, preflight(origin))
        assertProblem(asked, { status: 405, code: 'method_not_allowed' })
        for (const reply of [plain, asked]) assert.deepEqual(corsHeaders(reply), {})
      }
      assert.deepEqual(corsHeaders(await server().call('GET', '/health')), {})
    })

    it('unknown paths stay unknown, and 405 stays 405', async () => {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        assertProblem(await server().call(method, '/nothing'), { status: 404, code: 'not_found' })
      }
      const reply = await server().call('DELETE', LOGIN)
      assertProblem(reply, { status: 405, code: 'method_not_allowed' })
      assert.equal(reply.headers.allow, 'POST')
    })

    it('[V3.5.1] what CORS lets read, the cookie rule lets write: a named origin refreshes by cookie', async () => {
      const { username, password } = await server().register()
      const headers = { origin: APP }
      const login = await server().call('POST', `${LOGIN}?transport=cookie`, {
        form: { username, password },
        headers,
      })
      const cookie = String(login.headers['set-cookie']).split(';', 1)[0] ?? ''
      const reply = await server().call('POST', `${API}/auth/refresh`, { headers: { ...headers, cookie } })
      assert.equal(reply.status, 200)
      assert.equal(reply.headers['access-control-allow-origin'], APP)
    })
  },
  { corsOrigins: [APP, OTHER_APP] },
)
