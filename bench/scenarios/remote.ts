import { startChild } from '../child.ts'
import type { SqliteCommitsJob } from '../limits/sqlite-commits.ts'
import { refresh } from '../load/loads.ts'
import { inTurn } from '../rounds.ts'
import type { Bench, Outcome, Scenario } from '../scenario.ts'
import { joinSite, type Site } from '../site.ts'
import { measureLogin } from './login.ts'
import { measureMe } from './me-sqlite.ts'
import { outcome, requireAnswered } from './measure.ts'

/** The three calls that every such server has, beside the same limits as ours. */
export const createRemote = (url: string): Scenario => ({
  name: 'url',
  what: url,
  async run(bench) {
    const site = await joinSite(url, bench.report)
    return [
      await measureMe(bench, site, `GET /users/me, 32 at once, ${url}`),
      await measureRefresh(bench, site, `POST /auth/refresh, 32 at once, ${url}`),
      ...(await measureLogin(bench, site, `POST /auth/login, 8 at once, ${url}`)),
    ]
  },
})

async function measureRefresh(bench: Bench, site: Site, what: string): Promise<Outcome> {
  const size = { users: 1000, sessions: 1000 }
  await using dataset = await bench.build('sqlite', 'commits', size)
  const file = new URL('../limits/sqlite-commits.ts', import.meta.url)
  await using commits = startChild<SqliteCommitsJob, number>(file)
  const ids = Array.from({ length: size.sessions }, (_, i) => dataset.sessionId(i))
  const { seconds } = bench
  const next = refresh(site)
  const found = await inTurn(bench, {
    refreshes: async () => requireAnswered(await bench.send({ ...next(), seconds })).perSecond,
    single: () => commits.ask({ file: dataset.location, ids, seconds }),
  })
  return outcome({
    name: 'refresh',
    what,
    limit: 'one durable UPDATE ... RETURNING a commit through node:sqlite',
    unit: 'requests/s',
    measured: found.refreshes,
    beside: found.single,
  })
}
