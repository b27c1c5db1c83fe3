import { copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { createContext } from '../src/context.ts'
import type { SessionId, UserId } from '../src/core/ids.ts'
import { loadSettings } from '../src/core/settings.ts'
import type { Db, Session } from '../src/database/tables.ts'
import { issueTokens, type TokenPair } from '../src/features/sessions/issue-tokens.ts'
import type { Env } from '../test/support/child-process.ts'
import { query } from '../test/support/query.ts'
import { hashPassword } from './password.ts'

/** Holds no `.env`: settings come from the scenario alone. */
export const FOLDER = join(import.meta.dirname, 'data')
const SECRET_KEY = 'a root secret for benchmarks alone, of no worth to anyone'
/** The server's port differs from run to run; its tokens' issuer must not. */
const PUBLIC_URL = 'http://127.0.0.1:8000'
const WEEK_MS = 7 * 24 * 3_600_000

/** A database with people and sessions, and what signs them in. */
export type Dataset = AsyncDisposable & {
  /** What the server needs to run on it. */
  env: Env
  /** DATABASE_URL; for SQLite, the file. */
  location: string
  username(index: number): string
  /** So many sessions, far apart in storage, none twice until each has been given: a refresh token is for once. */
  pick(count: number): number[]
  sessionId(index: number): SessionId
  /** A new pair for a session as it was stored. */
  tokens(index: number): TokenPair
  /** The public half of the key that signs access tokens, as a JWK in JSON. */
  publicJwk: string
}

/** One whose file can be copied; the copies go with it. */
export type SqliteDataset = Dataset & { copy(name: string): string }

export type Size = { users: number; sessions: number }

/** Fills a new SQLite file beside the checkout's own files: a temporary folder may lie in memory. */
export async function buildSqlite(name: string, size: Size): Promise<SqliteDataset> {
  const file = join(FOLDER, `${name}.db`)
  const remove = (path: string) => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true })
  }
  remove(file)
  const copies: string[] = []
  const dataset = await fill({ DATABASE_URL: `sqlite:///${file}`, SECRET_KEY, PUBLIC_URL }, size, {
    id: (n) => sql`printf('00000000-0000-7000-8000-%012x', ${n})`,
    numbers: (count) =>
      sql`(with recursive numbers(n) as (select 0 union all select n + 1 from numbers where n + 1 < ${sql.lit(count)}) select n from numbers)`,
  })
  return {
    ...dataset,
    location: file,
    copy(suffix) {
      const path = join(FOLDER, `${name}-${suffix}.db`)
      remove(path)
      copyFileSync(file, path)
      copies.push(path)
      return path
    },
    async [Symbol.asyncDispose]() {
      for (const path of [file, ...copies]) remove(path)
    },
  }
}

/** Fills a new database of that server. */
export async function buildPostgres(server: string, name: string, size: Size): Promise<Dataset> {
  const database = `postern_bench_${name}`
  const drop = () => query(server, `DROP DATABASE IF EXISTS ${database} WITH (FORCE)`)
  await drop()
  await query(server, `CREATE DATABASE ${database}`)
  const url = new URL(server)
  url.pathname = database
  const dataset = await fill({ DATABASE_URL: url.href, SECRET_KEY, PUBLIC_URL }, size, {
    id: (n) => sql`('00000000-0000-7000-8000-' || lpad(to_hex(${n}), 12, '0'))::uuid`,
    numbers: (count) => sql`generate_series(0, ${sql.lit(count - 1)}) as numbers(n)`,
  })
  await query(url.href, 'VACUUM ANALYZE')
  await query(url.href, 'CHECKPOINT')
  return {
    ...dataset,
    location: url.href,
    async [Symbol.asyncDispose]() {
      await drop()
    },
  }
}

type Expression = ReturnType<typeof sql>
type Grammar = { id(n: Expression): Expression; numbers(count: number): Expression }

const idOf = (n: number): string => `00000000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`

/** Everything that needs no database once it has been read. */
async function fill(env: Env, size: Size, grammar: Grammar) {
  mkdirSync(FOLDER, { recursive: true })
  const context = await createContext(loadSettings({ env, directory: FOLDER }).settings)
  const now = context.clock.now()
  const hash = await hashPassword()
  // A million rows take longer than any statement of a request may.
  await context.database.runAlone((db) => insertPeople(db, size, grammar, hash, now))
  const key = await context.db.selectFrom('signing_keys').select('public_jwk').executeTakeFirstOrThrow()
  await context.close()

  const sessionId = (index: number) => idOf(index % size.sessions) as SessionId
  const template: Omit<Session, 'id' | 'user_id'> = {
    client_id: '',
    scope: '',
    audience: null,
    created_at: now,
    authenticated_at: now,
    amr: 'pwd',
    generation: 0,
    rotated_at: now,
    ip: '127.0.0.1',
    user_agent: '',
    recovered_generation: null,
    recovered_at: null,
    expires_at: now + WEEK_MS,
    revoked_at: null,
    revoked_reason: null,
  }
  return {
    env,
    pick: createPicker(size.sessions),
    username: (index: number) => `user${index % size.users}`,
    sessionId,
    tokens: (index: number) =>
      issueTokens(context, {
        ...template,
        id: sessionId(index),
        user_id: idOf((index % size.sessions) % size.users) as UserId,
      }),
    publicJwk: key.public_jwk,
  }
}

/** Has no common divisor with any round number, so that it comes by every session. */
const STRIDE = 7919

function createPicker(size: number): (count: number) => number[] {
  let next = 0
  return (count) => Array.from({ length: count }, () => (next++ * STRIDE) % size)
}

async function insertPeople(
  db: Db,
  { users, sessions }: Size,
  { id, numbers }: Grammar,
  hash: string,
  now: number,
): Promise<void> {
  const n = sql.ref('n')
  await sql`
    insert into users (id, username, username_key, email, email_key, password_hash, is_active, is_superuser, created_at, updated_at)
    select ${id(n)}, 'user' || n, 'user' || n, 'user' || n || '@example.com', 'user' || n || '@example.com',
      ${sql.lit(hash)}, true, false, ${sql.lit(now)}, ${sql.lit(now)}
    from ${numbers(users)}`.execute(db)
  await sql`
    insert into sessions (id, user_id, client_id, scope, created_at, authenticated_at, amr, rotated_at, ip, user_agent, expires_at)
    select ${id(n)}, ${id(sql`(n % ${sql.lit(users)})`)}, '', '', ${sql.lit(now)}, ${sql.lit(now)}, 'pwd', ${sql.lit(now)},
      '127.0.0.1', '', ${sql.lit(now + WEEK_MS)}
    from ${numbers(sessions)}`.execute(db)
}
