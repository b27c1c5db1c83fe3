import { flushCompileCache } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { createApp } from './app.ts'
import { type Context, createContext } from './context.ts'
import { systemClock } from './core/clock.ts'
import { StartupError } from './core/problems.ts'
import type { Settings } from './core/settings.ts'
import { VERSION } from './core/version.ts'
import { recordEvent } from './features/audit/events.ts'
import { mailboxUrl } from './features/mailbox/mailbox.ts'
import type { App } from './http/app-type.ts'
import { startJobs } from './jobs.ts'
import { stopOnSignal } from './stop.ts'

/** How long requests in flight may take to finish once the process is asked to stop. */
const GRACE_MS = 10_000
/** How long everything may take to stop, whatever hangs. */
const STOP_MS = 12_000
const SWEEP_MS = 50
/** With one alone, a name that takes long to resolve would keep every password waiting. */
const LEAST_POOL_THREADS = 2

/**
 * Serves from this process until SIGTERM or SIGINT; resolves when it listens.
 * @param isFirst whether no other process of this node has told yet where the API is documented
 * @throws StartupError in one line for the operator
 */
export async function startServer(settings: Settings, log: Logger, isFirst: boolean): Promise<void> {
  // Read by libuv when its first thread starts: as many as may hash, since each more leaves the caches of the others colder.
  process.env.UV_THREADPOOL_SIZE = String(Math.max(LEAST_POOL_THREADS, settings.hashConcurrency))
  const tracing =
    settings.tracing && (await import('./monitoring/tracing.ts')).startTracing(settings.tracing, log)
  const warn = (message: string) => log.warn(message)
  const context = await createContext(settings, systemClock, warn, tracing)
  try {
    const app = await createApp(context, log)
    const address = await listen(app, settings)
    if (isFirst) tellOfDocs(log, address, settings)
    if (isFirst) tellOfMailbox(log, context)
    if (isFirst) void recordStart(context, log)
    flushCompileCache()
    const closeMetrics = await exposeMetrics(context, log).catch(async (error) => {
      await app.close()
      throw error
    })
    const stopJobs = startJobs(context, log)
    const stop = async () => {
      await stopJobs(closeWithin(app, GRACE_MS))
      await context.close()
      closeMetrics()
      await tracing?.stop()
    }
    stopOnSignal(log, () => Promise.race([stop(), warnOfHang(log)]))
  } catch (error) {
    await context.close()
    throw error
  }
}

/** Whatever the database has been asked for by now may be without an answer for long; all that was answered is stored. */
async function warnOfHang(log: Logger): Promise<void> {
  await sleep(STOP_MS, undefined, { ref: false })
  log.warn(`did not wait for what had not ended after ${STOP_MS / 1000} seconds`)
}

/** A database that cannot be written to for a while does not keep a server from starting. */
async function recordStart({ db, clock, settings }: Context, log: Logger): Promise<void> {
  const detail = { version: VERSION, ...settings.described }
  try {
    await recordEvent(db, clock.now(), { type: 'server.started', detail })
  } catch (err) {
    log.warn({ err }, 'the start could not be written down in the audit log')
  }
}

/** Tells the metrics where the settings say, unless that is a route of the app. What it takes is loaded only now. */
async function exposeMetrics(context: Context, log: Logger): Promise<() => void> {
  const { metrics, publicUrl } = context.settings
  if (metrics === undefined || metrics.at === 'route') return () => {}
  const collect = (await import('./features/metrics/collect.ts')).createCollector(context)
  if (metrics.at === 'primary') {
    const { answerPrimary } = await import('./monitoring/worker-questions.ts')
    answerPrimary(collect, log)
    return () => {}
  }
  const { listenForMetrics } = await import('./monitoring/metrics-listener.ts')
  return listenForMetrics(metrics, publicUrl, log, async () => [await collect()])
}

async function listen(app: App, { host, port }: Settings): Promise<string> {
  try {
    return await app.listen({ host, port, listenTextResolver: (url) => `listening on ${url}` })
  } catch (error) {
    await app.close()
    throw new StartupError(`cannot listen on ${host}:${port}: ${listenFailure(error)}`, { cause: error })
  }
}

function tellOfDocs(log: Logger, address: string, { port, publicUrl, apiPrefix, database }: Settings): void {
  const docs = port === 0 ? `${address}/docs` : `${publicUrl}/docs`
  log.info({ docs, api: apiPrefix, database: database.kind }, `the API is documented at ${docs}`)
}

function tellOfMailbox(log: Logger, { mailbox, settings }: Context): void {
  if (mailbox) log.info(`no mail leaves this machine: mails are shown at ${mailboxUrl(settings, mailbox)}`)
}

function listenFailure(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return 'the port is taken; set PORT to another'
  if (code === 'EACCES') return 'this user may not use that port; set PORT to one above 1023'
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return 'this machine has no such address; set HOST'
  return message
}

/**
 * Accepts no more, lets requests in flight finish, and after `ms` cuts off those that have not.
 * @returns whether all have
 */
async function closeWithin(app: App, ms: number): Promise<boolean> {
  let isCalm = true
  const cutOff = setTimeout(() => {
    isCalm = false
    app.server.closeAllConnections()
  }, ms)
  // A client that keeps its connection after the reply would be waited for as well.
  const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS)
  await app.close()
  clearInterval(sweep)
  clearTimeout(cutOff)
  return isCalm
}
