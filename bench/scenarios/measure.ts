import type { LoadResult } from '../load/load.ts'
import { login, refresh } from '../load/loads.ts'
import { canReadUsage, readProcessorTime } from '../process-usage.ts'
import { medianRatio } from '../rounds.ts'
import type { Bench, Outcome } from '../scenario.ts'
import type { Site } from '../site.ts'

/** Sums up what a process uses while something is measured; nothing where it is not ours to watch. */
export function createMeter(pid: number | undefined) {
  let seconds = 0
  let user = 0
  let system = 0
  let requests = 0
  const perRequest = (spent: number) => `${((spent * 1e6) / requests).toFixed(1)} µs`
  return {
    /** Measures, and takes down what the process used meanwhile. */
    async watch(measure: () => Promise<LoadResult>): Promise<LoadResult> {
      if (pid === undefined || !canReadUsage) return measure()
      const before = readProcessorTime(pid)
      const result = await measure()
      const after = readProcessorTime(pid)
      user += after.userSeconds - before.userSeconds
      system += after.systemSeconds - before.systemSeconds
      seconds += result.seconds
      requests += result.answered
      return result
    },
    microsecondsPerRequest: () => ((user + system) * 1e6) / requests,
    describe(who: string): string[] {
      if (pid === undefined) return []
      if (!canReadUsage) return [`${who}: this system does not tell processor time`]
      const share = Math.round(((user + system) * 100) / seconds)
      return [
        `${who}: ${share} % of a core, ${perRequest(user)} user and ${perRequest(system)} system a request`,
      ]
    },
  }
}

/**
 * Logins are few a second, so that it takes minutes of them until all they run through is compiled: refreshes run through
 * most of it as well.
 */
export async function warmUp({ send, warmUpSeconds: seconds }: Bench, site: Site): Promise<void> {
  await send({ ...refresh(site)(), seconds })
  await send({ ...login(site)(), seconds })
}

/** @throws Error when anything was refused: what is not answered costs less, and would be counted as if it were */
export function requireAnswered(result: LoadResult): LoadResult {
  const refused = Object.entries(result.refused).map(([status, count]) => `${count} of ${status}`)
  if (refused.length > 0) throw new Error(`Requests were refused: ${refused.join(', ')}`)
  return result
}

type Fields = Omit<Outcome, 'ratio' | 'notes'> & { notes?: string[] }

export const outcome = (fields: Fields): Outcome => ({
  notes: [],
  ...fields,
  ratio: medianRatio(fields.measured, fields.beside),
})
