import { startChild } from '../child.ts'
import type { PostgresStatementJob } from '../limits/postgres-statement.ts'
import { interleave } from '../rounds.ts'
import type { Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { AT_ONCE, createMeter, outcome, perSecond } from './measure.ts'

/** DATABASE_POOL_SIZE, as it is when nobody sets it. */
export const CONNECTIONS = 10
const TOKENS = 10_000

export const mePostgres: Scenario = {
  name: 'me-postgres',
  what: 'GET /users/me, 32 at once, PostgreSQL, 10,000 tokens cycling, seen before',
  async run(bench) {
    const dataset = await bench.postgres()
    await using server = await startServer(dataset)
    const file = new URL('../limits/postgres-statement.ts', import.meta.url)
    await using statements = startChild<PostgresStatementJob, number>(file)
    const { address, pid } = server
    const meter = createMeter()
    const { seconds } = bench
    const load = { address, connections: AT_ONCE, requests: siteOf(server, dataset).lookups(TOKENS) }
    const ids = dataset.pick(TOKENS).map(dataset.sessionId)
    const job = {
      url: dataset.location,
      statement: 'find',
      ids,
      connections: CONNECTIONS,
      atOnce: AT_ONCE,
    } as const
    await bench.send({ ...load, seconds: bench.warmUpSeconds })
    await statements.ask({ ...job, seconds: 1 })
    const { lookups, queries } = await interleave(
      bench.rounds,
      {
        lookups: async () => perSecond(await meter.watch([pid], () => bench.send({ ...load, seconds }))),
        queries: () => statements.ask({ ...job, seconds }),
      },
      (round) => bench.report(`round ${round}`),
    )
    return [
      outcome({
        name: this.name,
        what: this.what,
        limit: `the same query alone through pg, named, 32 at once on ${CONNECTIONS} connections`,
        unit: 'requests/s',
        measured: lookups,
        beside: queries,
        target: { atLeast: 0.7 },
        notes: [meter.describe('server')],
      }),
    ]
  },
}
