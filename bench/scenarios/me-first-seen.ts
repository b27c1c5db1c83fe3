import { startChild } from '../child.ts'
import type { SignaturesJob } from '../limits/signatures.ts'
import { AT_ONCE } from '../load/loads.ts'
import { inTurn } from '../rounds.ts'
import type { Scenario } from '../scenario.ts'
import { startServer } from '../server.ts'
import { siteOf } from '../site.ts'
import { createMeter, outcome, requireAnswered } from './measure.ts'

export const meFirstSeen: Scenario = {
  name: 'me-first-seen',
  what: 'GET /users/me, 32 at once, SQLite, every token seen for the first time',
  async run(bench) {
    const dataset = await bench.sqlite()
    await using server = await startServer(dataset)
    const file = new URL('../limits/signatures.ts', import.meta.url)
    await using signatures = startChild<SignaturesJob, number>(file)
    const { address, lookups } = siteOf(server, dataset)
    const count = bench.isQuick ? 2000 : 10_000
    const meter = createMeter(server.pid)
    const load = { address, connections: AT_ONCE }
    // Opens every connection and compiles what is hot; 32 tokens are known then.
    await bench.send({ ...load, requests: lookups(AT_ONCE), seconds: bench.warmUpSeconds })
    const found = await inTurn(bench, {
      async lookups() {
        const once = { ...load, requests: lookups(count), isOnce: true, isAwake: true, seconds: 60 }
        return requireAnswered(await meter.watch(() => bench.send(once))).perSecond
      },
      checks() {
        const tokens = dataset.pick(count).map((i) => dataset.tokens(i).access_token)
        return signatures.ask({ publicJwk: dataset.publicJwk, tokens })
      },
    })
    return [
      outcome({
        name: this.name,
        what: this.what,
        limit: 'one bare ES256 signature check each, on one core',
        unit: 'requests/s',
        measured: found.lookups,
        beside: found.checks,
        notes: meter.describe('server'),
      }),
    ]
  },
}
