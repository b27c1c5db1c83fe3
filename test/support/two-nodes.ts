import { after, afterEach, describe } from 'node:test'
import { InsertQueryNode, type KyselyPlugin } from 'kysely'
import type { Context } from '../../src/context.ts'
import type { Passwords } from '../../src/core/security/passwords.ts'
import type { Settings } from '../../src/core/settings.ts'
import { startServer, type TestServer } from '../kit.ts'
import type { DatabaseKind } from './databases.ts'
import { createNode, createSecondNode, type Node } from './sessions.ts'

export type Nodes = { server: TestServer; nodes: Node[]; close(): Promise<void> }
type StartNodes = (settings?: Partial<Settings>) => Promise<Nodes>
type Starts = {
  /** One server for all tests of the suite: they keep to users of their own. */
  share: () => Promise<Nodes>
  /** Of the test's own, on a fresh database. */
  start: StartNodes
}

const DEPLOYMENTS = [
  { name: 'sqlite', kind: 'sqlite', isTwo: false },
  { name: 'two nodes on postgres', kind: 'postgres', isTwo: true },
] as const satisfies { name: string; kind: DatabaseKind; isTwo: boolean }[]

/** A suite that runs on each database, on PostgreSQL across two nodes. */
export function onEachDeployment(name: string, define: (starts: Starts) => void): void {
  for (const { name: deployment, kind, isTwo } of DEPLOYMENTS) {
    describe(`${name} (${deployment})`, () => {
      const own: Nodes[] = []
      let shared: Promise<Nodes> | undefined
      const start: StartNodes = async (settings) => startNodes(await startServer(kind, settings), isTwo)
      afterEach(async () => {
        for (const nodes of own.splice(0)) await nodes.close()
      })
      after(async () => (await shared)?.close())
      define({
        share() {
          shared ??= start()
          return shared
        },
        async start(settings) {
          const nodes = await start(settings)
          own.push(nodes)
          return nodes
        },
      })
    })
  }
}

async function startNodes(server: TestServer, isTwo: boolean): Promise<Nodes> {
  const nodes = [await createNode(server.context)]
  if (isTwo) nodes.push(await createSecondNode(server))
  return {
    server,
    nodes,
    async close() {
      for (const node of nodes) await node.close()
      await server.close()
    },
  }
}

/** The same call `count` times at once, spread over the nodes. */
export const atOnce = <T>(
  nodes: Node[],
  count: number,
  call: (node: Node, index: number) => Promise<T>,
): Promise<T[]> =>
  Promise.all(
    Array.from({ length: count }, (_, index) => {
      const node = nodes[index % nodes.length]
      if (!node) throw new Error('There is no node')
      return call(node, index)
    }),
  )

/** A context whose password verifications are done, but not told before the gate opens. */
export function holdVerifications(context: Context) {
  const reached = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const verify: Passwords['verify'] = async (...input) => {
    const matches = await context.passwords.verify(...input)
    reached.resolve()
    await gate.promise
    return matches
  }
  return {
    context: { ...context, passwords: { ...context.passwords, verify } },
    /** Until the first verification is done. */
    reached: reached.promise,
    open: gate.resolve,
  }
}

/** A context whose new sessions are stored, but not committed before the gate opens. */
export function holdNewSessions(context: Context) {
  const reached = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const inserts = new WeakSet<object>()
  const plugin: KyselyPlugin = {
    transformQuery({ node, queryId }) {
      const isInsert = InsertQueryNode.is(node) && node.into?.table.identifier.name === 'sessions'
      if (isInsert) inserts.add(queryId)
      return node
    },
    async transformResult({ result, queryId }) {
      if (!inserts.has(queryId)) return result
      reached.resolve()
      await gate.promise
      return result
    },
  }
  return {
    context: { ...context, db: context.db.withPlugin(plugin) },
    /** Until a session is stored. */
    reached: reached.promise,
    open: gate.resolve,
  }
}
