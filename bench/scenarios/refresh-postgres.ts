import { startChild } from '../child.ts'
import type { PostgresStatementJob } from '../limits/postgres-statement.ts'
import { AT_ONCE, refresh } from '../load/loads.ts'
import { inTurn } from '../rounds.ts'
import type { Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { CONNECTIONS } from './me-postgres.ts'
import { createMeter, outcome, requireAnswered } from './measure.ts'

export const refreshPostgres: Scenario = {
  name: 'refresh-postgres',
  what: 'POST /auth/refresh, 32 at once, PostgreSQL',
  profiled: { on: 'postgres', load: refresh },
  async run(bench) {
    const dataset = await bench.postgres()
    await using server = await startServer(dataset)
    const file = new URL('../limits/postgres-statement.ts', import.meta.url)
    await using statements = startChild<PostgresStatementJob, number>(file)
    const meter = createMeter(server.pid)
    const { seconds } = bench
    const next = refresh(siteOf(server, dataset))
    const job = {
      url: dataset.location,
      statement: 'rotate',
      ids: dataset.pick(AT_ONCE).map(dataset.sessionId),
      connections: CONNECTIONS,
      atOnce: AT_ONCE,
      seconds,
    } as const
    await bench.send({ ...next(), seconds: bench.warmUpSeconds })
    await statements.ask(job)
    const { refreshes, updates } = await inTurn(bench, {
      refreshes: async () =>
        requireAnswered(await meter.watch(() => bench.send({ ...next(), seconds }))).perSecond,
      updates: () => statements.ask(job),
    })
    return [
      outcome({
        name: this.name,
        what: this.what,
        limit: `the same UPDATE ... RETURNING alone through pg, named, 32 at once on ${CONNECTIONS} connections`,
        unit: 'requests/s',
        measured: refreshes,
        beside: updates,
        target: { atLeast: 0.45 },
        notes: meter.describe('server'),
      }),
    ]
  },
}
