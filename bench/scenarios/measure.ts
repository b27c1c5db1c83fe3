import type { LoadResult } from '../load/load.ts'
import { canReadUsage, readProcessorTime } from '../process-usage.ts'
import { medianRatio } from '../rounds.ts'
import type { Bench, Outcome } from '../scenario.ts'
import type { Site } from '../site.ts'

/** At once, for everything but logins. */
export const AT_ONCE = 32

/** Sums up what processes used while something was measured. */
export function createMeter() {
  let seconds = 0
  let user = 0
  let system = 0
  let requests = 0
  return {
    /** Measures, and takes down what these processes used meanwhile. */
    async watch(pids: number[], measure: () => Promise<LoadResult>): Promise<LoadResult> {
      if (!canReadUsage) return measure()
      const before = pids.map(readProcessorTime)
      const result = await measure()
      const after = pids.map(readProcessorTime)
      after.forEach(({ userSeconds, systemSeconds }, index) => {
        user += userSeconds - (before[index]?.userSeconds ?? 0)
        system += systemSeconds - (before[index]?.systemSeconds ?? 0)
      })
      seconds += result.seconds
      requests += result.answered
      return result
    },
    microsecondsPerRequest: () => ((user + system) * 1e6) / requests,
    describe: (who: string) =>
      canReadUsage
        ? `${who}: ${Math.round(((user + system) * 100) / seconds)} % of a core, ${perRequest(user)} user and ${perRequest(system)} system a request`
        : `${who}: this system does not tell processor time`,
  }
  function perRequest(spent: number): string {
    return `${((spent * 1e6) / requests).toFixed(1)} µs`
  }
}

/**
 * Logins are few a second, so that it takes minutes of them until all they run through is compiled: refreshes run through
 * most of it as well.
 */
export async function warmUp({ send, warmUpSeconds: seconds }: Bench, site: Site): Promise<void> {
  const { address } = site
  await send({ address, connections: AT_ONCE, seconds, requests: site.refreshes(AT_ONCE), isChain: true })
  await send({ address, connections: AT_ONCE, seconds, requests: site.logins() })
}

/** Only what was answered counts, and nothing may have been refused. */
export function perSecond(result: LoadResult): number {
  const refused = Object.entries(result.refused).map(([status, count]) => `${count} of ${status}`)
  if (refused.length > 0) throw new Error(`Requests were refused: ${refused.join(', ')}`)
  return result.perSecond
}

export const outcome = (fields: Omit<Outcome, 'ratio'> & { ratio?: number }): Outcome => ({
  ratio: medianRatio(fields.measured, fields.beside),
  ...fields,
})
