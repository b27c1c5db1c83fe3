import type { DatabaseKind } from '../../test/support/databases.ts'
import { login, me, type NextLoad, refresh } from '../load/loads.ts'
import { inTurn } from '../rounds.ts'
import type { Bench, Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { type Site, siteOf } from '../site.ts'
import { outcome, requireAnswered } from './measure.ts'

const FEW = 1000
/** So few that hardly any request waits for another, which would hide what it takes itself. */
const AT_ONCE = 4

export const growth: Scenario = {
  name: 'growth',
  what: 'p50 with 1,000,000 users against 1,000',
  async run(bench) {
    const many = bench.isQuick ? 50_000 : 1_000_000
    return [...(await measure(bench, 'sqlite', many)), ...(await measure(bench, 'postgres', many))]
  },
}

const LOADS = {
  me: (site: Site) => me(site, AT_ONCE),
  login: (site: Site) => login(site, 1),
  refresh: (site: Site) => refresh(site, AT_ONCE),
}

async function measure(bench: Bench, kind: DatabaseKind, users: number): Promise<Outcome[]> {
  bench.report(`${kind}: ${FEW.toLocaleString('en')} users`)
  await using few = await bench.build(kind, 'few', { users: FEW, sessions: FEW })
  bench.report(`${kind}: ${users.toLocaleString('en')} users`)
  await using many = await bench.build(kind, 'many', { users, sessions: users })
  await using fewServer = await startServer(few)
  await using manyServer = await startServer(many)
  const sites = { few: siteOf(fewServer, few), many: siteOf(manyServer, many) }
  const outcomes: Outcome[] = []
  for (const [name, load] of Object.entries(LOADS)) {
    const report = (round: string) => bench.report(`${kind}, ${name}, ${round}`)
    const found = await compare({ ...bench, report }, load(sites.few), load(sites.many))
    outcomes.push(
      outcome({
        name: `growth-${name}-${kind}`,
        what: `p50 of ${name} with ${users.toLocaleString('en')} users, ${kind}`,
        limit: `the same with ${FEW.toLocaleString('en')} users`,
        unit: 'ms',
        measured: found.many,
        beside: found.few,
        target: { atMost: 1.3 },
      }),
    )
  }
  return outcomes
}

async function compare(bench: Bench, few: NextLoad, many: NextLoad) {
  const p50 = async (next: NextLoad, seconds = bench.seconds) =>
    requireAnswered(await bench.send({ ...next(), seconds })).p50Ms
  await p50(few, bench.warmUpSeconds)
  await p50(many, bench.warmUpSeconds)
  return inTurn(bench, { few: () => p50(few), many: () => p50(many) })
}
