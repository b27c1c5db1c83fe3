import cluster, { type Worker } from 'node:cluster'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from 'pino'
import { MINUTE, SECOND } from './core/clock.ts'
import { StartupError } from './core/problems.ts'
import { shareOf } from './core/settings/share.ts'
import type { Settings } from './core/settings.ts'
import type { WorkerMetrics } from './monitoring/worker-metrics.ts'
import { stopOnSignal } from './stop.ts'
import { READY, type Task, WORKER_VARIABLE } from './worker.ts'

/** From a worker's end to its replacement; twice as long each time, until one has lived for `SETTLED_MS`. */
const FIRST_DELAY_MS = 100
const MAX_DELAY_MS = 5 * SECOND
const SETTLED_MS = MINUTE
/** A worker that has not stopped by then hangs: longer than the grace for requests, and closing the database. */
const STOP_WITHIN_MS = 14 * SECOND

/** How a worker ended; `err` alone when it could not be started at all. */
type End = { worker?: number | undefined; code?: number | null; signal?: string | null; err?: unknown }
type Life = { worker: Worker; isListening: Promise<boolean>; end: Promise<End> }
type ExposedMetrics = { ofWorkers: WorkerMetrics; close(): void }
type Node = {
  settings: Settings
  log: Logger
  living: Set<Life>
  isStopping: boolean
  metrics: ExposedMetrics | undefined
}

/**
 * Serves from `settings.workers` other processes until SIGTERM or SIGINT, and replaces those that end before.
 * The first is started alone: what keeps it from listening would keep all of them, and is told once. Then this
 * process ends, too, with exit code 1.
 * @throws StartupError when the first worker ended without saying why
 */
export async function startWorkers(settings: Settings, log: Logger): Promise<void> {
  if (!cluster.isPrimary) {
    throw new StartupError('WORKERS: this process is a worker of another program; expected 1')
  }
  const metrics = await exposeMetrics(settings, log)
  const node: Node = { settings: shareOf(settings), log, living: new Set(), isStopping: false, metrics }
  const first = startWorker(node, true)
  stopOnSignal(log, () => stopWorkers(node))
  const isListening = await first.isListening
  if (node.isStopping) return
  if (isListening) {
    void keepRunning(node, first.end)
    for (let count = 1; count < settings.workers; count++) void keepRunning(node, runWorker(node))
  } else {
    // Else it would keep this process running.
    metrics?.close()
    const { code, signal } = await first.end
    if (code !== 1) throw new StartupError(`the first worker ended before it listened (${signal ?? code})`)
    process.exitCode = 1
  }
}

/** What is told of all workers on METRICS_PORT, where that is set. */
async function exposeMetrics(
  { metrics, workers, publicUrl }: Settings,
  log: Logger,
): Promise<ExposedMetrics | undefined> {
  if (metrics?.at !== 'port') return undefined
  const { createWorkerMetrics } = await import('./monitoring/worker-metrics.ts')
  const { listenForMetrics } = await import('./monitoring/metrics-listener.ts')
  const ofWorkers = createWorkerMetrics(workers)
  return { ofWorkers, close: await listenForMetrics(metrics, publicUrl, log, ofWorkers.collect) }
}

function startWorker(node: Node, isFirst = false): Life {
  const worker = cluster.fork({ [WORKER_VARIABLE]: '1' })
  const task: Task = { settings: node.settings, isFirst }
  // It asks when it can hear the answer; one that has gone meanwhile needs none.
  worker.on('message', (message) => {
    if (message === READY) worker.send(task, () => {})
  })
  const end = endOf(worker)
  const isListening = new Promise<boolean>((resolve) => {
    worker.once('listening', () => {
      node.metrics?.ofWorkers.add(worker)
      resolve(true)
    })
    void end.then(() => resolve(false))
  })
  const life = { worker, isListening, end }
  node.living.add(life)
  void end.then(() => node.living.delete(life))
  return life
}

function endOf(worker: Worker): Promise<End> {
  return new Promise((resolve) => {
    worker.once('exit', (code, signal) => resolve({ worker: worker.process.pid, code, signal }))
    // What cannot be started never exits. Any other error is of a worker about to do so.
    worker.on('error', (err) => {
      if (worker.process.pid === undefined) resolve({ err })
    })
  })
}

/** Replaces the worker when it ends, and every one after it, until the node stops. */
async function keepRunning(node: Node, first: Promise<End>): Promise<void> {
  let delayMs = FIRST_DELAY_MS
  for (let life = first; ; life = runWorker(node)) {
    const startedAt = performance.now()
    const end = await life
    if (node.isStopping) return
    if (performance.now() - startedAt >= SETTLED_MS) delayMs = FIRST_DELAY_MS
    node.log.error({ ...end, retry_in_ms: delayMs }, 'a worker ended; another takes its place')
    await sleep(delayMs)
    if (node.isStopping) return
    delayMs = Math.min(2 * delayMs, MAX_DELAY_MS)
  }
}

async function runWorker(node: Node): Promise<End> {
  try {
    return await startWorker(node).end
  } catch (err) {
    return { err }
  }
}

async function stopWorkers(node: Node): Promise<void> {
  node.isStopping = true
  const lives = [...node.living]
  const tell = (signal: NodeJS.Signals) => {
    for (const { worker } of lives) worker.process.kill(signal)
  }
  tell('SIGTERM')
  const cutOff = setTimeout(() => tell('SIGKILL'), STOP_WITHIN_MS)
  const ends = await Promise.all(lives.map(({ end }) => end))
  clearTimeout(cutOff)
  const unclean = ends.filter((end) => !isClean(end)).length
  if (unclean > 0) throw new Error(`${unclean} of ${ends.length} workers did not stop cleanly`)
}

/** SIGTERM and SIGINT themselves end only a worker that was yet to listen. */
const isClean = ({ code, signal }: End): boolean => code === 0 || signal === 'SIGTERM' || signal === 'SIGINT'
