import type { FastifyBaseLogger } from 'fastify'
import type { Context } from './context.ts'
import { MINUTE } from './core/clock.ts'
import { cleanUpCounters } from './counters/clean-up-counters.ts'
import { cleanUpFailures } from './features/passwords/clean-up-failures.ts'
import { cleanUpSessions } from './features/sessions/clean-up-sessions.ts'

type Job = { name: string; everyMs: number; run: (context: Context, signal: AbortSignal) => Promise<unknown> }

const JOBS: Job[] = [
  { name: 'synchronize clock', everyMs: MINUTE, run: ({ databaseClock }) => databaseClock.synchronize() },
  { name: 'clean up sessions', everyMs: 10 * MINUTE, run: cleanUpSessions },
  { name: 'clean up counters', everyMs: 10 * MINUTE, run: cleanUpCounters },
  { name: 'clean up failures', everyMs: 10 * MINUTE, run: cleanUpFailures },
]

/**
 * Runs what has to be done now and then. Nodes need not agree on who does it: each job may run on all of them.
 * @returns stops the jobs, and waits for those under way
 */
export function startJobs(context: Context, log: FastifyBaseLogger): () => Promise<void> {
  const stops = JOBS.map((job) => startJob(context, log, job))
  return async () => {
    await Promise.all(stops.map((stop) => stop()))
  }
}

function startJob(context: Context, log: FastifyBaseLogger, { name, everyMs, run }: Job) {
  const ending = new AbortController()
  let underWay: Promise<unknown> | undefined
  const timer = setInterval(() => {
    underWay ??= run(context, ending.signal)
      .catch((err) => log.warn({ err, job: name }, 'job failed; it is tried again'))
      .finally(() => {
        underWay = undefined
      })
  }, everyMs)
  timer.unref()
  return async () => {
    clearInterval(timer)
    ending.abort()
    await underWay
  }
}
