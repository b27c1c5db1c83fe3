import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { VARIABLE_NAMES } from '../../src/core/settings/variables.ts'
import { VERSION } from '../../src/core/version.ts'
import { runCli } from '../support/cli.ts'
import { createTestDatabase, DATABASES } from '../support/databases.ts'
import { scale } from '../support/scale.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'

const CRASHES = scale(2, 15)
const LONGEST_MS = 200_000
const PASSWORD = 'correct horse battery staple'

type Entry = { type: string; seq: number | null; id: string; detail: Record<string, string> | null }

describe('the audit log of real servers', () => {
  const prepare = async (t: TestContext, kind: (typeof DATABASES)[number]) => {
    const database = await createTestDatabase(kind)
    t.after(() => database.drop())
    const env = { DATABASE_URL: database.url, SECRET_KEY, HASH_CONCURRENCY: '1' }
    const start = async (more: Record<string, string> = {}) => {
      const server = await startServerProcess({ ...env, ...more })
      t.after(() => server.kill())
      return server
    }
    const exportAll = async (): Promise<Entry[]> => {
      const { stdout } = await runCli(['audit', 'export'], { env })
      return stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line))
    }
    const verify = async () => JSON.parse((await runCli(['audit', 'verify', '--json'], { env })).stdout)
    return { start, verify, exportAll }
  }

  let people = 0
  /** Registers people until the server no longer answers; gives the ids of those who were told that they have an account. */
  const registerUntil = async (server: ServerProcess, signal: AbortSignal): Promise<string[]> => {
    const tokens: string[] = []
    const one = async () => {
      while (!signal.aborted) {
        people += 1
        const json = { username: `person${people}`, email: `p${people}@example.com`, password: PASSWORD }
        const reply = await server.call('POST', '/api/v1/auth/register', { json }).catch(() => undefined)
        if (reply?.status === 200) tokens.push(reply.body.access_token)
        else if (reply === undefined) return
      }
    }
    await Promise.all(Array.from({ length: 4 }, one))
    return tokens
  }

  for (const kind of DATABASES) {
    it(`killed in the middle of a load, again and again: nothing that was answered is missing, and the chain holds (${kind})`, {
      timeout: LONGEST_MS,
    }, async (t) => {
      const { start, verify, exportAll } = await prepare(t, kind)
      let answered = 0
      for (let crash = 0; crash < CRASHES; crash += 1) {
        const server = await start()
        const controller = new AbortController()
        const registering = registerUntil(server, controller.signal)
        // Beyond the second in which the sealer comes round, so that it is hit at work.
        await sleep(900 + Math.random() * 400)
        await server.kill()
        controller.abort()
        answered += (await registering).length
        const { holds } = await verify()
        assert.equal(holds, true)
      }
      const last = await start()
      await last.stop()
      const { holds, unsealed, unproven } = await verify()
      assert.deepEqual([holds, unsealed, unproven], [true, 0, 0])
      const events = await exportAll()
      const created = events.filter(({ type }) => type === 'user.created').length
      assert.ok(answered > 0 && created >= answered, `${created} events of ${answered} accounts`)
    })
  }

  it('three nodes at once: one chain, each event told by one of them', { timeout: LONGEST_MS }, async (t) => {
    const { start, verify, exportAll } = await prepare(t, 'postgres')
    const nodes = await Promise.all([start(), start(), start()])
    const controller = new AbortController()
    const registering = nodes.map((node) => registerUntil(node, controller.signal))
    await sleep(scale(3000, 10_000))
    controller.abort()
    const answered = (await Promise.all(registering)).flat().length
    for (const node of nodes) await node.stop()
    const { holds, unsealed, last } = await verify()
    assert.deepEqual([holds, unsealed], [true, 0])
    const events = await exportAll()
    assert.equal(events.length, last)
    assert.equal(events.filter(({ type }) => type === 'user.created').length, answered)
    const told = nodes.flatMap((node) => node.log().filter(({ msg }) => msg === 'audit'))
    const ids = told.map(({ event }) => (event as Entry).id)
    assert.deepEqual(ids.sort(), events.map(({ id }) => id).sort())
  })

  it('a start is written down with every setting, of secrets only whether they are set', async (t) => {
    const { start, exportAll } = await prepare(t, 'postgres')
    const server = await start({ SESSION_LIMIT: '7', WORKERS: '2' })
    await server.stop()
    const starts = (await exportAll()).filter(({ type }) => type === 'server.started')
    assert.equal(starts.length, 1)
    const { version, ...settings } = starts[0]?.detail ?? {}
    assert.equal(version, VERSION)
    assert.deepEqual(Object.keys(settings), VARIABLE_NAMES)
    const { SECRET_KEY: secret, SECRET_KEY_PREVIOUS, DATABASE_URL, SESSION_LIMIT, HOST } = settings
    assert.deepEqual(
      [secret, SECRET_KEY_PREVIOUS, DATABASE_URL, SESSION_LIMIT, HOST],
      ['set', 'not set', 'set', '7', '127.0.0.1'],
    )
    assert.ok(!server.stdout().includes(SECRET_KEY))
    for (const line of server.stdout().split('\n')) assert.ok(Buffer.byteLength(line) < 4096)
  })

  it('a stop seals what the last requests have written', async (t) => {
    const { start, verify, exportAll } = await prepare(t, 'sqlite')
    const server = await start()
    const json = { username: 'ada', email: 'ada@example.com', password: PASSWORD }
    assert.equal((await server.call('POST', '/api/v1/auth/register', { json })).status, 200)
    assert.deepEqual(await server.stop(), { code: 0, signal: null })
    assert.equal((await verify()).unsealed, 0)
    const types = (await exportAll()).map(({ type }) => type)
    assert.deepEqual(types, [
      'key.created',
      'database.migrated',
      'key.created',
      'server.started',
      'user.created',
    ])
  })
})
