import type { Dataset } from '../data.ts'
import type { Load } from '../load/load.ts'
import { interleave } from '../rounds.ts'
import type { Bench, Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { type Site, siteOf } from '../site.ts'
import { outcome, perSecond } from './measure.ts'

const FEW = 1000
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
  me: (site: Site) => ({ requests: site.lookups(1000), connections: AT_ONCE }),
  login: (site: Site) => ({ requests: site.logins(), connections: 1 }),
  refresh: (site: Site) => ({ requests: site.refreshes(AT_ONCE), connections: AT_ONCE, isChain: true }),
} satisfies Record<string, (site: Site) => Partial<Load>>

async function measure(bench: Bench, kind: Dataset['kind'], users: number): Promise<Outcome[]> {
  bench.report(`${kind}: ${FEW.toLocaleString('en')} users`)
  await using few = await bench.build(kind, 'few', { users: FEW, sessions: FEW })
  bench.report(`${kind}: ${users.toLocaleString('en')} users`)
  await using many = await bench.build(kind, 'many', { users, sessions: users })
  await using fewServer = await startServer(few)
  await using manyServer = await startServer(many)
  const sites = { few: siteOf(fewServer, few), many: siteOf(manyServer, many) }
  const outcomes: Outcome[] = []
  for (const [name, createLoad] of Object.entries(LOADS)) {
    const p50 =
      (site: Site, seconds = bench.seconds) =>
      async () => {
        const result = await bench.send({ ...createLoad(site), address: site.address, seconds })
        perSecond(result)
        return result.p50Ms
      }
    await p50(sites.few, bench.warmUpSeconds)()
    await p50(sites.many, bench.warmUpSeconds)()
    const found = await interleave(bench.rounds, { few: p50(sites.few), many: p50(sites.many) }, (round) =>
      bench.report(`${kind}, ${name}, round ${round}`),
    )
    outcomes.push(
      outcome({
        name: `growth-${name}-${kind}`,
        what: `p50 of ${name} with ${users.toLocaleString('en')} users, ${kind}`,
        limit: `the same with ${FEW.toLocaleString('en')} users`,
        unit: 'ms',
        measured: found.many,
        beside: found.few,
        target: { atMost: 1.3 },
        notes: [],
      }),
    )
  }
  return outcomes
}
