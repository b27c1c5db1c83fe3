import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { CompiledQuery } from 'kysely'
import { StartupError } from '../core/problems.ts'
import { openSqliteConnection, type SqliteConnection } from './sqlite-connection.ts'
import { retryWhileBusy, sqliteCode, within } from './sqlite-errors.ts'

const OPEN_LIMIT_MS = 5000
const NOT_A_DATABASE = 26
/** The reader sees the file in memory that it shares with the system's cache: reading a page copies nothing. */
const MAX_MAPPED_BYTES = 2 ** 30

export type SqliteFile = { writer: SqliteConnection; reader: SqliteConnection }

/**
 * Opens the file with one connection that writes and one that reads; a new file is for its owner alone.
 * @throws StartupError when that is not possible
 */
export async function openSqliteFile(file: string): Promise<SqliteFile> {
  const path = resolve(file)
  const opened: SqliteConnection[] = []
  const open = (): SqliteConnection => {
    const connection = openSqliteConnection(path)
    opened.push(connection)
    return connection
  }
  try {
    createPrivately(path)
    const writer = open()
    await retryWhileBusy(() => prepareWriter(writer), within(OPEN_LIMIT_MS))
    const reader = open()
    reader.exec(`pragma query_only = on; pragma mmap_size = ${MAX_MAPPED_BYTES}`)
    return { writer, reader }
  } catch (error) {
    for (const connection of opened) connection.close()
    throw cannotOpen(path, error)
  }
}

/**
 * SQLite gives its write-ahead log the mode of the file. A file that exists is not touched: closing a
 * descriptor of it would drop the locks that this process holds on it (fcntl).
 */
function createPrivately(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
}

function prepareWriter(writer: SqliteConnection): void {
  const { rows } = writer.run(CompiledQuery.raw('pragma journal_mode = wal'))
  const mode = rows[0]?.journal_mode
  if (mode !== 'wal') throw new Error(`its file system allows no write-ahead log (journal mode ${mode})`)
  writer.exec('pragma synchronous = full')
}

export const cannotOpen = (path: string, error: unknown): StartupError =>
  new StartupError(`The SQLite database ${path} cannot be opened: ${reason(error)}`, { cause: error })

function reason(error: unknown): string {
  if (sqliteCode(error) === NOT_A_DATABASE) return 'it is not an SQLite database'
  return error instanceof Error ? error.message : String(error)
}
