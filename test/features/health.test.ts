import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sql } from 'kysely'
import { MINUTE } from '../../src/core/clock.ts'
import { createMovableClock, onEachDatabase, onSharedServer, startServer } from '../kit.ts'
import { assertProblem, assertUncached } from '../support/replies.ts'

onSharedServer(
  'health',
  (server) => {
    it('/ says where to find what, and it is all there', async () => {
      const reply = await server().call('GET', '/')
      assert.equal(reply.status, 200)
      assert.deepEqual(reply.body, {
        message: 'Welcome to Our Gate',
        docs: '/docs',
        openapi: '/v2/openapi.json',
        health: '/health',
        jwks: '/.well-known/jwks.json',
      })
      const { message, ...links } = reply.body
      for (const link of Object.values(links)) {
        assert.equal((await server().call('GET', String(link))).status, 200, String(link))
      }
    })

    it('/health and /health/ready are healthy', async () => {
      for (const path of ['/health', '/health/ready']) {
        const reply = await server().call('GET', path)
        assert.equal(reply.status, 200)
        assertUncached(reply)
        assert.deepEqual(reply.body, { status: 'healthy' })
      }
    })

    it('the API stands under API_V1_STR and nowhere else', async () => {
      assert.equal((await server().call('GET', '/v2/users/me')).status, 401)
      assert.equal((await server().call('GET', '/api/v1/users/me')).status, 404)
    })
  },
  { projectName: 'Our Gate', apiPrefix: '/v2' },
)

onEachDatabase('readiness', ({ start, kind }) => {
  it('a migration that is not done is 503 with Retry-After; the process is alive all the same', async () => {
    const server = await start()
    await sql`delete from kysely_migration`.execute(server.context.db)
    const reply = await server.call('GET', '/health/ready')
    assertProblem(reply, { status: 503, code: 'not_ready' })
    assert.equal(reply.headers['retry-after'], '5')
    assert.equal((await server.call('GET', '/health')).status, 200)
  })

  it('a clock that disagrees with the database by more than 5 seconds makes PostgreSQL nodes red', async () => {
    const server = await startServer(kind, {}, createMovableClock(Date.now() - MINUTE))
    try {
      const reply = await server.call('GET', '/health/ready')
      if (kind === 'sqlite') assert.equal(reply.status, 200)
      else {
        assertProblem(reply, { status: 503, code: 'not_ready' })
        assert.equal(reply.headers['retry-after'], '60')
      }
    } finally {
      await server.close()
    }
  })
})
