import { setTimeout as sleep } from 'node:timers/promises'
import { databaseUnavailable } from './unavailable.ts'

const BUSY = 5

/** Primary result codes that say the database cannot work now, whatever was asked (sqlite.org/rescode.html). */
const AWAY = new Map([
  [BUSY, 'BUSY'],
  [6, 'LOCKED'],
  [8, 'READONLY'],
  [10, 'IOERR'],
  [11, 'CORRUPT'],
  [13, 'FULL'],
  [14, 'CANTOPEN'],
  [15, 'PROTOCOL'],
  [26, 'NOTADB'],
])

const FIRST_PAUSE_MS = 1
const LONGEST_PAUSE_MS = 25

/** The result code without its extension; undefined when the error is not SQLite's. */
export function sqliteCode(error: unknown): number | undefined {
  const extended = error instanceof Error && 'errcode' in error ? error.errcode : undefined
  return typeof extended === 'number' ? extended & 0xff : undefined
}

/** The error a caller sees: `database_unavailable` when the database is at fault, else the same error. */
export function translateSqliteError(error: unknown): unknown {
  const code = sqliteCode(error)
  return code !== undefined && AWAY.has(code) ? databaseUnavailable(error) : error
}

/**
 * Attempts until another process no longer holds the lock; between attempts the event loop runs.
 * @throws the last error, when it is another one or `mayRetry` says no
 */
export async function retryWhileBusy<T>(attempt: () => T, mayRetry: () => boolean): Promise<T> {
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return attempt()
    } catch (error) {
      if (sqliteCode(error) !== BUSY || !mayRetry()) throw error
    }
    await sleep(pause)
  }
}

/** A `mayRetry` that says yes for so long. */
export function within(milliseconds: number): () => boolean {
  const end = performance.now() + milliseconds
  return () => performance.now() < end
}
