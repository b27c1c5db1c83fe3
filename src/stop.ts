import type { Logger } from 'pino'

/** On the first SIGTERM or SIGINT runs `stop` and ends the process, with exit code 1 when that failed. */
export function stopOnSignal(log: Logger, stop: () => Promise<void>): void {
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
