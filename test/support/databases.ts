import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseSettings } from '../../src/database/connection.ts'
import { keepPostgresEvents, keepSqliteEvents } from './kept-events.ts'
import { query } from './query.ts'

export type DatabaseKind = 'sqlite' | 'postgres'
/** What every suite over a database runs on: `for (const kind of DATABASES) describe(...)`. Both, but where TEST_DATABASE names one: mutation tests, which run each suite some hundred times. */
export const DATABASES = (['sqlite', 'postgres'] as const).filter(
  (kind) => process.env.TEST_DATABASE === undefined || process.env.TEST_DATABASE === kind,
)

export type TestDatabase = {
  settings: DatabaseSettings
  /** The same as a DATABASE_URL. */
  url: string
  /** Removes it; on PostgreSQL even with connections open. */
  drop(): Promise<void>
}

/** A fresh, empty database of its own, as `openDatabase` takes it. */
export function createTestDatabase(kind: DatabaseKind): Promise<TestDatabase> {
  return kind === 'sqlite' ? createSqlite() : createPostgres()
}

async function createSqlite(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-test-'))
  const file = join(folder, 'postern.db')
  return {
    settings: { kind: 'sqlite', file },
    url: `sqlite:///${file}`,
    async drop() {
      keepSqliteEvents(file)
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function createPostgres(): Promise<TestDatabase> {
  const name = `postern_test_${randomBytes(8).toString('hex')}`
  await query(serverUrl(), `CREATE DATABASE ${name} STRATEGY file_copy`)
  const url = new URL(serverUrl())
  url.pathname = name
  return {
    settings: { kind: 'postgres', url: url.href, poolSize: 10, preparedStatements: true },
    url: url.href,
    async drop() {
      await keepPostgresEvents(url.href)
      await query(serverUrl(), `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
    },
  }
}

/** Of the PostgreSQL server that the test databases are on. */
export function serverUrl(): string {
  const url = process.env.TEST_DATABASE_URL
  if (!url) throw new Error('No PostgreSQL to test on: use `npm run test:only -- FILE`.')
  return url
}
