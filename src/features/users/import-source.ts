import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { StartupError } from '../../core/problems.ts'

/** A row of the FastAPI tutorial's `users` table. Its id is text here, and its flags are 0 or 1. */
export type SourceUser = {
  id: string
  username: string | null
  email: string | null
  hashed_password: string | null
  is_active: number
  is_superuser: number
  created_at: string | null
  updated_at: string | null
}

export type ImportSource = {
  /** How many rows there are to read. */
  total: number
  rows: Iterable<SourceUser>
  close(): void
}

const NEEDED_COLUMNS = ['username', 'email', 'hashed_password']
const BUSY_TIMEOUT_MS = 5000
const CANNOT_OPEN = 14
const READ_ONLY = 8
const NOT_A_DATABASE = 26

/**
 * Opens the file for reading one snapshot of its users in the order of their ids; the file is never written.
 * @throws StartupError when it is not a database with such a table
 */
export function openImportSource(file: string): ImportSource {
  if (!statSync(file, { throwIfNoEntry: false })?.isFile())
    throw new StartupError(`${file}: there is no such file`)
  try {
    return readUsers(openReadOnly(file))
  } catch (error) {
    throw error instanceof StartupError
      ? error
      : new StartupError(`${file}: ${reason(error)}`, { cause: error })
  }
}

/**
 * A file with a write-ahead log needs a place beside it for shared memory, and one with a journal wants to be
 * written. Where that cannot be, it is read as it stands, but only if nothing waits there.
 */
function openReadOnly(file: string): DatabaseSync {
  const options = { readOnly: true, timeout: BUSY_TIMEOUT_MS }
  try {
    return beginReading(new DatabaseSync(file, options))
  } catch (error) {
    if (![CANNOT_OPEN, READ_ONLY].includes(sqliteCode(error))) throw error
    const journal = findJournal(file)
    if (journal) {
      throw new StartupError(
        `${file}: changes wait in ${journal} that cannot be read here; copy both to where you may write`,
      )
    }
    const url = pathToFileURL(file)
    url.searchParams.set('immutable', '1')
    return beginReading(new DatabaseSync(url, options))
  }
}

function beginReading(database: DatabaseSync): DatabaseSync {
  try {
    database.exec('begin')
    database.prepare('select count(*) from sqlite_schema').get()
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** A write-ahead log, or the rollback journal of a writer that was killed: without it the file is not whole. */
const findJournal = (file: string): string | undefined =>
  [`${file}-wal`, `${file}-journal`].find((journal) => statSync(journal, { throwIfNoEntry: false })?.size)

function readUsers(database: DatabaseSync): ImportSource {
  try {
    const columns = readColumns(database)
    const { total } = database.prepare('select count(*) as total from users').get() as { total: number }
    const rows = database.prepare(selectUsers(columns)).iterate() as unknown as Iterable<SourceUser>
    return { total, rows, close: () => database.close() }
  } catch (error) {
    database.close()
    throw error
  }
}

/** The names of the table's columns in lower case, as SQLite compares them. */
function readColumns(database: DatabaseSync): Set<string> {
  const found = database.prepare("select lower(name) as name from pragma_table_info('users')").all()
  const columns = new Set(found.map(({ name }) => String(name)))
  if (columns.size === 0) throw new Error('it has no table "users"')
  const missing = NEEDED_COLUMNS.filter((name) => !columns.has(name))
  if (missing.length > 0) throw new Error(`its table "users" has no column ${missing.join(', ')}`)
  return columns
}

/** The casts read what Python stored as bytes, and integers of any size. */
function selectUsers(columns: Set<string>): string {
  const id = columns.has('id') ? 'id' : 'rowid'
  const text = (name: string) => (columns.has(name) ? `cast(${name} as text) as ${name}` : `null as ${name}`)
  const flag = (name: string, unset: 0 | 1) =>
    columns.has(name) ? `coalesce(${name}, ${unset}) = 1 as ${name}` : `${unset} as ${name}`
  return `select coalesce(cast(${id} as text), '') as id, ${text('username')}, ${text('email')},
    ${text('hashed_password')}, ${flag('is_active', 1)}, ${flag('is_superuser', 0)},
    ${text('created_at')}, ${text('updated_at')} from users order by users.${id}`
}

const sqliteCode = (error: unknown): number =>
  error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : -1

function reason(error: unknown): string {
  if (sqliteCode(error) === NOT_A_DATABASE) return 'it is not an SQLite database'
  return error instanceof Error ? error.message : String(error)
}
