import { startChild } from '../child.ts'
import type { PostgresStatementJob } from '../limits/postgres-statement.ts'
import { AT_ONCE, me } from '../load/loads.ts'
import { inTurn } from '../rounds.ts'
import type { Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { createMeter, outcome, requireAnswered } from './measure.ts'

/** DATABASE_POOL_SIZE, as it is when nobody sets it. */
export const CONNECTIONS = 10
const SESSIONS = 10_000

export const mePostgres: Scenario = {
  name: 'me-postgres',
  what: 'GET /users/me, 32 at once, PostgreSQL, 10,000 tokens cycling, seen before',
  async run(bench) {
    const dataset = await bench.postgres()
    await using server = await startServer(dataset)
    const file = new URL('../limits/postgres-statement.ts', import.meta.url)
    await using statements = startChild<PostgresStatementJob, number>(file)
    const meter = createMeter(server.pid)
    const { seconds } = bench
    const load = { ...me(siteOf(server, dataset))(), seconds }
    const job = {
      url: dataset.location,
      statement: 'find',
      ids: dataset.pick(SESSIONS).map(dataset.sessionId),
      connections: CONNECTIONS,
      atOnce: AT_ONCE,
    } as const
    await bench.send({ ...load, seconds: bench.warmUpSeconds })
    await statements.ask({ ...job, seconds: 1 })
    const { lookups, queries } = await inTurn(bench, {
      lookups: async () => requireAnswered(await meter.watch(() => bench.send(load))).perSecond,
      queries: () => statements.ask({ ...job, seconds }),
    })
    return [
      outcome({
        name: this.name,
        what: this.what,
        limit: `the same query alone through pg, named, 32 at once on ${CONNECTIONS} connections`,
        unit: 'requests/s',
        measured: lookups,
        beside: queries,
        target: { atLeast: 0.7 },
        notes: meter.describe('server'),
      }),
    ]
  },
}
