import { startChild } from '../child.ts'
import type { SqliteCommitsJob } from '../limits/sqlite-commits.ts'
import { interleave, medianRatio } from '../rounds.ts'
import type { Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { AT_ONCE, createMeter, outcome, perSecond } from './measure.ts'

const OF_DURABLE_COMMITS = 3
const OF_THE_SAME_WITHOUT_SYNC = 0.6

export const refreshSqlite: Scenario = {
  name: 'refresh-sqlite',
  what: 'POST /auth/refresh, 32 at once, SQLite with synchronous=FULL',
  async run(bench) {
    const dataset = await bench.sqlite()
    const fast = dataset.copy('fast')
    await using server = await startServer(dataset)
    await using careless = await startServer(dataset, {
      env: { DATABASE_URL: `sqlite:///${fast}` },
      nodeOptions: ['--import', new URL('../limits/synchronous-off.mjs', import.meta.url).href],
    })
    const file = new URL('../limits/sqlite-commits.ts', import.meta.url)
    await using commits = startChild<SqliteCommitsJob, number>(file)
    const job = {
      file: dataset.copy('commits'),
      ids: dataset.pick(1000).map(dataset.sessionId),
    }
    const { seconds } = bench
    const meter = createMeter()
    const site = siteOf(server, dataset)
    const carelessSite = siteOf(careless, dataset)
    const send = ({ address, refreshes }: typeof site, seconds = bench.seconds) =>
      bench.send({
        address,
        connections: AT_ONCE,
        seconds,
        requests: refreshes(AT_ONCE),
        isChain: true,
        isAwake: true,
      })
    await send(site, bench.warmUpSeconds)
    await send(carelessSite, bench.warmUpSeconds)
    const found = await interleave(
      bench.rounds,
      {
        durable: async () => perSecond(await meter.watch([server.pid], () => send(site))),
        single: () => commits.ask({ ...job, seconds }),
        careless: async () => perSecond(await send(carelessSite)),
      },
      (round) => bench.report(`round ${round}`),
    )
    const ofCommits = outcome({
      name: this.name,
      what: this.what,
      limit: 'one durable UPDATE ... RETURNING a commit through node:sqlite',
      unit: 'requests/s',
      measured: found.durable,
      beside: found.single,
      target: { atLeast: OF_DURABLE_COMMITS },
      notes: [meter.describe('server')],
    })
    const ofCareless = outcome({
      ...ofCommits,
      ratio: medianRatio(found.durable, found.careless),
      limit: 'the same route with synchronous=OFF',
      beside: found.careless,
      target: { atLeast: OF_THE_SAME_WITHOUT_SYNC },
    })
    // Whichever asks for less: a commit may cost next to nothing on this disk.
    const isCommitsLess =
      OF_DURABLE_COMMITS * (ofCommits.beside.at(-1) ?? 0) <=
      OF_THE_SAME_WITHOUT_SYNC * (ofCareless.beside.at(-1) ?? 0)
    const { target: _, ...reported } = isCommitsLess ? ofCareless : ofCommits
    return isCommitsLess ? [ofCommits, reported] : [reported, ofCareless]
  },
}
