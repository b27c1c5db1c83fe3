import assert from 'node:assert/strict'
import { it } from 'node:test'
import { inspectRedis } from '../../src/counters/inspect-redis.ts'
import { findFreePort } from '../support/postgres.ts'
import { startFakeRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'

const info = (text: string) => `$${text.length}\r\n${text}\r\n`

it('tells what is done when its memory is full, and how much there is', async (t) => {
  const redis = await startFakeRedis(t, {
    INFO: info('# Memory\r\nmaxmemory:1000\r\nmaxmemory_policy:allkeys-lru\r\n'),
  })
  assert.deepEqual(await inspectRedis(redis.url), { evictionPolicy: 'allkeys-lru', maxMemoryBytes: 1000 })
  assert.equal(redis.asked('INFO'), 1)
  const began = performance.now()
  await until('it hangs up', () => redis.connections() === 0)
  assert.ok(performance.now() - began < 2000)
})

it('what is not told, or may not be asked for, is not known', async (t) => {
  for (const answer of [
    info('used_memory:1\r\n'),
    "-NOPERM this user has no permissions to run 'info'\r\n",
  ]) {
    const { url } = await startFakeRedis(t, { INFO: answer })
    assert.deepEqual(await inspectRedis(url), { evictionPolicy: undefined, maxMemoryBytes: undefined })
  }
})

it('why it cannot be used is told by a code, and nothing that was sent', async (t) => {
  const { url } = await startFakeRedis(t, { INFO: '-WRONGPASS invalid username-password pair: s3cret\r\n' })
  assert.equal(await inspectRedis(url), 'WRONGPASS')
  const odd = await startFakeRedis(t, { INFO: '-there is an ERR in it: s3cret\r\n' })
  assert.equal(await inspectRedis(odd.url), 'Error')
  assert.equal(await inspectRedis(`redis://127.0.0.1:${await findFreePort()}`), 'ECONNREFUSED')
})
