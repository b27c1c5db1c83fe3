import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startServer, type TestServer } from '../kit.ts'
import { assertProblem } from '../support/replies.ts'

/** What the browser takes a file for; it sniffs nothing. */
const TYPES = [
  [/\.css$/, /^text\/css\b/],
  [/\.js$/, /^(text|application)\/javascript\b/],
  [/\.png$/, /^image\/png$/],
] as const

describe('Swagger UI', () => {
  let server: TestServer
  before(async () => {
    server = await startServer('sqlite')
  })
  after(() => server.close())

  /** The addresses that a page loads, as the browser resolves them. */
  const assetsOf = (html: string, page: string): string[] =>
    [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => {
      const { origin, pathname } = new URL(url ?? '', `http://here${page}`)
      assert.equal(origin, 'http://here', `${url} leads elsewhere`)
      return pathname
    })

  it('is served from the package: every file that the page asks for is here, with its right type', async () => {
    for (const page of ['/docs', '/docs/']) {
      const { status, headers, text } = await server.call('GET', page)
      assert.equal(status, 200)
      assert.equal(headers['content-type'], 'text/html; charset=utf-8')
      const assets = assetsOf(text, page)
      assert.ok(assets.length >= 6)
      for (const path of assets) {
        const asset = await server.call('GET', path)
        assert.equal(asset.status, 200, path)
        const type = TYPES.find(([ending]) => ending.test(path))?.[1]
        assert.match(String(asset.headers['content-type']), type ?? /^$/, path)
        assert.equal(asset.headers['x-content-type-options'], 'nosniff')
      }
    }
  })

  it('says of a file that it does not have that there is none', async () => {
    for (const path of ['/docs/nothing', '/docs/static/nothing.js', '/docs/static/../../package.json']) {
      assertProblem(await server.call('GET', path), { status: 404, code: 'not_found' })
    }
  })

  it('has one spelling for each file, so that nobody can have it kept in many', async () => {
    assert.equal((await server.call('GET', '/docs/static/index.css?v=1')).status, 200)
    for (const path of ['/docs/static/index%2Ecss', '/docs/static//index.css']) {
      assertProblem(await server.call('GET', path), { status: 404, code: 'not_found' })
    }
  })

  it('is not sent again to whoever has it', async () => {
    const path = '/docs/static/swagger-ui.css'
    const { etag } = (await server.call('GET', path)).headers
    const again = await server.call('GET', path, { headers: { 'if-none-match': String(etag) } })
    assert.deepEqual([again.status, again.text], [304, ''])
    const other = await server.call('GET', path, { headers: { 'if-none-match': 'W/"other"' } })
    assert.equal(other.status, 200)
    const head = await server.call('HEAD', path)
    assert.deepEqual([head.status, head.text, head.headers.etag], [200, '', etag])
  })

  it('[V3.4.3] runs under a policy that lets in nothing inline and nothing from elsewhere', async () => {
    const { headers, text } = await server.call('GET', '/docs')
    const policy = Object.fromEntries(
      String(headers['content-security-policy'])
        .split(';')
        .map((directive) => directive.trim())
        .filter((directive) => directive !== '')
        .map((directive) => [directive.split(' ')[0], directive.split(' ').slice(1).join(' ')]),
    )
    assert.deepEqual(policy, {
      'default-src': "'none'",
      'script-src': "'self'",
      'style-src': "'self'",
      'img-src': "'self' data:",
      'connect-src': "'self'",
      'base-uri': "'none'",
      'form-action': "'none'",
      'frame-ancestors': "'none'",
      'object-src': "'none'",
    })
    assert.doesNotMatch(text, /<style|style="|\son\w+=|<script(?![^>]*\ssrc=)/)
  })

  it('loads the document from beside itself and keeps no token when the page is closed', async () => {
    const { text } = await server.call('GET', '/docs/static/swagger-initializer.js')
    assert.match(text, /url: resolveUrl\('\.\/json'\)/)
    assert.doesNotMatch(text, /persistAuthorization|https?:\/\/(?!stackoverflow)/)
  })

  it('signs in by its Authorize button, which adds an empty Basic header and an empty scope', async () => {
    const { username, password } = await server.register()
    const form = { grant_type: 'password', scope: '', username, password }
    const headers = { authorization: `Basic ${btoa(':')}`, 'x-requested-with': 'XMLHttpRequest' }
    const reply = await server.call('POST', '/api/v1/auth/login', { form, headers })
    assert.equal(reply.status, 200, reply.text)
    assert.equal((await server.me(reply.body.access_token)).status, 200)
  })

  it('signs in with client credentials in the form as well, and ignores them', async () => {
    const { username, password } = await server.register()
    const form = { grant_type: 'password', scope: '', username, password, client_id: '', client_secret: 'x' }
    assert.equal((await server.call('POST', '/api/v1/auth/login', { form })).status, 200)
  })
})
