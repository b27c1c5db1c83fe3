import { startChild } from '../child.ts'
import type { VerificationsJob } from '../limits/verifications.ts'
import { inTurn } from '../rounds.ts'
import type { Scenario } from '../scenario.ts'
import { outcome } from './measure.ts'

/** Fewer than the verifier remembers. */
const SEEN = 5000
const WANTED_PER_SECOND = 150_000
/** The longest that first sight may take, beside the bare check of the signature. */
const FIRST_SIGHT = 1.3

export const verifier: Scenario = {
  name: 'verifier',
  what: '@postern/verify, one after the other, with 100,000 revocations in memory',
  async run(bench) {
    const file = new URL('../limits/verifications.ts', import.meta.url)
    await using child = startChild<VerificationsJob, number>(file)
    const { seconds } = bench
    const first = bench.isQuick ? 1000 : 10_000
    // Compiles what is hot.
    await child.ask({ what: 'seen', tokens: SEEN, seconds: bench.warmUpSeconds })
    const found = await inTurn(bench, {
      seen: () => child.ask({ what: 'seen', tokens: SEEN, seconds }),
      first: () => child.ask({ what: 'first', tokens: first, seconds }),
      bare: () => child.ask({ what: 'bare', tokens: first, seconds }),
    })
    return [
      outcome({
        name: 'verifier-seen',
        what: `${this.what}: tokens that it has seen before`,
        limit: `${WANTED_PER_SECOND.toLocaleString('en')} a second on one core`,
        unit: 'tokens/s',
        measured: found.seen,
        beside: found.seen.map(() => WANTED_PER_SECOND),
        target: { atLeast: 1 },
      }),
      outcome({
        name: 'verifier-first',
        what: `${this.what}: tokens that it sees for the first time`,
        limit: 'crypto.subtle.verify of each signature, and nothing else',
        unit: 'tokens/s',
        measured: found.first,
        beside: found.bare,
        target: { atLeast: Number((1 / FIRST_SIGHT).toFixed(2)) },
      }),
    ]
  },
}
