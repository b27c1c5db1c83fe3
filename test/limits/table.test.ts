import assert from 'node:assert/strict'
import { it } from 'node:test'
import fastify from 'fastify'
import { createCaller } from '../../src/core/caller.ts'
import { SECOND } from '../../src/core/clock.ts'
import type { Problem } from '../../src/core/problems.ts'
import { createLimits, LIMITS, type LimitName } from '../../src/http/limits.ts'
import { onEachDatabase } from '../kit.ts'
import { requestFrom } from '../support/guesses.ts'

const NAMES = Object.keys(LIMITS) as LimitName[]
const HASH_THREADS = 3
const LIMITED = NAMES.filter((name) => Number.isFinite(LIMITS[name].most))

onEachDatabase('every limit', ({ share }) => {
  for (const name of LIMITED) {
    const { windowMs, isTold, isPerThread } = LIMITS[name]
    const most = LIMITS[name].most * (isPerThread ? HASH_THREADS : 1)

    it(`[V6.3.1] ${name}: ${most} within ${windowMs / SECOND} s, one more is refused, and after the window all begins anew`, async (t) => {
      const server = await share({ rateLimits: true, hashConcurrency: HASH_THREADS })
      const limits = createLimits(server.context)
      const app = fastify()
      t.after(() => app.close())
      app.get<{ Params: { subject: string } }>('/:subject', async (request, reply) => {
        const caller = createCaller(request.ip, 'agent', request.id)
        await limits.take({ caller, reply }, name, [request.params.subject])
        return {}
      })
      let refusal: Problem | undefined
      app.setErrorHandler((error: Problem, _request, reply) => {
        refusal = error
        return reply.code(429).send({})
      })
      const take = (subject = 'one') => app.inject(`/${subject}`)
      const reply = await take()
      const policy = `"${name}";q=${most};w=${windowMs / SECOND}`
      assert.equal(reply.headers['ratelimit-policy'], isTold ? policy : undefined)
      const rest = `"${name}";r=${most - 1};t=${windowMs / SECOND}`
      assert.equal(reply.headers.ratelimit, isTold ? rest : undefined)
      await limits.count(requestFrom(), name, ['one'], most - 2)
      assert.equal((await take()).statusCode, 200)

      assert.equal((await take()).statusCode, 429)
      assert.deepEqual([refusal?.code, refusal?.retryAfterSeconds], ['too_many_requests', windowMs / SECOND])
      assert.equal((await take('another')).statusCode, 200)
      server.clock.advance(windowMs - SECOND)
      assert.equal((await take()).statusCode, 429)
      assert.equal(refusal?.retryAfterSeconds, 1)
      server.clock.advance(SECOND)
      for (let time = 0; time < Math.min(most, 5); time += 1) assert.equal((await take()).statusCode, 200)
    })
  }
})
