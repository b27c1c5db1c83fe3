import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from 'node:sqlite'
import type { CompiledQuery, QueryResult } from 'kysely'

/** How long one call may block the event loop waiting for another process; longer waits are asynchronous. */
const BUSY_TIMEOUT_MS = 5
const MAX_STATEMENTS = 500
const COUNTS_ROWS = /^\s*(?:insert|update|delete|replace|with)\b/i

export type Row = Record<string, unknown>

/** One connection to an SQLite file. Calls are synchronous and throw SQLite's own errors. */
export type SqliteConnection = {
  readonly isTransaction: boolean
  exec(sql: string): void
  run(query: CompiledQuery): QueryResult<Row>
  close(): void
}

type Column = { name: string; isBoolean: boolean }
type Prepared = { statement: StatementSync; columns: Column[]; countsRows: boolean }

/** Opens the file, which is created with the umask's mode when it is missing, unless it is only to be read. */
export function openSqliteConnection(file: string | URL, { readOnly = false } = {}): SqliteConnection {
  const options = { readOnly, timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true }
  const database = new DatabaseSync(file, options)
  const statements = new Map<string, Prepared>()
  return {
    get isTransaction() {
      return database.isTransaction
    },
    exec: (sql) => database.exec(sql),
    run: (query) => runPrepared(prepareOnce(database, statements, query.sql), query.parameters),
    close: () => database.close(),
  }
}

function prepareOnce(database: DatabaseSync, statements: Map<string, Prepared>, sql: string): Prepared {
  const known = statements.get(sql)
  if (known) return known
  const statement = database.prepare(sql)
  statement.setReturnArrays(true)
  const prepared = { statement, columns: readColumns(statement), countsRows: COUNTS_ROWS.test(sql) }
  statements.set(sql, prepared)
  if (statements.size > MAX_STATEMENTS) evictOldest(statements)
  return prepared
}

function evictOldest(statements: Map<string, Prepared>): void {
  for (const [sql, { statement }] of statements) {
    statements.delete(sql)
    finalize(statement)
    return
  }
}

/** Without `close` (Node 24) the garbage collector finalises the statement. */
function finalize(statement: StatementSync & { close?: () => void }): void {
  statement.close?.()
}

const readColumns = (statement: StatementSync): Column[] =>
  statement.columns().map(({ name, type }) => ({ name, isBoolean: type?.toLowerCase() === 'boolean' }))

function runPrepared(prepared: Prepared, parameters: readonly unknown[]): QueryResult<Row> {
  const { statement, countsRows } = prepared
  const values = parameters.map(toSqlite)
  if (prepared.columns.length === 0) {
    const { changes } = statement.run(...values)
    return countsRows ? { rows: [], numAffectedRows: BigInt(changes) } : { rows: [] }
  }
  // With setReturnArrays(true) each row is an array, which the declared type does not know.
  const found = statement.all(...values) as unknown as SQLOutputValue[][]
  if (found[0] && found[0].length !== prepared.columns.length) prepared.columns = readColumns(statement)
  const rows = found.map((row) => toRow(prepared.columns, row))
  return countsRows ? { rows, numAffectedRows: BigInt(rows.length) } : { rows }
}

function toSqlite(value: unknown): SQLInputValue {
  if (value === undefined) throw new TypeError('A query parameter is undefined')
  if (typeof value === 'boolean') return value ? 1 : 0
  // What else SQLite cannot store is refused by node:sqlite itself, with a TypeError.
  return value as SQLInputValue
}

function toRow(columns: Column[], values: SQLOutputValue[]): Row {
  const row: Row = {}
  for (let index = 0; index < columns.length; index += 1) {
    const { name, isBoolean } = columns[index] as Column
    const value = values[index]
    row[name] = isBoolean && value !== null ? value !== 0 : value
  }
  return row
}
