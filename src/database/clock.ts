import type { Clock, Timestamp } from '../core/clock.ts'
import { Problem } from '../core/problems.ts'
import type { Database } from './connection.ts'

const MEASUREMENTS = 3

export type DatabaseClock = {
  /** Integers, but not monotone: a new measurement may set it back by what the last was wrong. */
  clock: Clock
  /** Measures anew, to be called every minute; while the database is away the last measurement holds. */
  synchronize(): Promise<void>
  /** Milliseconds by which the local clock is off, either way. */
  disagreementMs(): number
}

type Measurement = { offset: number; roundTrip: number }

/**
 * The time that all nodes share: on PostgreSQL the local clock plus its measured offset from the
 * database's, on SQLite the local clock itself.
 * @throws Problem `database_unavailable`
 */
export async function createDatabaseClock(
  database: Pick<Database, 'kind' | 'now'>,
  local: Clock,
): Promise<DatabaseClock> {
  if (database.kind === 'sqlite')
    return { clock: local, synchronize: async () => {}, disagreementMs: () => 0 }
  let offset = await measureOffset(database, local)
  return {
    clock: { now: (): Timestamp => local.now() + offset },
    disagreementMs: () => Math.abs(offset),
    async synchronize() {
      try {
        offset = await measureOffset(database, local)
      } catch (error) {
        if (!(error instanceof Problem && error.code === 'database_unavailable')) throw error
      }
    },
  }
}

/** Milliseconds to add to the local clock: from the quickest round trip, off by half of it at most. */
async function measureOffset(database: Pick<Database, 'now'>, local: Clock): Promise<number> {
  let best: Measurement | undefined
  for (let count = 0; count < MEASUREMENTS; count++) {
    const measured = await measureOnce(database, local)
    if (!best || measured.roundTrip < best.roundTrip) best = measured
  }
  return best?.offset ?? 0
}

async function measureOnce(database: Pick<Database, 'now'>, local: Clock): Promise<Measurement> {
  const sent = local.now()
  const theirs = await database.now()
  const received = local.now()
  return { offset: Math.round(theirs - (sent + received) / 2), roundTrip: received - sent }
}
