import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'

const CANARY = 'canary-Zq7-password-Xw9'
const ADA = { username: 'ada', email: 'ada@example.com', password: CANARY }
const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const JSON_TYPE = { 'content-type': 'application/json' }

describe('the log at LOG_LEVEL=trace', () => {
  let server: ServerProcess
  before(async () => {
    server = await startServerProcess({
      LOG_LEVEL: 'trace',
      SECRET_KEY,
      CORS_ORIGINS: 'https://app.test',
      METRICS_PORT: '0',
    })
  })
  after(() => server?.stop())

  const post = (path: string, body: string, headers: Record<string, string>) =>
    fetch(server.url + path, { method: 'POST', body, headers }).then((reply) => reply.text())

  it('[V16.2.5] never holds a password or a token, wherever a client put it', async () => {
    const registered = await server.call('POST', '/api/v1/auth/register', { json: ADA })
    assert.equal(registered.status, 200, registered.text)
    const { access_token, refresh_token } = registered.body
    const cookie = await fetch(`${server.url}/api/v1/auth/login?transport=cookie`, {
      method: 'POST',
      headers: { origin: 'https://app.test', ...JSON_TYPE },
      body: JSON.stringify({ username: 'ada', password: CANARY }),
    })
    const cookieToken = /=([\w.-]+);/.exec(cookie.headers.get('set-cookie') ?? '')?.[1] ?? ''
    assert.notEqual(cookieToken, '')
    const secrets = [CANARY, access_token, refresh_token, cookieToken]
    for (const secret of secrets) await sendEverywhere(secret)
    const reused = async () => server.call('POST', '/api/v1/auth/refresh', { json: { refresh_token } })
    for (let round = 0; round < 3; round++) await reused()
    await sleep(100)
    const { metrics } = await server.findLog((line) => 'metrics' in line)
    const told = await (await fetch(String(metrics))).text()
    assert.match(told, /postern_logins_total/)
    const output = server.stdout() + server.stderr() + told
    for (const secret of [...secrets, SECRET_KEY]) {
      for (const part of secret.split('.')) {
        const form = [part, encodeURIComponent(part), Buffer.from(part).toString('base64url')]
        for (const text of form) assert.ok(!output.includes(text), lineWith(output, text))
      }
    }
    for (const line of server.log()) assert.equal(typeof line.msg, 'string')
  })

  it('keeps a line short enough for a pipe to take in one piece, however long the address', async () => {
    const path = `/${'a'.repeat(12_000)}`
    assert.equal((await server.call('GET', path)).status, 404)
    const line = await server.findLog((found) => String(found.path).startsWith('/aaaa'))
    assert.ok(JSON.stringify(line).length < 4096)
  })

  async function sendEverywhere(secret: string): Promise<void> {
    const json = JSON.stringify
    await post('/api/v1/auth/login', json({ username: secret, password: secret }), JSON_TYPE)
    await post('/api/v1/auth/login', json({ username: 'ada', password: secret, [secret]: secret }), JSON_TYPE)
    await post('/api/v1/auth/login', `username=${secret}&password=${secret}&${secret}=${secret}`, FORM)
    await post('/api/v1/auth/login', `{"password": ${secret}`, JSON_TYPE)
    await post('/api/v1/auth/login', secret, JSON_TYPE)
    await post('/api/v1/auth/login', secret, { 'content-type': 'text/plain' })
    await post(
      '/api/v1/auth/register',
      json({ username: secret, email: secret, password: [secret] }),
      JSON_TYPE,
    )
    await post('/api/v1/auth/register', json({ ...ADA, password: secret, [secret]: 1 }), JSON_TYPE)
    await post('/api/v1/auth/refresh', json({ refresh_token: `${secret}x` }), JSON_TYPE)
    await post('/api/v1/auth/logout', json({ refresh_token: `${secret}x` }), {
      ...JSON_TYPE,
      cookie: `__Host-postern_refresh=${secret}; other=${secret}`,
    })
    await post(`/api/v1/auth/login?password=${secret}&${secret}=1&transport=${secret}`, '', FORM)
    for (const path of ['/api/v1/users/me', '/nowhere', '/docs', '/health']) {
      for (const authorization of [`Bearer ${secret}`, `Basic ${btoa(`ada:${secret}`)}`, secret]) {
        const headers = { authorization, referer: `https://app.test/?token=${secret}`, 'user-agent': secret }
        await fetch(`${server.url}${path}?access_token=${secret}#${secret}`, { headers })
      }
    }
    await fetch(`${server.url}/api/v1/users/me`, {
      method: 'PATCH',
      headers: { ...JSON_TYPE, authorization: `Bearer ${secret}` },
      body: json({ password: secret, current_password: secret }),
    })
  }

  it('[V16.4.1] is one line for each entry, whatever a client put into headers and path', async () => {
    const before = server.stdout().split('\n').length
    const attacks = ['%0d%0a{"level":30,"msg":"forged"}', '%1b[31mred%1b[0m', '%00%07%e2%80%a8', 'a\\u000a"}']
    for (const attack of attacks) {
      await fetch(`${server.url}/nowhere/${attack}?${attack}`, {
        headers: { 'user-agent': 'x\t\\n{"msg":"forged"}', 'x-request-id': `forged\\n${attack}` },
      })
    }
    const raw = await sendRaw('GET /\x1b[31m\x07\x00 HTTP/1.1\r\nhost: x\r\nuser-agent: a\rb\r\n\r\n')
    assert.match(raw, /^HTTP\/1\.1 400 /)
    await server.findLog(({ path }) => String(path).includes('u000a'))
    const lines = server
      .stdout()
      .split('\n')
      .slice(before - 1, -1)
    for (const line of lines) {
      assert.equal(JSON.parse(line).msg === 'forged', false)
      assert.doesNotMatch(line, /\p{Cc}/u)
    }
  })

  async function sendRaw(text: string): Promise<string> {
    const socket = connect(server.port, '127.0.0.1')
    let reply = ''
    socket.setEncoding('utf8').on('data', (chunk) => {
      reply += chunk
    })
    socket.write(text)
    await once(socket, 'close')
    return reply
  }
})

const lineWith = (output: string, text: string): string =>
  output.split('\n').find((line) => line.includes(text)) ?? ''
