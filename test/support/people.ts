import { hash } from '@node-rs/bcrypt'
import type { Insertable, Selectable } from 'kysely'
import { newId } from '../../src/core/ids.ts'
import type { AuditEventsTable, User, UsersTable } from '../../src/database/tables.ts'
import { emailKey, usernameKey } from '../../src/features/users/names.ts'
import type { TestServer } from '../kit.ts'

let users = 0

/** Puts a user into the database as an import does; without a password unless a hash is given. */
export async function insertUser(
  { context }: TestServer,
  columns: Partial<Insertable<UsersTable>> = {},
): Promise<User> {
  users += 1
  const username = columns.username ?? `stored${users}`
  const email = `${username}@example.com`
  const now = context.clock.now()
  return context.db
    .insertInto('users')
    .values({
      id: newId(),
      username,
      username_key: usernameKey(username),
      email,
      email_key: emailKey(email),
      email_verified_at: null,
      password_hash: null,
      bcrypt_cost: null,
      is_active: true,
      is_superuser: false,
      created_at: now,
      updated_at: now,
      ...columns,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

/** A user with a bcrypt hash, cheap enough for a test. */
export async function insertBcryptUser(
  server: TestServer,
  username: string,
  password: string,
): Promise<User> {
  const password_hash = await hash(password, 4)
  return insertUser(server, { username, password_hash, bcrypt_cost: 4 })
}

export function getUser({ context: { db } }: TestServer, username: string): Promise<User> {
  return db.selectFrom('users').selectAll().where('username', '=', username).executeTakeFirstOrThrow()
}

type Event = Omit<Selectable<AuditEventsTable>, 'detail'> & { detail: unknown }

/** What the audit log holds, oldest first, about one user or about nobody. */
export async function listEvents({ context: { db } }: TestServer, userId: string | null): Promise<Event[]> {
  const rows = await db
    .selectFrom('audit_events')
    .selectAll()
    .where('user_id', userId === null ? 'is' : '=', userId)
    .orderBy('id')
    .execute()
  return rows.map((row) => ({ ...row, detail: row.detail === null ? null : JSON.parse(row.detail) }))
}
