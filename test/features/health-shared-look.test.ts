import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KyselyPlugin, sql } from 'kysely'
import { onEachDatabase, type TestServer } from '../kit.ts'
import { createNode, type Node } from '../support/sessions.ts'

const AT_ONCE = 50
/** Long enough for all to have come. */
const LOOK_MS = 300

onEachDatabase('readiness asked for by many at once', ({ start }) => {
  it('is one look at the database for all of them, and the next who asks has it looked at anew', async () => {
    const server = await start()
    const { node, looks } = await createCountedNode(server)
    try {
      assert.deepEqual(await statuses(node), [200])
      assert.equal(looks(), 1)
      await sql`delete from kysely_migration`.execute(server.context.db)
      assert.deepEqual(await statuses(node), [503])
      assert.equal(looks(), 2)
    } finally {
      await node.close()
    }
  })
})

/** A node with a slow database, which tells how often its migrations were asked for. */
async function createCountedNode({ context }: TestServer) {
  let count = 0
  const slow: KyselyPlugin = {
    transformQuery: ({ node }) => node,
    transformResult: async ({ result }) => {
      count += 1
      await sleep(LOOK_MS)
      return result
    },
  }
  const database = { ...context.database, db: context.database.db.withPlugin(slow) }
  return { node: await createNode({ ...context, database }), looks: () => count }
}

/** The different answers that so many get. */
async function statuses(node: Node): Promise<number[]> {
  const replies = await Promise.all(Array.from({ length: AT_ONCE }, () => node.call('GET', '/health/ready')))
  assert.equal(replies.length, AT_ONCE)
  return [...new Set(replies.map(({ status }) => status))]
}
