import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { CompiledQuery, Kysely } from 'kysely'
import { type Clock, systemClock } from '../core/clock.ts'
import { type Database, type DatabaseSettings, openDatabase } from './connection.ts'
import { openSqliteConnection, type SqliteConnection } from './sqlite-connection.ts'
import { createSqliteDialect } from './sqlite-dialect.ts'
import { cannotOpen } from './sqlite-file.ts'
import type { SqliteWriter } from './sqlite-writer.ts'
import type { Tables } from './tables.ts'

export type ReadableDatabase = Pick<Database, 'kind' | 'db' | 'schema' | 'now' | 'requireCreate' | 'close'>

/**
 * Opens a database that exists, to look at it: nothing is created, not even the files that SQLite keeps beside its own.
 * On PostgreSQL it takes one connection, and it is for the caller not to write.
 * @throws StartupError with one line for the operator, without the password
 */
export async function openDatabaseToRead(
  settings: DatabaseSettings,
  local: Clock = systemClock,
): Promise<ReadableDatabase> {
  if (settings.kind === 'postgres') return openDatabase({ ...settings, poolSize: 1 })
  const reader = openReader(settings.file)
  return {
    kind: 'sqlite',
    db: new Kysely<Tables>({ dialect: createSqliteDialect(reader, refuseWriting(reader)) }),
    schema: undefined,
    now: async () => local.now(),
    requireCreate: async () => {},
    close: async () => reader.close(),
  }
}

function openReader(file: string): SqliteConnection {
  try {
    const reader = openSqliteConnection(locate(file), { readOnly: true })
    try {
      reader.run(CompiledQuery.raw('select count(*) from sqlite_schema'))
      return reader
    } catch (error) {
      reader.close()
      throw error
    }
  } catch (error) {
    throw cannotOpen(file, error)
  }
}

/** Where nobody has the file open, SQLite would make its write-ahead log to read it, and leave that behind. */
function locate(file: string): string | URL {
  if (existsSync(walFile(file)) || existsSync(`${file}-journal`)) return file
  const url = pathToFileURL(file)
  url.search = '?mode=ro&immutable=1'
  return url
}

export const walFile = (file: string): string => `${file}-wal`

/** Statements that are no plain select, such as pragmas, run on the reader as well: SQLite refuses those that write. */
const refuseWriting = (reader: SqliteConnection): SqliteWriter => ({
  run: async (query) => reader.run(query),
  begin: async () => {
    throw new TypeError('A database opened to be read has no transactions')
  },
  waiting: () => 0,
  close: async () => {},
})
