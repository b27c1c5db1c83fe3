import { startPostgres } from '../test/support/postgres.ts'
import { query } from '../test/support/query.ts'
import { startChild } from './child.ts'
import { buildPostgres, buildSqlite, type Dataset } from './data.ts'
import type { Load, LoadResult } from './load/load.ts'
import type { Bench } from './scenario.ts'

const WHOLE = { rounds: 5, users: 100_000, sessions: 300_000, seconds: 2, warmUpSeconds: 5 }
const QUICK = { rounds: 3, users: 10_000, sessions: 30_000, seconds: 0.15, warmUpSeconds: 0.5 }
/** As an operator would have it, but for the size: durable, and with the data in memory. */
const POSTGRES_SETTINGS = {
  fsync: 'on',
  full_page_writes: 'on',
  shared_buffers: '512MB',
  max_wal_size: '4GB',
}

export type BenchOptions = {
  isQuick: boolean
  /** As many as the kind of run has when absent. */
  rounds?: number | undefined
  /** A PostgreSQL server's URL; one from npm when absent. */
  postgres?: string | undefined
}

/** What a run works with; it ends all that was started. */
export type OwnBench = Bench &
  AsyncDisposable & {
    /** Undefined when none was used. */
    readPostgresVersion(): Promise<string | undefined>
  }

export function createBench(options: BenchOptions, report: Bench['report']): OwnBench {
  const { isQuick } = options
  const { rounds, users, sessions, seconds, warmUpSeconds } = isQuick ? QUICK : WHOLE
  const resources = new AsyncDisposableStack()
  const startGenerator = () => startChild<Load, LoadResult>(new URL('./load/generator.ts', import.meta.url))
  const generator = resources.use(startGenerator())
  const server = once(async () => options.postgres ?? (await ownPostgres(resources)))
  const buildOnce = <D extends Dataset>(build: () => Promise<D>) =>
    once(async () => {
      report(`building ${users.toLocaleString('en')} users and ${sessions.toLocaleString('en')} sessions`)
      return resources.use(await build())
    })
  return {
    isQuick,
    rounds: options.rounds ?? rounds,
    seconds,
    warmUpSeconds,
    sqlite: buildOnce(() => buildSqlite('main', { users, sessions })),
    postgres: buildOnce(async () => buildPostgres(await server(), 'main', { users, sessions })),
    build: async (kind, name, size) =>
      kind === 'sqlite' ? buildSqlite(name, size) : buildPostgres(await server(), name, size),
    send: (load) => generator.ask(load),
    startGenerator,
    report,
    readPostgresVersion: async () => (server.wasCalled() ? readVersion(await server()) : undefined),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  }
}

/** PostgreSQL from npm, durable as a real one is. */
async function ownPostgres(resources: AsyncDisposableStack): Promise<string> {
  const postgres = await startPostgres({ settings: POSTGRES_SETTINGS })
  resources.defer(() => postgres.stop())
  return postgres.url
}

async function readVersion(url: string): Promise<string> {
  const [row] = await query(url, 'show server_version')
  return String(row?.server_version)
}

/** The same function, which works but once. */
function once<T>(work: () => Promise<T>) {
  let result: Promise<T> | undefined
  const call = () => {
    result ??= work()
    return result
  }
  return Object.assign(call, { wasCalled: () => result !== undefined })
}
