import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createSocketServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import type { Finding } from '../../src/doctor/check.ts'
import { askRedirect } from '../../src/doctor/groups/public-url.ts'
import { type Certificate, createAuthority, createCertificate } from '../support/certificates.ts'
import { runCli } from '../support/cli.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { startTlsProxy, type TlsProxy } from '../support/tls-proxy.ts'

describe('doctor: PUBLIC_URL with TLS', () => {
  let folder: string
  let authority: Certificate
  let good: Certificate
  let server: ServerProcess
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-tls-'))
    authority = await createAuthority()
    good = await createCertificate('localhost', authority)
    await writeFile(join(folder, 'authority.pem'), authority.cert)
    server = await startServerProcess()
  })
  after(async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** What is found at the URL by a process that knows the authority, beside the server's database. */
  async function look(url: string, env: Record<string, string> = {}): Promise<Finding[]> {
    const { stdout, stderr } = await runCli(['doctor', '--json'], {
      folder: server.folder,
      env: { PUBLIC_URL: url, NODE_EXTRA_CA_CERTS: join(folder, 'authority.pem'), ...env },
    })
    assert.equal(stderr, '')
    const { findings }: { findings: Finding[] } = JSON.parse(stdout)
    return findings.filter(({ check }) => /^(tls|public_url)\./.test(check))
  }

  const found = async (url: string, env?: Record<string, string>) =>
    (await look(url, env)).filter(({ level }) => level !== 'ok').map(({ check }) => check)

  async function proxy(t: TestContext, certificate: Certificate, options = {}): Promise<TlsProxy> {
    const started = await startTlsProxy({ ...certificate, ...options })
    t.after(() => started.close())
    started.forwardTo(server.url)
    return started
  }

  it('a proxy as it should be: every check is there, and none finds anything', async (t) => {
    const { url } = await proxy(t, good)
    const findings = await look(url)
    assert.ok(
      findings.every(({ level }) => level === 'ok'),
      JSON.stringify(findings),
    )
    assert.deepEqual(findings.length, 10)
  })

  it('a certificate that is self-signed, expired, not valid yet, about to expire, or for another host', async (t) => {
    const make = (host: string, fromDays: number, toDays: number) =>
      createCertificate(host, authority, { fromDays, toDays })
    const refused = 'public_url.answers'
    for (const [certificate, expected] of [
      [await createCertificate('localhost'), ['tls.trusted', refused]],
      [await make('localhost', -90, -1), ['tls.valid', refused]],
      [await make('localhost', 1, 90), ['tls.valid', refused]],
      [await make('auth.example.com', -1, 90), ['tls.host', refused]],
      [await make('localhost', -80, 10), ['tls.expires_soon']],
    ] as const) {
      const { url } = await proxy(t, certificate)
      assert.deepEqual(await found(url), expected)
    }
  })

  it('a proxy that speaks TLS 1.1 still', async (t) => {
    const old = { minVersion: 'TLSv1', ciphers: 'ALL:@SECLEVEL=0' }
    const { url } = await proxy(t, good, old)
    assert.deepEqual(await found(url), ['tls.versions'])
  })

  it('nobody there, something without TLS, or something that does not answer', async (t) => {
    const silent = createSocketServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    t.after(() => silent.close())
    const { port } = silent.address() as AddressInfo
    const plain = server.url.replace('http:', 'https:')
    for (const url of [plain, `https://localhost:${port}`]) {
      assert.deepEqual(await found(url), ['tls.reachable', 'public_url.answers'], url)
    }
    const closed = await startTlsProxy(good)
    await closed.close()
    const findings = await look(closed.url)
    assert.match(findings[0]?.what ?? '', /^There is no TLS with localhost:\d+ from here \(ECONNREFUSED\)$/)
  })

  it('what answers is no Postern, another one, or the header is lost on the way', async (t) => {
    const { url, answer, forwardTo } = await proxy(t, good)
    const hsts = { 'strict-transport-security': 'max-age=63072000' }
    const answers: RequestListener[] = [
      (_request, response) => response.writeHead(502, hsts).end('bad gateway'),
      (_request, response) => response.writeHead(200, hsts).end('<h1>It works!</h1>'),
      (_request, response) => response.writeHead(200, hsts).end('a'.repeat(2 ** 20)),
      (_request, response) => response.writeHead(200, hsts).end('{"keys": [{"kid": "of another"}]}'),
    ]
    for (const next of answers) {
      answer(next)
      assert.deepEqual(await found(url), ['public_url.postern'])
    }
    forwardTo(server.url, 'strict-transport-security')
    assert.deepEqual(await found(url), ['public_url.hsts'])
    answer((_request, response) => response.socket?.destroy())
    assert.deepEqual(await found(url), ['public_url.answers'])
  })

  it('with a path, the key set is asked for below it', async (t) => {
    const { url, answer } = await proxy(t, good)
    const asked: string[] = []
    answer((request, response) => {
      asked.push(request.url ?? '')
      response.end('{"keys": []}')
    })
    assert.deepEqual(await found(`${url}/auth`), ['public_url.postern', 'public_url.hsts'])
    assert.deepEqual(asked, ['/auth/.well-known/jwks.json'])
    assert.deepEqual(await found(`${url}/auth`, { ALGORITHM: 'HS256' }), ['public_url.hsts'])
  })

  it('what plain HTTP answers is told from nothing answering', async (t) => {
    const plain = createServer((_request, response) =>
      response.writeHead(308, { location: 'https://auth.example.com/' }).end(),
    ).listen(0, '127.0.0.1')
    await once(plain, 'listening')
    t.after(() => plain.close())
    const { port } = plain.address() as AddressInfo
    const expected = { status: 308, location: 'https://auth.example.com/' }
    assert.deepEqual(await askRedirect(`http://127.0.0.1:${port}/`), expected)
    assert.equal(await askRedirect('http://127.0.0.1:1/'), undefined)
  })

  it('without https there is nothing to look at', async () => {
    assert.deepEqual(await look('http://127.0.0.1:8000'), [])
  })
})
