import { startChild } from '../child.ts'
import type { SignaturesJob } from '../limits/signatures.ts'
import { interleave } from '../rounds.ts'
import type { Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { AT_ONCE, createMeter, outcome, perSecond } from './measure.ts'

export const meFirstSeen: Scenario = {
  name: 'me-first-seen',
  what: 'GET /users/me, 32 at once, SQLite, every token seen for the first time',
  async run(bench) {
    const dataset = await bench.sqlite()
    await using server = await startServer(dataset)
    const file = new URL('../limits/signatures.ts', import.meta.url)
    await using signatures = startChild<SignaturesJob, number>(file)
    const { address, pid } = server
    const site = siteOf(server, dataset)
    const count = bench.isQuick ? 2000 : 10_000
    const meter = createMeter()
    // Opens every connection and compiles what is hot; 32 tokens are known then.
    await bench.send({
      address,
      connections: AT_ONCE,
      seconds: bench.warmUpSeconds,
      requests: site.lookups(AT_ONCE),
    })
    const { lookups, checks } = await interleave(
      bench.rounds,
      {
        lookups: async () => {
          const load = { address, connections: AT_ONCE, requests: site.lookups(count), isAwake: true }
          const once = () => bench.send({ ...load, seconds: 60, isOnce: true })
          return perSecond(await meter.watch([pid], once))
        },
        checks: () => {
          const tokens = dataset.pick(count).map((i) => dataset.tokens(i).access_token)
          return signatures.ask({ publicJwk: dataset.publicJwk, tokens })
        },
      },
      (round) => bench.report(`round ${round}`),
    )
    return [
      outcome({
        name: this.name,
        what: this.what,
        limit: 'one bare ES256 signature check each, on one core',
        unit: 'requests/s',
        measured: lookups,
        beside: checks,
        notes: [meter.describe('server')],
      }),
    ]
  },
}
