import { sql } from 'kysely'
import type { Clock, Timestamp } from '../core/clock.ts'
import { gather } from '../database/gather.ts'
import type { Db } from '../database/tables.ts'
import type { Count, Counters } from './counters.ts'

type Addition = { key: string; windowMs: number; points: number; now: Timestamp }
type Group = readonly Addition[]
type Row = { key: string; count: number; ends_at: Timestamp }

/**
 * Counters that all nodes share, in a table. What is counted at the same time goes in one statement, so that a storm costs few
 * round trips. While the database is down nothing that is counted can be done, so an error goes on to the caller.
 */
export function createPostgresCounters(db: Db, clock: Clock): Counters {
  return { add: (key, windowMs, points = 1) => addAll(db, { key, windowMs, points, now: clock.now() }) }
}

const addAll = gather(async (db, additions: Addition[]): Promise<Count[]> => {
  const groups = Map.groupBy(additions, ({ key }) => key)
  const rows = await store(db, [...groups.values()])
  const counts = new Map<Addition, Count>()
  for (const { key, count, ends_at } of rows) {
    const group = groups.get(key) ?? []
    let sum = count - total(group)
    for (const addition of group) {
      sum += addition.points
      counts.set(addition, { count: sum, msLeft: Math.max(0, ends_at - addition.now) })
    }
  }
  return additions.map((addition) => counts.get(addition) ?? { count: 0, msLeft: addition.windowMs })
})

/** Writes no row for what is only looked at. */
async function store(db: Db, groups: readonly Group[]): Promise<Row[]> {
  const isLook = (group: Group) => group.every(({ points }) => points === 0)
  const looks = groups.filter(isLook)
  const changes = groups.filter((group) => !isLook(group))
  const rows = await Promise.all([
    changes.length > 0 ? upsert(db, changes) : [],
    looks.length > 0 ? look(db, looks) : [],
  ])
  return rows.flat()
}

/** Those that nobody has counted since their window has passed are not found. */
function look(db: Db, groups: readonly Group[]): Promise<Row[]> {
  const firsts = groups.flatMap(([first]) => first ?? [])
  const keys = firsts.map(({ key }) => key)
  const now = Math.max(...firsts.map((addition) => addition.now))
  return db
    .selectFrom('counters')
    .selectAll()
    .where(sql<boolean>`key = any(${keys})`)
    .where('ends_at', '>', now)
    .execute()
}

const total = (group: readonly Addition[]): number => group.reduce((sum, { points }) => sum + points, 0)

/** In the order of their keys, so that two nodes never wait for each other. */
async function upsert(db: Db, groups: readonly Group[]): Promise<Row[]> {
  const firsts = groups.flatMap(([first]) => first ?? [])
  const keys = firsts.map(({ key }) => key)
  const points = groups.map(total)
  const ends = firsts.map(({ now, windowMs }) => now + windowMs)
  const now = Math.max(...firsts.map((addition) => addition.now))
  const { rows } = await sql<Row>`
    insert into counters as c (key, count, ends_at)
    select * from unnest(${keys}::text[], ${points}::int8[], ${ends}::int8[]) as added (key, count, ends_at) order by key
    on conflict (key) do update set
      count = case when c.ends_at <= ${now} then excluded.count else c.count + excluded.count end,
      ends_at = case when c.ends_at <= ${now} then excluded.ends_at else c.ends_at end
    returning key, count, ends_at`.execute(db)
  return rows
}

/**
 * Deletes some of those whose window has passed, and waits for none that somebody is just beginning anew.
 * @returns how many
 */
export async function deletePassedCounters(db: Db, now: Timestamp, limit: number): Promise<number> {
  const passed = db
    .selectFrom('counters')
    .select('key')
    .where('ends_at', '<=', now)
    .orderBy('key')
    .limit(limit)
    .forUpdate()
    .skipLocked()
  const rows = await db
    .deleteFrom('counters')
    .where('key', 'in', passed)
    .where('ends_at', '<=', now)
    .returning('key')
    .execute()
  return rows.length
}
