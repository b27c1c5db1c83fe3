import { pino } from 'pino'
import { Problem, StartupError } from './core/problems.ts'
import { loadSettings, type Settings } from './core/settings.ts'
import { isWorker, receiveTask } from './worker.ts'

/** PIPE_BUF of Linux: a pipe takes so much in one piece, so that lines of several processes do not mix. */
const LOG_WRITE_BYTES = 4096
const LOG_FLUSH_MS = 100

/**
 * Runs the server until SIGTERM or SIGINT: in this process, or with WORKERS above 1 in others that it starts.
 * A failure to start is one line on standard error, and exit code 1.
 */
export async function serve(): Promise<void> {
  try {
    const { settings, warnings, isFirst } = isWorker()
      ? { ...(await receiveTask()), warnings: [] }
      : { ...loadSettings(), isFirst: true }
    const { log, flush } = createLog(settings.logLevel)
    for (const warning of warnings) log.warn(warning)
    if (settings.workers > 1) await (await import('./workers.ts')).startWorkers(settings, log)
    else await (await import('./server.ts')).startServer(settings, log, isFirst)
    flush()
  } catch (error) {
    process.stderr.write(`postern: ${describeFailure(error)}\n`)
    process.exitCode = 1
    // In a worker the channel to the primary process would keep it running.
    process.channel?.unref()
  }
}

/** Lines go out together, since a write for each would take longer than the request it tells of. */
function createLog(level: Settings['logLevel']): { log: pino.Logger; flush(): void } {
  const lines = pino.destination({
    sync: true,
    minLength: LOG_WRITE_BYTES - 1,
    maxWrite: LOG_WRITE_BYTES,
    periodicFlush: LOG_FLUSH_MS,
  })
  // Not `flushSync`, which tries for ever where nobody reads any more, or the disk is full.
  const flush = () => lines.flush()
  process.on('exit', () => {
    try {
      flush()
    } catch {
      // There is no other place to tell it.
    }
  })
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
