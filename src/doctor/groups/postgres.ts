import { isLoopback } from '../../core/settings/addresses.ts'
import { inspectPostgres, type PostgresFacts } from '../../database/inspect-postgres.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

export type ServerFacts = PostgresFacts & Readonly<{ wantedConnections: number }>

async function gather(scene: Scene): Promise<ServerFacts | undefined> {
  const { database: settings, workers } = scene.settings()
  if (settings.kind !== 'postgres') return undefined
  const database = await scene.readDatabase()
  if (!database) return undefined
  // Each process has one more while it starts.
  const wantedConnections = Math.max(settings.poolSize, workers) + workers
  return { ...(await inspectPostgres(database.db, settings.url)), wantedConnections }
}

/** A socket's path, or this machine. */
const isNear = (host: string): boolean => host.startsWith('/') || isLoopback(host)

export const postgres = defineGroup('postgres', gather, [
  {
    id: 'postgres.primary',
    level: 'error',
    why: 'A replica is read-only: nobody can sign in',
    mend: 'Let DATABASE_URL name the primary',
    find: ({ isReplica }) => isReplica && 'The server is a replica',
  },
  {
    id: 'postgres.encryption',
    level: 'warning',
    why: 'Whoever is between the two reads the password of the database, addresses and password hashes',
    mend: 'Add sslmode=verify-full to DATABASE_URL, unless both are alone on a network of their own',
    find: ({ host, encryption }) =>
      encryption === 'none' && !isNear(host) && `The connection to ${host} is not encrypted`,
  },
  {
    id: 'postgres.certificate',
    level: 'warning',
    why: 'Whoever gets between the two can pass for the database, and is given its password',
    mend: 'Set sslmode=verify-full in DATABASE_URL, and sslrootcert for an authority of your own',
    find: ({ host, encryption }) =>
      encryption === 'unverified' && !isNear(host) && `The certificate of ${host} is not verified`,
  },
  {
    id: 'postgres.durability',
    level: 'error',
    why: 'A power failure can destroy the whole database',
    mend: 'Set fsync and full_page_writes to on in postgresql.conf',
    find: ({ fsync, fullPageWrites }) => [
      ...(fsync ? [] : ['fsync is off']),
      ...(fullPageWrites ? [] : ['full_page_writes is off']),
    ],
  },
  {
    id: 'postgres.synchronous_commit',
    level: 'warning',
    why: 'A crash undoes what was answered just before: a sign-out, a new password, the end of a stolen session',
    mend: 'Set synchronous_commit to on, for the server, the database or the role',
    find: ({ synchronousCommit }) => synchronousCommit === 'off' && 'synchronous_commit is off',
  },
  {
    id: 'postgres.role',
    level: 'warning',
    why: 'Who finds a way to send SQL, or reads DATABASE_URL, has every database of the server, and its files',
    mend: 'Use a role that owns this database and nothing else (docs/deployment.md)',
    find: ({ isSuperuser }) => isSuperuser && 'The role is a superuser of PostgreSQL',
  },
  {
    id: 'postgres.connections',
    level: 'warning',
    why: 'Beyond the limit requests are answered 503',
    mend: 'Raise max_connections, or lower DATABASE_POOL_SIZE; nodes times connections must stay below it',
    find: ({ wantedConnections, maxConnections }) =>
      wantedConnections > maxConnections &&
      `One node opens up to ${wantedConnections} connections, and there are ${maxConnections}`,
  },
])
