import type { CompiledQuery, QueryResult } from 'kysely'
import type { Row, SqliteConnection } from './sqlite-connection.ts'
import { retryWhileBusy, translateSqliteError } from './sqlite-errors.ts'
import { databaseUnavailable } from './unavailable.ts'

/** One `BEGIN IMMEDIATE ... COMMIT` after another, each on behalf of several turns. Errors are translated. */
export type SharedTransaction = {
  /** False also when SQLite has given it up by itself (disk full, I/O error): nothing more may be written. */
  readonly isOpen: boolean
  /** Waits for other processes as long as `mayRetry` says. */
  open(mayRetry: () => boolean): Promise<void>
  run(query: CompiledQuery): QueryResult<Row>
  /** Runs savepoint commands; when they fail, nobody's work can be told from another's, so all is given up. */
  mark(commands: string): void
  /** Gives the failure, the same for all members, or undefined. */
  commit(): unknown
}

export function createSharedTransaction(connection: SqliteConnection): SharedTransaction {
  /** Why the transaction is gone before its commit. */
  let lost: unknown

  const isOpen = () => lost === undefined && connection.isTransaction

  function giveUp(error: unknown): void {
    lost ??= databaseUnavailable(error)
    try {
      if (connection.isTransaction) connection.exec('rollback')
    } catch {
      // open() rolls back before anything else is written.
    }
  }

  function requireOpen(): void {
    if (isOpen()) return
    giveUp(new Error('The transaction has been ended by something else'))
    throw lost
  }

  return {
    get isOpen() {
      return isOpen()
    },

    async open(mayRetry) {
      try {
        if (connection.isTransaction) connection.exec('rollback')
        await retryWhileBusy(() => connection.exec('begin immediate'), mayRetry)
      } catch (error) {
        throw translateSqliteError(error)
      }
      lost = undefined
    },

    run(query) {
      requireOpen()
      try {
        return connection.run(query)
      } catch (error) {
        if (!connection.isTransaction) giveUp(error)
        throw lost ?? translateSqliteError(error)
      }
    },

    mark(commands) {
      requireOpen()
      try {
        connection.exec(commands)
      } catch (error) {
        giveUp(error)
        throw lost
      }
    },

    commit() {
      try {
        requireOpen()
        connection.exec('commit')
      } catch (error) {
        giveUp(error)
      }
      return lost
    },
  }
}
