import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenError, type TokenErrorCode } from '../../packages/verify/src/index.ts'
import { ADAPTERS } from './support/adapters.ts'
import { startIssuer } from './support/issuer.ts'
import { someClaims } from './support/tokens.ts'
import { openWithoutFeed } from './support/verifiers.ts'

const SUB = '01992c2e-0000-7000-8000-00000000000a'

const call = (url: string, authorization?: string, method = 'GET') =>
  fetch(url, { method, headers: authorization === undefined ? {} : { authorization } })

/** What a refusal says, where a client looks. */
async function readRefusal(response: Response) {
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/)
  assert.equal(response.headers.get('cache-control'), 'no-store')
  const problem = (await response.json()) as Record<string, unknown>
  assert.equal(problem.status, response.status)
  assert.equal(problem.type, 'about:blank')
  assert.ok(problem.title && problem.detail)
  return { status: response.status, challenge: response.headers.get('www-authenticate'), code: problem.code }
}

const refusing = (error: unknown) => ({ verify: () => Promise.reject(error) })

for (const [name, start] of Object.entries(ADAPTERS)) {
  test(`${name}: whoever has a good token is let in, with its claims on the request`, async (t) => {
    const issuer = await startIssuer(t)
    const url = await start(t, openWithoutFeed(t, issuer))
    for (const scheme of ['Bearer', 'bearer', 'BEARER', 'Bearer  ']) {
      const response = await call(`${url}/me`, `${scheme} ${issuer.token()}`)
      assert.equal(response.status, 200)
      assert.equal(await response.text(), SUB)
    }
    for (const path of ['/orders', '/both']) {
      assert.equal(await (await call(url + path, `Bearer ${issuer.token()}`)).text(), SUB)
    }
  })

  test(`${name}: who sends no token is asked for one, without an error`, async (t) => {
    const issuer = await startIssuer(t)
    const url = await start(t, openWithoutFeed(t, issuer))
    for (const authorization of [undefined, 'Basic dXNlcjpwYXNz', 'Bearerx', issuer.token()]) {
      const refusal = await readRefusal(await call(`${url}/me`, authorization))
      assert.deepEqual(refusal, { status: 401, challenge: 'Bearer realm="api"', code: 'token_missing' })
    }
    const { challenge } = await readRefusal(await call(`${url}/both`))
    assert.equal(challenge, 'Bearer realm="shop", scope="orders:read profile"')
    const elsewhere = await readRefusal(await call(`${url}/me?access_token=${issuer.token()}`))
    assert.equal(elsewhere.code, 'token_missing')
  })

  test(`${name}: who sends a bad token is told so`, async (t) => {
    const issuer = await startIssuer(t)
    const url = await start(t, openWithoutFeed(t, issuer))
    const token = issuer.token()
    const challenge = 'Bearer realm="api", error="invalid_token"'
    for (const sent of [
      '',
      'x',
      `${token}x`,
      `${token}, Bearer ${token}`,
      `${token} `.repeat(2),
      `"${token}"`,
    ]) {
      const refusal = await readRefusal(await call(`${url}/me`, `Bearer ${sent}`))
      assert.deepEqual(refusal, { status: 401, challenge, code: 'token_invalid' })
    }
    const expired = await readRefusal(await call(`${url}/me`, `Bearer ${issuer.token({ exp: 1 })}`))
    assert.deepEqual(expired, { status: 401, challenge, code: 'token_expired' })
    const both = await readRefusal(await call(`${url}/both`, 'Bearer x'))
    assert.equal(both.challenge, 'Bearer realm="shop", error="invalid_token", scope="orders:read profile"')
  })

  test(`${name}: who lacks a scope is told which`, async (t) => {
    const issuer = await startIssuer(t)
    const url = await start(t, openWithoutFeed(t, issuer))
    const cases: [path: string, scope: string, challenge: string][] = [
      ['/admin', 'orders:read profile', 'realm="shop", error="insufficient_scope", scope="admin"'],
      ['/orders', '', 'realm="api", error="insufficient_scope", scope="orders:read"'],
      [
        '/orders',
        'orders:readx xorders:read',
        'realm="api", error="insufficient_scope", scope="orders:read"',
      ],
      ['/both', 'profile', 'realm="shop", error="insufficient_scope", scope="orders:read profile"'],
    ]
    for (const [path, scope, challenge] of cases) {
      const refusal = await readRefusal(await call(url + path, `Bearer ${issuer.token({ scope })}`))
      const expected = { status: 403, challenge: `Bearer ${challenge}`, code: 'insufficient_scope' }
      assert.deepEqual(refusal, expected)
    }
  })

  test(`${name}: each reason has its status; when it cannot be told, come again`, async (t) => {
    const challenge = 'Bearer realm="api", error="invalid_token"'
    for (const code of ['token_revoked', 'token_expired'] satisfies TokenErrorCode[]) {
      const url = await start(t, refusing(new TokenError(code)))
      const refusal = await readRefusal(await call(`${url}/me`, 'Bearer x'))
      assert.deepEqual(refusal, { status: 401, challenge, code })
    }
    const url = await start(t, refusing(new TokenError('unavailable')))
    const response = await call(`${url}/me`, 'Bearer x')
    assert.equal(response.headers.get('retry-after'), '1')
    assert.deepEqual(await readRefusal(response), { status: 503, challenge: null, code: 'unavailable' })
  })

  test(`${name}: a verifier that fails otherwise lets nobody in`, async (t) => {
    t.mock.method(console, 'error', () => {})
    const url = await start(t, refusing(new RangeError('a bug')))
    const response = await call(`${url}/me`, 'Bearer x')
    assert.equal(response.status, 500)
    assert.ok(!(await response.text()).includes(SUB))
  })

  test(`${name}: claims of one request are not those of the next`, async (t) => {
    const verify = async (sub: string) => someClaims('https://auth.example.com', { sub })
    const url = await start(t, { verify })
    const subs = Array.from({ length: 50 }, (_, n) => `user-${n}`)
    const told = await Promise.all(subs.map(async (sub) => (await call(`${url}/me`, `Bearer ${sub}`)).text()))
    assert.deepEqual(told, subs)
  })

  test(`${name}: names that no header can carry are refused at the start`, async (t) => {
    const { authenticate, requireScope } = await import(`../../packages/verify/src/${name}.ts`)
    const verifier = openWithoutFeed(t, { url: 'https://auth.example.com' })
    for (const realm of ['"', '\\', 'a\r\nb', 'ü']) {
      assert.throws(() => authenticate(verifier, { realm }), /^TypeError: @postern\/verify: realm /)
    }
    for (const scope of ['', ' ', 'a  b', 'a"', 'a\\', 'a\n', 'ü']) {
      assert.throws(() => requireScope(scope), /^TypeError: @postern\/verify: scope /)
      assert.throws(() => authenticate(verifier, { scope }), /^TypeError: @postern\/verify: scope /)
    }
  })
}
