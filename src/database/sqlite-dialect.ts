import {
  CompiledQuery,
  type DatabaseConnection,
  type DataTypeNode,
  type Dialect,
  type Driver,
  type Expression,
  type QueryResult,
  type RawBuilder,
  type SelectModifierNode,
  SelectQueryNode,
  type SqlBool,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} from 'kysely'
import type { DirectAdapter } from './compiled.ts'
import { type ObserveStatement, observed, observeNothing } from './meter.ts'
import type { SqliteConnection } from './sqlite-connection.ts'
import { retryWhileBusy, translateSqliteError, within } from './sqlite-errors.ts'
import type { SqliteTransaction, SqliteWriter } from './sqlite-writer.ts'

const READ_LIMIT_MS = 5000

/** What Kysely takes for a connection: at most a transaction of its own on the shared ones. */
type Session = DatabaseConnection & { transaction: SqliteTransaction | undefined }

/** Runs one statement outside any transaction. */
type Run = (query: CompiledQuery) => Promise<QueryResult<unknown>>

/** Kysely on SQLite: selects outside a transaction go to the reader, all else to the writer. */
export function createSqliteDialect(
  reader: SqliteConnection,
  writer: SqliteWriter,
  observe: ObserveStatement = observeNothing,
): Dialect {
  const run: Run = (query) =>
    observed(observe, query.sql, () =>
      SelectQueryNode.is(query.query) ? read(reader, query) : writer.run(query),
    )
  return {
    createDriver: () => createDriver(writer, run, observe),
    createQueryCompiler: () => new QueryCompiler(),
    createAdapter: () => new Adapter(run),
    createIntrospector: (db) => new SqliteIntrospector(db),
  }
}

function createDriver(writer: SqliteWriter, run: Run, observe: ObserveStatement): Driver {
  return {
    init: async () => {},
    acquireConnection: async () => createSession(run, observe),
    async beginTransaction(connection) {
      asSession(connection).transaction = await writer.begin()
    },
    async commitTransaction(connection) {
      await observed(observe, 'commit', () => asSession(connection).transaction?.end('commit'))
    },
    async rollbackTransaction(connection) {
      await asSession(connection).transaction?.end('rollback')
    },
    savepoint: (connection, name) => runNamed(connection, 'savepoint', name),
    rollbackToSavepoint: (connection, name) => runNamed(connection, 'rollback to', name),
    releaseSavepoint: (connection, name) => runNamed(connection, 'release', name),
    // A transaction that was left open would keep everyone waiting.
    releaseConnection: async (connection) => asSession(connection).transaction?.end('rollback'),
    destroy: async () => {},
  }
}

function createSession(run: Run, observe: ObserveStatement): Session {
  const session: Session = {
    transaction: undefined,
    async executeQuery<R>(query: CompiledQuery) {
      const { transaction } = session
      const result = transaction ? observed(observe, query.sql, () => transaction.run(query)) : run(query)
      return (await result) as QueryResult<R>
    },
    streamQuery() {
      throw new Error('Streaming is not supported on SQLite: read in pages')
    },
  }
  return session
}

/** The driver is only ever given sessions of its own. */
const asSession = (connection: DatabaseConnection): Session => connection as Session

async function read(reader: SqliteConnection, query: CompiledQuery): Promise<QueryResult<unknown>> {
  try {
    return await retryWhileBusy(() => reader.run(query), within(READ_LIMIT_MS))
  } catch (error) {
    throw translateSqliteError(error)
  }
}

async function runNamed(connection: DatabaseConnection, command: string, name: string): Promise<void> {
  await connection.executeQuery(CompiledQuery.raw(`${command} "${name.replaceAll('"', '""')}"`))
}

class Adapter extends SqliteAdapter implements DirectAdapter {
  readonly joinsCommits = true
  readonly scope = this
  readonly #run: Run

  constructor(run: Run) {
    super()
    this.#run = run
  }

  runDirectly<Row>(query: CompiledQuery<Row>): Promise<QueryResult<Row>> {
    return this.#run(query) as Promise<QueryResult<Row>>
  }

  isAmong(value: Expression<unknown>, list: unknown): RawBuilder<SqlBool> {
    return sql<SqlBool>`${value} in (select value from json_each(${list}))`
  }

  toList(values: readonly string[]): string {
    return JSON.stringify(values)
  }

  jsonRows(json: unknown): RawBuilder<{ value: unknown }> {
    return sql`json_each(${json})`
  }

  boundIdle(): undefined {}

  override get supportsMultipleConnections(): boolean {
    return true
  }

  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

class QueryCompiler extends SqliteQueryCompiler {
  /** Row locks are left out: whoever writes is alone. */
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (node.rawModifier || node.modifier === 'Distinct') super.visitSelectModifier(node)
  }

  protected override visitDataType(node: DataTypeNode): void {
    this.append(node.dataType === 'uuid' ? 'text' : node.dataType)
  }
}
