import assert from 'node:assert/strict'
import { it } from 'node:test'
import { sql } from 'kysely'
import { onEachDatabase } from '../kit.ts'
import { assertProblem } from '../support/replies.ts'

onEachDatabase('readiness under a newer version', ({ start }) => {
  it('a node whose database a newer version has migrated is 503, and alive', async () => {
    const server = await start()
    await sql`insert into kysely_migration values ('999-newer', '2030-01-01')`.execute(server.context.db)
    assertProblem(await server.call('GET', '/health/ready'), { status: 503, code: 'not_ready' })
    assert.equal((await server.call('GET', '/health')).status, 200)
  })
})
