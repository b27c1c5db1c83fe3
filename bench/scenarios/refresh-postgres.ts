import { startChild } from '../child.ts'
import type { PostgresStatementJob } from '../limits/postgres-statement.ts'
import { interleave } from '../rounds.ts'
import type { Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { CONNECTIONS } from './me-postgres.ts'
import { AT_ONCE, createMeter, outcome, perSecond } from './measure.ts'

export const refreshPostgres: Scenario = {
  name: 'refresh-postgres',
  what: 'POST /auth/refresh, 32 at once, PostgreSQL',
  async run(bench) {
    const dataset = await bench.postgres()
    await using server = await startServer(dataset)
    const file = new URL('../limits/postgres-statement.ts', import.meta.url)
    await using statements = startChild<PostgresStatementJob, number>(file)
    const { address, pid } = server
    const site = siteOf(server, dataset)
    const meter = createMeter()
    const { seconds } = bench
    const send = (seconds = bench.seconds) =>
      bench.send({ address, connections: AT_ONCE, seconds, requests: site.refreshes(AT_ONCE), isChain: true })
    const ids = dataset.pick(AT_ONCE).map(dataset.sessionId)
    const job = {
      url: dataset.location,
      statement: 'rotate',
      ids,
      connections: CONNECTIONS,
      atOnce: AT_ONCE,
    } as const
    await send(bench.warmUpSeconds)
    await statements.ask({ ...job, seconds })
    const { refreshes, updates } = await interleave(
      bench.rounds,
      {
        refreshes: async () => perSecond(await meter.watch([pid], () => send())),
        updates: () => statements.ask({ ...job, seconds }),
      },
      (round) => bench.report(`round ${round}`),
    )
    return [
      outcome({
        name: this.name,
        what: this.what,
        limit: `the same UPDATE ... RETURNING alone through pg, named, 32 at once on ${CONNECTIONS} connections`,
        unit: 'requests/s',
        measured: refreshes,
        beside: updates,
        target: { atLeast: 0.45 },
        notes: [meter.describe('server')],
      }),
    ]
  },
}
