import { once } from 'node:events'
import type { Settings } from './core/settings.ts'

/** Set for the processes that `startWorkers` starts. */
export const WORKER_VARIABLE = 'POSTERN_WORKER'

/** What the primary process tells a worker when it asks, so that all of them run with what was read at the start. */
export type Task = {
  /** The worker's share of them. */
  settings: Settings
  /** Whether it is the first worker of this node. */
  isFirst: boolean
}

/** What a worker says when it can hear its task. */
export const READY = 'ready'

export const isWorker = (): boolean => process.env[WORKER_VARIABLE] !== undefined && process.connected

/** Asks the primary process what to do. From now on this process stops as on SIGTERM when the primary is gone. */
export async function receiveTask(): Promise<Task> {
  await stopWithPrimary()
  const reply = once(process, 'message')
  process.send?.(READY)
  const [task] = await reply
  return task
}

async function stopWithPrimary(): Promise<void> {
  const { worker } = (await import('node:cluster')).default
  worker?.once('disconnect', () => {
    // Otherwise Node ends the process at once, whatever is in flight.
    worker.exitedAfterDisconnect = true
    process.kill(process.pid, 'SIGTERM')
  })
}
