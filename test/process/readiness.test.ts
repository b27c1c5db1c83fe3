import assert from 'node:assert/strict'
import { after, afterEach, describe, it, mock } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import { MINUTE, SECOND } from '../../src/core/clock.ts'
import { startJobs } from '../../src/jobs.ts'
import { createMovableClock, onEachDatabase, startServer, type TestServer } from '../kit.ts'

describe('a node whose clock is more than 5 seconds off that of PostgreSQL', () => {
  const servers: TestServer[] = []
  const startOff = async (ms: number) => {
    const clock = createMovableClock(Date.now() + ms)
    const server = await startServer('postgres', {}, clock)
    servers.push(server)
    return { server, clock }
  }
  const ready = async (server: TestServer) => (await server.call('GET', '/health/ready')).status
  afterEach(() => mock.timers.reset())
  after(async () => {
    for (const server of servers) await server.close()
  })

  for (const ms of [7 * SECOND, -7 * SECOND]) {
    it(`is not ready (${ms / SECOND} s), and is again within a minute of the clock being set right`, async () => {
      const { server, clock } = await startOff(ms)
      const reply = await server.call('GET', '/health/ready')
      assert.deepEqual([reply.status, reply.body.code], [503, 'not_ready'])
      assert.equal(reply.headers['retry-after'], '60')
      assert.equal((await server.call('GET', '/health')).status, 200)

      mock.timers.enable({ apis: ['setInterval'] })
      const stop = startJobs(server.context, pino({ level: 'silent' }))
      clock.advance(-ms)
      assert.equal(await ready(server), 503)
      mock.timers.tick(MINUTE)
      for (let tries = 0; tries < 100 && (await ready(server)) !== 200; tries++) await sleep(20)
      assert.equal(await ready(server), 200)
      await stop()
    })
  }

  it('tells the time of the database all the same: a token lives as long as on other nodes', async () => {
    const { server } = await startOff(-10 * MINUTE)
    const before = Date.now()
    const { tokens } = await server.register()
    const [, payload = ''] = tokens.access_token.split('.')
    const { iat } = JSON.parse(Buffer.from(payload, 'base64url').toString())
    assert.ok(Math.abs(iat * SECOND - before) < 5 * SECOND, `${iat * SECOND - before} ms off`)
  })
})

onEachDatabase('jobs', ({ start }) => {
  it('one that fails is tried again, and told of once until it succeeds', async () => {
    const server = await start()
    const lines: string[] = []
    const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) })
    mock.timers.enable({ apis: ['setInterval'] })
    try {
      const stop = startJobs(server.context, log)
      const { schema } = server.context.db
      const tick = async (expected: number) => {
        mock.timers.tick(10 * MINUTE)
        for (let tries = 0; tries < 100 && lines.length < expected; tries++) await sleep(20)
        await sleep(100)
        assert.equal(lines.length, expected, lines.join(''))
      }
      await schema.alterTable('sessions').renameTo('away').execute()
      await tick(1)
      await tick(1)
      await schema.alterTable('away').renameTo('sessions').execute()
      await tick(1)
      await schema.alterTable('sessions').renameTo('away').execute()
      await tick(2)
      for (const line of lines)
        assert.match(line, /"job":"clean up sessions","msg":"job failed; it is tried again"/)
      await stop()
    } finally {
      mock.timers.reset()
    }
  })
})
