import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { scale } from '../support/scale.ts'
import { type Reply, type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { median } from '../support/statistics.ts'

const CLIENTS = 64
const FORM = { username: 'nobody', password: 'not the password of anybody' }
const HASH_CONCURRENCY = 6

describe('a storm of sign-ins', () => {
  let server: ServerProcess
  before(async () => {
    server = await startServerProcess({ HASH_CONCURRENCY: String(HASH_CONCURRENCY), LOG_LEVEL: 'error' })
  })
  after(() => server?.stop())

  const login = (): Promise<Reply> => server.call('POST', '/api/v1/auth/login', { form: FORM })

  if (process.platform === 'linux') {
    it('hashes on threads of lower priority than the event loop, as many as HASH_CONCURRENCY', async () => {
      await login()
      const threads = await listThreads(server.pid)
      const workers = threads.filter(({ name }) => name === 'libuv-worker')
      assert.equal(workers.length, HASH_CONCURRENCY)
      const own = threads.find(({ id }) => id === server.pid)
      for (const { nice } of workers) assert.ok(nice > (own?.nice ?? 0), `${nice}`)
      assert.equal(own?.nice, await niceOf(process.pid))
    })
  }

  it('leaves other requests quick', async (t) => {
    const end = performance.now() + scale(2000, 10_000)
    const clients = Array.from({ length: CLIENTS }, async () => {
      let logins = 0
      for (; performance.now() < end; logins++) await login()
      return logins
    })
    const times: number[] = []
    while (performance.now() < end) {
      const startedAt = performance.now()
      assert.equal((await server.call('GET', '/health')).status, 200)
      times.push(performance.now() - startedAt)
      await sleep(5)
    }
    const logins = (await Promise.all(clients)).reduce((sum, count) => sum + count, 0)
    t.diagnostic(
      `${logins} sign-ins; health: median ${median(times).toFixed(1)} ms, slowest ${Math.max(...times).toFixed(1)} ms`,
    )
    assert.ok(median(times) < 100, `${median(times)} ms`)
  })

  it('beyond about two seconds of waiting is refused at once: 503 with Retry-After', async () => {
    const replies = await Promise.all(
      Array.from({ length: 1000 }, async () => {
        const startedAt = performance.now()
        return { ...(await login()), ms: performance.now() - startedAt }
      }),
    )
    const refused = replies.filter(({ status }) => status === 503)
    assert.ok(refused.length > 0)
    assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([401, 503]))
    for (const { body, headers } of refused) {
      assert.equal(body.code, 'server_busy')
      assert.equal(headers.get('retry-after'), '2')
    }
    assert.equal((await login()).status, 401)
  })
})

type Thread = { id: number; name: string; nice: number }

async function listThreads(pid: number): Promise<Thread[]> {
  const ids = await readdir(`/proc/${pid}/task`)
  return Promise.all(ids.map(async (id) => parseStat(await readFile(`/proc/${pid}/task/${id}/stat`, 'utf8'))))
}

const niceOf = async (pid: number): Promise<number> =>
  parseStat(await readFile(`/proc/${pid}/stat`, 'utf8')).nice

/** proc_pid_stat(5): the name is in parentheses, nice the 19th field. */
function parseStat(text: string): Thread {
  const [, id, name = '', rest = ''] = /^(\d+) \((.*)\) (.*)/s.exec(text) ?? []
  return { id: Number(id), name, nice: Number(rest.split(' ')[16]) }
}
