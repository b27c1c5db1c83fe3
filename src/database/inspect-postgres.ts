import { sql } from 'kysely'
import pg from 'pg'
import type { Db } from './tables.ts'

export type PostgresFacts = {
  version: number
  host: string
  /** How `sslmode` has it: the driver never falls back to less. */
  encryption: 'none' | 'unverified' | 'verified'
  isReplica: boolean
  isSuperuser: boolean
  fsync: boolean
  fullPageWrites: boolean
  synchronousCommit: string
  /** That this role may have open in this database at once. */
  maxConnections: number
}

type Row = Omit<PostgresFacts, 'host' | 'encryption'>

/** Looks at a PostgreSQL server, the database and the role; any role may ask. */
export async function inspectPostgres(db: Db, url: string): Promise<PostgresFacts> {
  const { rows } = await sql<Row>`
    select
      current_setting('server_version_num')::int4 / 10000 as "version",
      pg_is_in_recovery() as "isReplica",
      coalesce((select rolsuper from pg_roles where rolname = current_user), false) as "isSuperuser",
      current_setting('fsync')::bool as "fsync",
      current_setting('full_page_writes')::bool as "fullPageWrites",
      current_setting('synchronous_commit') as "synchronousCommit",
      least(
        current_setting('max_connections')::int4
          - current_setting('superuser_reserved_connections')::int4
          - coalesce(current_setting('reserved_connections', true), '0')::int4,
        (select nullif(rolconnlimit, -1) from pg_roles where rolname = current_user),
        (select nullif(datconnlimit, -1) from pg_database where datname = current_database())
      ) as "maxConnections"`.execute(db)
  const [row] = rows
  if (!row) throw new TypeError('a select without a table gives one row')
  return { ...row, ...describeConnection(url) }
}

/** Asked of the driver: behind PgBouncer the server knows of PgBouncer's own connection only. */
function describeConnection(url: string): Pick<PostgresFacts, 'host' | 'encryption'> {
  const { host, ssl } = new pg.Client({ connectionString: url })
  // The declared type leaves out that `ssl` may hold options.
  const options = ssl as boolean | { rejectUnauthorized?: boolean }
  if (!options) return { host, encryption: 'none' }
  const isUnverified = options !== true && options.rejectUnauthorized === false
  return { host, encryption: isUnverified ? 'unverified' : 'verified' }
}
