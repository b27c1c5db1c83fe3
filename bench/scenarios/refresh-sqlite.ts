import { median } from '../../test/support/statistics.ts'
import { startChild } from '../child.ts'
import type { SqliteCommitsJob } from '../limits/sqlite-commits.ts'
import { awake, refresh } from '../load/loads.ts'
import { inTurn } from '../rounds.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { type Site, siteOf } from '../site.ts'
import { createMeter, outcome, requireAnswered } from './measure.ts'

const OF_DURABLE_COMMITS = 3
const OF_THE_SAME_WITHOUT_SYNC = 0.6
const SYNCHRONOUS_OFF = new URL('../limits/synchronous-off.mjs', import.meta.url).href

const load = (site: Site) => awake(refresh(site))

export const refreshSqlite: Scenario = {
  name: 'refresh-sqlite',
  what: 'POST /auth/refresh, 32 at once, SQLite with synchronous=FULL',
  profiled: { on: 'sqlite', load },
  async run(bench) {
    const dataset = await bench.sqlite()
    const fast = dataset.copy('fast')
    await using server = await startServer(dataset)
    await using careless = await startServer(dataset, {
      env: { DATABASE_URL: `sqlite:///${fast}` },
      nodeOptions: ['--import', SYNCHRONOUS_OFF],
    })
    const file = new URL('../limits/sqlite-commits.ts', import.meta.url)
    await using commits = startChild<SqliteCommitsJob, number>(file)
    const { seconds } = bench
    const job = {
      file: dataset.copy('commits'),
      ids: dataset.pick(1000).map(dataset.sessionId),
      seconds,
    }
    const meter = createMeter(server.pid)
    const next = load(siteOf(server, dataset))
    const nextCareless = load(siteOf(careless, dataset))
    for (const each of [next, nextCareless]) await bench.send({ ...each(), seconds: bench.warmUpSeconds })
    const found = await inTurn(bench, {
      durable: async () =>
        requireAnswered(await meter.watch(() => bench.send({ ...next(), seconds }))).perSecond,
      single: () => commits.ask(job),
      careless: async () => requireAnswered(await bench.send({ ...nextCareless(), seconds })).perSecond,
    })
    const measured = {
      name: this.name,
      what: this.what,
      unit: 'requests/s',
      measured: found.durable,
    }
    return targetLesser(
      outcome({
        ...measured,
        limit: 'one durable UPDATE ... RETURNING a commit through node:sqlite',
        beside: found.single,
        target: { atLeast: OF_DURABLE_COMMITS },
        notes: meter.describe('server'),
      }),
      outcome({
        ...measured,
        limit: 'the same route with synchronous=OFF',
        beside: found.careless,
        target: { atLeast: OF_THE_SAME_WITHOUT_SYNC },
      }),
    )
  },
}

/** Leaves a target to the one that asks for less: a commit may cost next to nothing on this disk. */
function targetLesser(ofCommits: Outcome, ofCareless: Outcome): Outcome[] {
  const isCommitsLess =
    OF_DURABLE_COMMITS * median(ofCommits.beside) <= OF_THE_SAME_WITHOUT_SYNC * median(ofCareless.beside)
  const { target: _, ...reported } = isCommitsLess ? ofCareless : ofCommits
  return isCommitsLess ? [ofCommits, reported] : [reported, ofCareless]
}
