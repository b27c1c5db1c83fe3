import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { median } from '../../test/support/statistics.ts'
import { inTurn } from '../rounds.ts'
import type { Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { outcome } from './measure.ts'

const ALLOWANCE_MS = 450
const STARTS_PER_ROUND = 3

export const startup: Scenario = {
  name: 'startup',
  what: 'process start to the first 200 on /health/ready, existing SQLite database',
  async run(bench) {
    const dataset = await bench.sqlite()
    // The first start ever compiles, and keeps, what the others find.
    await (await startServer(dataset))[Symbol.asyncDispose]()
    const { server, node } = await inTurn(bench, {
      server: () =>
        medianOf(async () => {
          await using server = await startServer(dataset)
          return server.startedMs
        }),
      node: () => medianOf(timeNode),
    })
    return [
      outcome({
        name: this.name,
        what: this.what,
        limit: `node -e 0 (${median(node).toFixed(0)} ms) + ${ALLOWANCE_MS} ms`,
        unit: 'ms',
        measured: server,
        beside: node.map((ms) => ms + ALLOWANCE_MS),
        target: { atMost: 1 },
      }),
    ]
  },
}

async function medianOf(measure: () => Promise<number>): Promise<number> {
  const found: number[] = []
  for (let count = 0; count < STARTS_PER_ROUND; count += 1) found.push(await measure())
  return median(found)
}

async function timeNode(): Promise<number> {
  const startedAt = performance.now()
  await once(spawn(process.execPath, ['-e', '0']), 'exit')
  return performance.now() - startedAt
}
