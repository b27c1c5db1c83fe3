import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { query } from './query.ts'
import { isTraced, keepTrace } from './traces.ts'

/** Keeps what the audit log of a SQLite file holds, if there is one, for the search at the end of the run. */
export function keepSqliteEvents(file: string): void {
  if (!isTraced() || !existsSync(file)) return
  const database = new DatabaseSync(file, { readOnly: true })
  try {
    const table = database.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'audit_events'`).get()
    if (table !== undefined) keepEvents(database.prepare('SELECT * FROM audit_events').all())
  } finally {
    database.close()
  }
}

/** The same of a database on PostgreSQL. */
export async function keepPostgresEvents(url: string): Promise<void> {
  if (!isTraced()) return
  const [found] = await query(url, `SELECT to_regclass('audit_events') AS name`)
  if (found?.name) keepEvents(await query(url, 'SELECT * FROM audit_events'))
}

const keepEvents = (rows: object[]): void =>
  keepTrace('audit', rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
