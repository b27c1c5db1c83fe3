import { startChild } from '../child.ts'
import type { Argon2Job } from '../limits/argon2.ts'
import { interleave } from '../rounds.ts'
import type { Bench, Outcome, Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { type Site, siteOf } from '../site.ts'
import { createMeter, outcome, perSecond, warmUp } from './measure.ts'

const AT_ONCE = 8

export const login: Scenario = {
  name: 'login',
  what: 'POST /auth/login, 8 at once, SQLite',
  async run(bench) {
    const dataset = await bench.sqlite()
    await using server = await startServer(dataset)
    return [await measureLogin(bench, siteOf(server, dataset), this.what)]
  },
}

export async function measureLogin(bench: Bench, site: Site, what: string): Promise<Outcome> {
  await using argon2 = startChild<Argon2Job, number>(new URL('../limits/argon2.ts', import.meta.url))
  const meter = createMeter()
  const seconds = bench.seconds * 2
  const requests = site.logins()
  const load = { address: site.address, connections: AT_ONCE, requests }
  await warmUp(bench, site)
  const { server, hashes } = await interleave(
    bench.rounds,
    {
      server: async () =>
        perSecond(await meter.watch(site.pid ? [site.pid] : [], () => bench.send({ ...load, seconds }))),
      hashes: () => argon2.ask({ seconds }),
    },
    (round) => bench.report(`round ${round}`),
  )
  return outcome({
    name: 'login',
    what,
    limit: 'argon2id verifications of the same parameters on all cores, nothing else running',
    unit: 'requests/s',
    measured: server,
    beside: hashes,
    target: { atLeast: 0.95 },
    notes: site.pid ? [meter.describe('server')] : [],
  })
}
