import assert from 'node:assert/strict'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { Env } from '../support/child-process.ts'
import {
  type ProcessOptions,
  type ServerProcess,
  spawnServer,
  startServerProcess,
} from '../support/server-process.ts'

describe('start', () => {
  const servers: ServerProcess[] = []
  const folders: string[] = []
  const start = async (env?: Env, options?: ProcessOptions): Promise<ServerProcess> => {
    const server = await startServerProcess(env, options)
    servers.push(server)
    return server
  }
  const makeFolder = async (): Promise<string> => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-start-'))
    folders.push(folder)
    return folder
  }
  after(async () => {
    for (const server of servers) await server.stop()
    for (const folder of folders) await rm(folder, { recursive: true, force: true })
  })

  it('in an empty folder: makes its database and its secret, for the owner alone', async () => {
    const { folder } = await start()
    for (const name of ['postern.db', 'postern.db.secret-key']) {
      assert.equal((await stat(join(folder, 'data', name))).mode & 0o777, 0o600, name)
    }
    assert.equal((await stat(join(folder, 'data'))).mode & 0o777, 0o700)
  })

  it('says in the log where it listens and where the API is documented', async () => {
    const server = await start()
    const messages = server.log().map(({ msg }) => msg)
    assert.ok(messages.includes(`listening on ${server.url}`), messages.join('\n'))
    assert.ok(messages.includes(`the API is documented at ${server.url}/docs`), messages.join('\n'))
    assert.equal((await fetch(`${server.url}/docs`)).status, 200)
    assert.equal(server.stderr(), '')
  })

  it('again in the same folder: keeps accounts, keys and sessions', async () => {
    const folder = await makeFolder()
    const first = await start({}, { folder })
    const json = { username: 'ada', email: 'ada@example.com', password: 'correct horse battery staple' }
    const registered = await first.call('POST', '/api/v1/auth/register', { json })
    const keys = await first.call('GET', '/.well-known/jwks.json')
    await first.stop()
    const second = await start({}, { folder, port: first.port })
    assert.deepEqual((await second.call('GET', '/.well-known/jwks.json')).body, keys.body)
    const me = await second.call('GET', '/api/v1/users/me', { token: registered.body.access_token })
    assert.equal(me.status, 200)
  })

  it('takes HOST, PUBLIC_URL, API_V1_STR and PROJECT_NAME', async () => {
    const env = {
      HOST: '127.0.0.2',
      PUBLIC_URL: 'https://auth.example.com',
      API_V1_STR: '/v9',
      PROJECT_NAME: 'Garden Gate',
    }
    const server = await start(env)
    const document = await server.call('GET', '/v9/openapi.json')
    assert.equal(document.body.info.title, 'Garden Gate')
    assert.match((await server.call('GET', '/')).body.message, /Garden Gate/)
    const refused = await server.call('GET', '/v9/users/me')
    assert.equal(refused.status, 401)
    assert.equal(refused.body.type, 'https://auth.example.com/problems/not_authenticated')
    await assert.rejects(fetch(`http://127.0.0.1:${server.port}/health`))
  })

  it('PORT=0 takes a free port and logs it', async () => {
    const server = await spawnServer({ PORT: '0' })
    servers.push(server)
    const { docs } = await server.findLog((line) => line.docs !== undefined)
    assert.equal((await fetch(new URL('/health/ready', String(docs)))).status, 200)
  })

  it('reads .env in its folder; the environment wins; an unknown key is a warning', async () => {
    const folder = await makeFolder()
    await writeFile(join(folder, '.env'), 'PROJECT_NAME=From file\nAPI_V1_STR=/file\nPROJECT_NAM=typo\n')
    const server = await start({ API_V1_STR: '/environment', RATE_LIMITS: 'true' }, { folder })
    const document = await server.call('GET', '/environment/openapi.json')
    assert.equal(document.body.info.title, 'From file')
    const warnings = server.log().filter(({ level }) => level === 40)
    assert.equal(warnings.length, 1)
    assert.match(
      warnings[0]?.msg ?? '',
      /"?'?PROJECT_NAM'?"? is not a setting of Postern; did you mean PROJECT_NAME\?/,
    )
  })
})

describe('log', () => {
  it('[V16.2.1] [V16.2.4] a line is one JSON object with time, request id, address and outcome', async () => {
    const server = await startServerProcess()
    try {
      const from = Date.now()
      const reply = await server.call('GET', '/api/v1/users/me?secret=query')
      const id = reply.headers.get('x-request-id')
      const line = await server.findLog(({ request_id }) => request_id === id)
      assert.deepEqual(
        { method: line.method, path: line.path, status: line.status, ip: line.ip },
        { method: 'GET', path: '/api/v1/users/me', status: 401, ip: '127.0.0.1' },
      )
      assert.ok(line.time >= from && line.time <= Date.now(), 'time is epoch milliseconds')
    } finally {
      await server.stop()
    }
  })

  it('LOG_LEVEL says from which level on; silent logs nothing', async () => {
    for (const [level, lines] of [
      ['silent', 0],
      ['error', 0],
      ['trace', 3],
    ] as const) {
      const server = await startServerProcess({ LOG_LEVEL: level })
      await server.stop()
      assert.ok(lines === 0 ? server.stdout() === '' : server.log().length >= lines, server.stdout())
    }
  })
})
