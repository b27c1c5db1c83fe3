import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Env, inheritedEnvironment } from '../test/support/child-process.ts'
import { findFreePort } from '../test/support/postgres.ts'
import { type Dataset, FOLDER } from './data.ts'
import type { Address } from './load/request.ts'

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const READY_WITHIN_MS = 60_000
const POLL_MS = 2

export type Server = AsyncDisposable & {
  address: Address
  pid: number
  /** Until the first 200. */
  startedMs: number
}

export type ServerOptions = { env?: Env; nodeOptions?: string[] }

/** Starts the real server, with every setting at its default but its address and database, and behind a proxy. Its log goes nowhere. */
export async function startServer(dataset: Dataset, options: ServerOptions = {}): Promise<Server> {
  const address = { host: '127.0.0.1', port: await findFreePort(), prefix: '/api/v1' }
  const startedAt = performance.now()
  const child = spawn(process.execPath, [...(options.nodeOptions ?? []), MAIN], {
    cwd: FOLDER,
    env: {
      ...inheritedEnvironment(),
      ...dataset.env,
      PORT: String(address.port),
      TRUSTED_PROXIES: '1',
      ...options.env,
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  child.once('exit', () => process.off('exit', killWithUs))
  await waitUntilReady(child, address)
  return {
    address,
    pid: child.pid ?? 0,
    startedMs: performance.now() - startedAt,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.kill()) await once(child, 'exit')
    },
  }
}

async function waitUntilReady(child: ChildProcess, { host, port }: Address): Promise<void> {
  const end = performance.now() + READY_WITHIN_MS
  while (performance.now() < end && child.exitCode === null && child.signalCode === null) {
    const reply = await fetch(`http://${host}:${port}/health/ready`).catch(() => undefined)
    if (reply?.status === 200) return
    await sleep(POLL_MS)
  }
  child.kill('SIGKILL')
  throw new Error('The server did not start')
}
