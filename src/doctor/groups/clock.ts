import { MINUTE, SECOND, type Timestamp } from '../../core/clock.ts'
import { createDatabaseClock } from '../../database/clock.ts'
import { findNewestEvent } from '../../features/audit/list-queries.ts'
import { MAX_CLOCK_DISAGREEMENT_MS } from '../../features/health/readiness.ts'
import { defineGroup } from '../check.ts'
import type { Scene } from '../scene.ts'

export type ClockFacts = Readonly<{
  /** Of the database, or on SQLite of this machine. */
  now: Timestamp
  disagreementMs: number
  newestEventAt: Timestamp | undefined
}>

async function gather(scene: Scene): Promise<ClockFacts | undefined> {
  const database = await scene.openTables()
  if (!database) return undefined
  const { clock: shared, disagreementMs } = await createDatabaseClock(database, scene.clock)
  const newest = await findNewestEvent(database.db, {})
  return { now: shared.now(), disagreementMs: disagreementMs(), newestEventAt: newest?.occurred_at }
}

const seconds = (ms: number): string => `${(ms / SECOND).toFixed(1)} seconds`

export const clock = defineGroup('clock', gather, [
  {
    id: 'clock.agreement',
    level: 'error',
    why: 'A node reports itself not ready, since nodes would not agree on when something expires',
    mend: "Let NTP set the clocks of this machine and of the database's",
    find: ({ disagreementMs }) =>
      disagreementMs > MAX_CLOCK_DISAGREEMENT_MS &&
      `The clock of this machine and the database's are ${seconds(disagreementMs)} apart`,
  },
  {
    id: 'clock.drift',
    level: 'warning',
    why: 'Clocks that nobody sets drift on, and at five seconds the node is not ready any more',
    mend: "Let NTP set the clocks of this machine and of the database's",
    find: ({ disagreementMs }) =>
      disagreementMs > SECOND &&
      disagreementMs <= MAX_CLOCK_DISAGREEMENT_MS &&
      `The clock of this machine and the database's are ${seconds(disagreementMs)} apart`,
  },
  {
    id: 'clock.set_back',
    level: 'error',
    why: 'The clock is behind, or was ahead before: tokens and sessions last too long, or end at once',
    mend: 'Let NTP set the clock; if it was ahead before, wait, or end all sessions',
    find: ({ now, newestEventAt }) =>
      newestEventAt !== undefined &&
      newestEventAt - now > MINUTE &&
      `The newest event in the database is ${seconds(newestEventAt - now)} from the future`,
  },
])
