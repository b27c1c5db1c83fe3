import { flushCompileCache } from 'node:module'
import { pino } from 'pino'
import { createApp } from './app.ts'
import { createContext } from './context.ts'
import { Problem, StartupError } from './core/problems.ts'
import { loadSettings, type Settings } from './core/settings.ts'
import type { App } from './http/app-type.ts'
import { startJobs } from './jobs.ts'

/** How long requests in flight may take to finish once the process is asked to stop. */
const GRACE_MS = 10_000
const SWEEP_MS = 50
const LOG_BUFFER_BYTES = 4096
const LOG_FLUSH_MS = 100
/** libuv's own default. */
const LEAST_WORKER_THREADS = 4

/**
 * Runs the server until SIGTERM or SIGINT.
 * A failure to start is one line on standard error, and exit code 1.
 */
export async function serve(): Promise<void> {
  try {
    const { settings, warnings } = loadSettings()
    const { log, flush } = createLog(settings.logLevel)
    for (const warning of warnings) log.warn(warning)
    await start(settings, log)
    flush()
  } catch (error) {
    process.stderr.write(`postern: ${describeFailure(error)}\n`)
    process.exitCode = 1
  }
}

/** Lines go out together, since a write for each would take longer than the request it tells of. */
function createLog(level: Settings['logLevel']): { log: pino.Logger; flush(): void } {
  const lines = pino.destination({ sync: true, minLength: LOG_BUFFER_BYTES, periodicFlush: LOG_FLUSH_MS })
  const flush = () => lines.flushSync()
  process.on('exit', flush)
  return { log: pino({ level }, lines), flush }
}

/** One line for what an operator can mend; for a fault of ours, where it happened. */
function describeFailure(error: unknown): string {
  if (error instanceof StartupError) return error.message
  const { message, cause } = error instanceof Problem ? error : { message: 'could not start', cause: error }
  if (!(cause instanceof Error)) return message
  // Errors of the system and of the databases carry a code.
  const isOutside = error instanceof Problem || 'code' in cause || 'errcode' in cause
  return `${message}: ${isOutside ? cause.message : cause.stack}`
}

async function start(settings: Settings, log: pino.Logger): Promise<void> {
  // Read by libuv when its first thread starts: hashing may use as many as it is allowed.
  process.env.UV_THREADPOOL_SIZE ??= String(Math.max(LEAST_WORKER_THREADS, settings.hashConcurrency))
  const context = await createContext(settings)
  try {
    const app = await createApp(context, log)
    await listen(app, settings)
    flushCompileCache()
    const stopJobs = startJobs(context, log)
    stopOnSignal(log, async () => {
      await Promise.all([closeWithin(app, GRACE_MS), stopJobs()])
      await context.database.close()
    })
  } catch (error) {
    await context.database.close()
    throw error
  }
}

async function listen(app: App, { host, port, publicUrl, apiPrefix, database }: Settings): Promise<void> {
  try {
    const address = await app.listen({ host, port, listenTextResolver: (url) => `listening on ${url}` })
    const docs = port === 0 ? `${address}/docs` : `${publicUrl}/docs`
    app.log.info({ docs, api: apiPrefix, database: database.kind }, `the API is documented at ${docs}`)
  } catch (error) {
    await app.close()
    throw new StartupError(`cannot listen on ${host}:${port}: ${listenFailure(error)}`, { cause: error })
  }
}

function listenFailure(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return 'the port is taken; set PORT to another'
  if (code === 'EACCES') return 'this user may not use that port; set PORT to one above 1023'
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return 'this machine has no such address; set HOST'
  return message
}

function stopOnSignal(log: pino.Logger, stop: () => Promise<void>): void {
  let isStopping = false
  const onSignal = (signal: NodeJS.Signals) => {
    if (isStopping) return
    isStopping = true
    log.info({ signal }, 'stopping: finishing what is in flight')
    stop().then(
      () => process.exit(0),
      (err) => {
        log.error({ err }, 'could not stop cleanly')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
}

/** Accepts no more, lets requests in flight finish, and after `ms` cuts off those that have not. */
async function closeWithin(app: App, ms: number): Promise<void> {
  const cutOff = setTimeout(() => app.server.closeAllConnections(), ms)
  // A client that keeps its connection after the reply would be waited for as well.
  const sweep = setInterval(() => app.server.closeIdleConnections(), SWEEP_MS)
  await app.close()
  clearInterval(sweep)
  clearTimeout(cutOff)
}
