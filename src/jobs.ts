import type { FastifyBaseLogger } from 'fastify'
import type { Context } from './context.ts'
import { MINUTE, SECOND } from './core/clock.ts'
import { cleanUpCounters } from './counters/clean-up-counters.ts'
import { pruneEvents } from './features/audit/prune-events.ts'
import { createSealer } from './features/audit/seal-events.ts'
import { cleanUpOutbox, measureOutbox } from './features/email/outbox.ts'
import { renderMail } from './features/email/render-mail.ts'
import { createMailSender } from './features/email/send-mails.ts'
import { cleanUpEmailTokens } from './features/email-tokens/clean-up-tokens.ts'
import { rotateOldKeys } from './features/keys/rotate-keys.ts'
import { cleanUpFailures } from './features/passwords/clean-up-failures.ts'
import { cleanUpRevocations } from './features/revocation/clean-up-revocations.ts'
import { cleanUpSessions } from './features/sessions/clean-up-sessions.ts'

type Job = { name: string; everyMs: number; run: (context: Context, signal: AbortSignal) => Promise<unknown> }

const JOBS: Job[] = [
  { name: 'synchronize clock', everyMs: MINUTE, run: ({ databaseClock }) => databaseClock.synchronize() },
  { name: 'follow revocations', everyMs: SECOND / 10, run: ({ feed }) => feed.poll() },
  { name: 'read keys', everyMs: SECOND, run: ({ keyring }) => keyring.refresh() },
  { name: 'rotate keys', everyMs: MINUTE, run: rotateOldKeys },
  { name: 'clean up revocations', everyMs: 10 * MINUTE, run: cleanUpRevocations },
  { name: 'clean up sessions', everyMs: 10 * MINUTE, run: cleanUpSessions },
  { name: 'clean up counters', everyMs: 10 * MINUTE, run: cleanUpCounters },
  { name: 'clean up failures', everyMs: 10 * MINUTE, run: cleanUpFailures },
  { name: 'clean up e-mail tokens', everyMs: 10 * MINUTE, run: cleanUpEmailTokens },
  { name: 'clean up outbox', everyMs: 10 * MINUTE, run: cleanUpOutbox },
  { name: 'measure outbox', everyMs: MINUTE / 2, run: measureOutbox },
  { name: 'prune audit events', everyMs: 10 * MINUTE, run: pruneEvents },
]

/** How long the last audit events may take to be sealed when the process stops; others seal what is left. */
const LAST_SEAL_MS = 2 * SECOND

/**
 * Runs what has to be done now and then. Nodes need not agree on who does it: each job may run on all of them.
 * @returns stops the jobs, waits for those under way, and seals what has come last. It is given what tells, after the last
 *   request, whether all have finished: where some were cut off, the database is likely to hang, and others seal what is left
 */
export function startJobs(
  context: Context,
  log: FastifyBaseLogger,
): (requests?: Promise<boolean>) => Promise<void> {
  const seal = createSealer(context, log)
  const sealing: Job = { name: 'seal audit events', everyMs: SECOND, run: (_context, signal) => seal(signal) }
  const send = createMailSender(context, log, (mail, locale) =>
    renderMail(context.templates, mail, locale, context.clock.now()),
  )
  const sending: Job = { name: 'send mails', everyMs: SECOND, run: (_context, signal) => send(signal) }
  const stops = [...JOBS, sealing, sending].map((job) => startJob(context, log, job))
  return async (requests = Promise.resolve(true)) => {
    const [isCalm] = await Promise.all([requests, ...stops.map((stop) => stop())])
    if (isCalm) await seal(AbortSignal.timeout(LAST_SEAL_MS))
  }
}

function startJob(context: Context, log: FastifyBaseLogger, { name, everyMs, run }: Job) {
  const ending = new AbortController()
  let underWay: Promise<unknown> | undefined
  let isFailing = false
  const timer = setInterval(() => {
    underWay ??= run(context, ending.signal)
      .then(() => {
        isFailing = false
      })
      .catch((err) => {
        // Some run ten times a second.
        if (!isFailing) log.warn({ err, job: name }, 'job failed; it is tried again')
        isFailing = true
      })
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
