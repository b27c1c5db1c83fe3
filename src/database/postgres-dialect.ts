import {
  type CompiledQuery,
  type Expression,
  PostgresAdapter,
  PostgresDialect,
  type PostgresPool,
  type PostgresPoolClient,
  type QueryResult,
  type RawBuilder,
  type SqlBool,
  sql,
} from 'kysely'
import pg from 'pg'
import type { DirectAdapter } from './compiled.ts'
import { type DatabaseLoad, type ObserveStatement, observed, observeNothing } from './meter.ts'
import { isConnectionLost, isStalePlan, translatePostgresError } from './postgres-errors.ts'
import { databaseUnavailable, requireRoom } from './unavailable.ts'

const CONNECT_TIMEOUT_MS = 3000
const QUERY_TIMEOUT_MS = 10_000
const IDLE_TIMEOUT_MS = 60_000
const MAX_STATEMENT_NAMES = 1000
const INT8_OID = 20

export type PostgresSettings = {
  url: string
  /** Connections at most. */
  poolSize: number
  /** Off behind PgBouncer in transaction mode. */
  preparedStatements: boolean
}

type MeteredDialect = Dialect & { load(): DatabaseLoad }

/** Kysely on PostgreSQL, with nothing kept in the server's session but prepared statements. */
export function createPostgresDialect(
  settings: PostgresSettings,
  scope: object,
  observe: ObserveStatement = observeNothing,
): MeteredDialect {
  return createDialect(settings, scope, QUERY_TIMEOUT_MS, observe)
}

/** The same with statements that may take as long as they need. */
export function createPatientPostgresDialect(settings: PostgresSettings, scope: object): Dialect {
  return createDialect({ ...settings, poolSize: 1, preparedStatements: false }, scope, 0, observeNothing)
}

function createDialect(
  settings: PostgresSettings,
  scope: object,
  queryTimeoutMs: number,
  observe: ObserveStatement,
): MeteredDialect {
  const pool = createPool(settings, queryTimeoutMs)
  const connect = () => checkOut(pool, settings.preparedStatements, observe)
  const dialect = new Dialect({ options: {}, connect, end: () => pool.end() }, scope)
  return Object.assign(dialect, { load: () => loadOf(pool) })
}

const loadOf = ({ totalCount, idleCount, waitingCount, options }: pg.Pool): DatabaseLoad => ({
  waiting: waitingCount,
  connections: { inUse: totalCount - idleCount, idle: idleCount, max: options.max },
})

class Dialect extends PostgresDialect {
  readonly #connect: () => Promise<PostgresPoolClient>
  readonly #scope: object

  constructor(pool: PostgresPool, scope: object) {
    super({ pool })
    this.#connect = pool.connect
    this.#scope = scope
  }

  override createAdapter(): Adapter {
    return new Adapter(this.#connect, this.#scope)
  }
}

/** Without Kysely's own migration lock, which lasts for a session: `runAlone` has taken one. */
class Adapter extends PostgresAdapter implements DirectAdapter {
  readonly joinsCommits = false
  readonly scope: object
  readonly #connect: () => Promise<PostgresPoolClient>

  constructor(connect: () => Promise<PostgresPoolClient>, scope: object) {
    super()
    this.#connect = connect
    this.scope = scope
  }

  async runDirectly<Row>(query: CompiledQuery<Row>): Promise<QueryResult<Row>> {
    const client = await this.#connect()
    try {
      return await client.query<Row>(query.sql, query.parameters)
    } finally {
      client.release()
    }
  }

  isAmong(value: Expression<unknown>, list: unknown): RawBuilder<SqlBool> {
    return sql<SqlBool>`${value} = any(${list})`
  }

  toList(values: readonly string[]): readonly string[] {
    return values
  }

  jsonRows(json: unknown): RawBuilder<{ value: unknown }> {
    return sql`json_array_elements(cast(${json} as json))`
  }

  boundIdle(ms: number): RawBuilder<unknown> {
    return sql`select set_config('idle_in_transaction_session_timeout', ${String(ms)}, true)`
  }

  override async acquireMigrationLock(): Promise<void> {}
  override async releaseMigrationLock(): Promise<void> {}
}

function createPool({ url, poolSize }: PostgresSettings, queryTimeoutMs: number): pg.Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_TIMEOUT_MS,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    application_name: 'postern',
    types: { getTypeParser },
  })
  // A connection lost while idle is replaced when it is needed; one lost in use fails its query.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))
  return pool
}

const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: unknown) =>
  oid === INT8_OID && format !== 'binary' ? parseInt8 : pg.types.getTypeParser(oid, format as 'text')

function parseInt8(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError('An int8 is beyond 2^53')
  return value
}

/** Whatever keeps a connection from being made, no query is at fault. */
async function checkOut(
  pool: pg.Pool,
  preparedStatements: boolean,
  observe: ObserveStatement,
): Promise<PostgresPoolClient> {
  requireRoom(pool.waitingCount)
  try {
    return wrapClient(await pool.connect(), preparedStatements, observe)
  } catch (error) {
    throw databaseUnavailable(error)
  }
}

function wrapClient(
  client: pg.PoolClient,
  preparedStatements: boolean,
  observe: ObserveStatement,
): PostgresPoolClient {
  /** What made the connection unusable. */
  let lost: unknown
  let mustReplace = false

  async function send(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    const name = preparedStatements && values.length > 0 ? statementName(text) : undefined
    try {
      return await client.query({ text, values: [...values], ...(name && { name }) })
    } catch (error) {
      if (!isStalePlan(error)) throw error
      mustReplace = true
      if (client.getTransactionStatus() !== 'I') throw error
      return await client.query(text, [...values])
    }
  }

  async function query(text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    if (lost !== undefined) return afterLoss(text, lost)
    if (values.includes(undefined)) throw new TypeError('A query parameter is undefined')
    try {
      return await observed(observe, text, () => send(text, values))
    } catch (error) {
      if (!isConnectionLost(error)) throw translatePostgresError(error)
      lost = error
      return afterLoss(text, error)
    }
  }

  return {
    // Kysely's declaration names neither null counts nor the other commands; its driver expects both.
    query: query as unknown as PostgresPoolClient['query'],
    release: () => client.release(lost !== undefined || mustReplace),
  }
}

/** The server rolls back by itself, and the caller shall see the error that led here. */
function afterLoss(text: string, error: unknown): pg.QueryResult {
  if (text !== 'rollback') throw translatePostgresError(error)
  return { command: 'ROLLBACK', rowCount: null, oid: 0, fields: [], rows: [] }
}

/** One name per text for the whole process; beyond the bound a statement is parsed each time. */
const statementNames = new Map<string, string>()

function statementName(text: string): string | undefined {
  const known = statementNames.get(text)
  if (known || statementNames.size >= MAX_STATEMENT_NAMES) return known
  const name = `p${statementNames.size + 1}`
  statementNames.set(text, name)
  return name
}
