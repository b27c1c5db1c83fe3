import assert from 'node:assert/strict'
import { it } from 'node:test'
import { type KyselyPlugin, QueryNode, sql, UpdateQueryNode } from 'kysely'
import { HOUR } from '../../src/core/clock.ts'
import { onEachDatabase, type TestServer } from '../kit.ts'
import { createNode, HOME, mustRefresh, ROAD, sessionOf, signIn } from '../support/sessions.ts'

/** Every UPDATE finds its row changed under it. */
const LOSING: KyselyPlugin = {
  transformQuery: ({ node }) =>
    UpdateQueryNode.is(node) ? QueryNode.cloneWithWhere(node, sql<boolean>`1 = 0`.toOperationNode()) : node,
  transformResult: async ({ result }) => result,
}

const createLosingNode = ({ context }: TestServer) =>
  createNode({ ...context, db: context.db.withPlugin(LOSING) })

onEachDatabase('a refresh that loses every race', ({ start }) => {
  it('is told to come again, and neither refused nor taken for a thief', async () => {
    const server = await start()
    const node = await createLosingNode(server)
    const first = await signIn(server)
    const rotation = await node.refresh(first)
    const successor = await mustRefresh(server, first)
    server.clock.advance(HOUR)
    const recovery = await node.refresh(first, ROAD)
    for (const reply of [rotation, recovery]) {
      assert.deepEqual([reply.status, reply.body.code], [503, 'server_busy'])
      assert.equal(reply.headers['retry-after'], '1')
    }
    assert.equal((await sessionOf(server, first)).revoked_at, null)
    assert.equal(await mustRefresh(server, first, HOME), successor)
    await node.close()
  })
})
