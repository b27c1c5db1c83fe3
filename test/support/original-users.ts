import { DatabaseSync } from 'node:sqlite'
import { hashSync } from '@node-rs/bcrypt'

export const OLD_PASSWORD = 'short1'
/** Of the lowest cost, so that tests are quick. */
export const OLD_HASH = hashSync(OLD_PASSWORD, 4)

export type OriginalUser = {
  username?: string | null
  email?: string | null
  hashed_password?: string | Uint8Array | null
  is_active?: number | null
  is_superuser?: number | null
  created_at?: string | null
  updated_at?: string | null
}

const CREATE = `CREATE TABLE users (
  id INTEGER NOT NULL, username VARCHAR(50), email VARCHAR(100), hashed_password VARCHAR,
  is_active BOOLEAN, is_superuser BOOLEAN, created_at DATETIME, updated_at DATETIME, PRIMARY KEY (id))`
const INSERT = `INSERT INTO users
  (username, email, hashed_password, is_active, is_superuser, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)`

/** Makes a database as the FastAPI tutorial's app has it; ids count from 1. */
export function createOriginal(file: string, users: Iterable<OriginalUser>, mode = 'delete'): void {
  const database = new DatabaseSync(file)
  database.exec(`PRAGMA journal_mode=${mode}; ${CREATE}; BEGIN`)
  const insert = database.prepare(INSERT)
  let id = 0
  for (const user of users) {
    id += 1
    const row = {
      username: `old${id}`,
      email: `old${id}@example.com`,
      hashed_password: OLD_HASH,
      is_active: 1,
      is_superuser: 0,
      created_at: '2024-01-02 03:04:05.678901',
      updated_at: null,
      ...user,
    }
    insert.run(
      row.username,
      row.email,
      row.hashed_password,
      row.is_active,
      row.is_superuser,
      row.created_at,
      row.updated_at,
    )
  }
  database.exec('COMMIT')
  database.close()
}
