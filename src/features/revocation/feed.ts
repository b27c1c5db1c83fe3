import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Context } from '../../context.ts'
import type { Timestamp } from '../../core/clock.ts'
import { follows, getEnd, isSamePlace, placeOf } from './places.ts'
import { publishRevocations } from './publish.ts'
import { listRevocationsAfter, type Place, type Revocation } from './queries.ts'

const PAGE = 1000
/** What streams that are nearly up to date need not ask the database for. */
const MOST_REMEMBERED = 10_000

/** The feed as this process knows it: kept up to date by one query, however many streams follow. */
export type Feed = {
  /** Publishes what waits, and reads what is new. */
  poll(): Promise<void>
  /** When it was last known to be up to date; 0 before that has been looked at. */
  polledAt(): Timestamp
  end(): Place
  /** What comes after a place; undefined when that must be looked for in the database. */
  after(place: Place): readonly Revocation[] | undefined
  /** How often there was something new. */
  changes(): number
  /** Calls whenever there is something new; gives what ends that. */
  onChange(listener: () => void): () => void
}

type FeedContext = Pick<Context, 'db' | 'clock'>

/** @throws Problem `database_unavailable` */
export async function openFeed(context: FeedContext): Promise<Feed> {
  const { db, clock } = context
  const listeners = new Set<() => void>()
  let end: Place = await getEnd(db)
  let polledAt: Timestamp = 0
  let changes = 0
  /** The last ones, without a gap. */
  let recent: Revocation[] = []

  async function poll(): Promise<void> {
    /** All that was committed before `at` has a number up to this one: a busy feed may always have more that waits. */
    let complete: { seq: number; at: Timestamp } | undefined
    for (;;) {
      const began = clock.now()
      const found = await getEnd(db)
      if (!isSamePlace(found, end)) {
        if (!(await read())) complete = undefined
        changes += 1
        for (const listener of listeners) listener()
        if (complete && end.seq >= complete.seq) {
          polledAt = complete.at
          return
        }
        await nextTurn()
      } else if (!found.hasUnpublished) {
        polledAt = began
        return
      } else {
        const published = await publishRevocations(context)
        if (!published) return
        if (published.isAll) complete = { seq: published.seq, at: began }
      }
    }
  }

  /** @returns whether the feed goes on from where this process was */
  async function read(): Promise<boolean> {
    const rows = await listRevocationsAfter(db, { after: end.seq, limit: PAGE })
    const last = rows.at(-1)
    if (last && follows(rows, end)) {
      recent = [...recent, ...rows].slice(-MOST_REMEMBERED)
      end = placeOf(last)
      return true
    }
    // Set back by a restored backup, or this process was away for longer than revocations are kept.
    recent = []
    end = await getEnd(db)
    return false
  }

  return {
    poll,
    polledAt: () => polledAt,
    end: () => end,
    after(place) {
      if (isSamePlace(place, end)) return []
      const [oldest] = recent
      if (!oldest || place.seq + 1 < oldest.seq) return undefined
      const rows = recent.slice(place.seq + 1 - oldest.seq)
      return follows(rows, place) ? rows : undefined
    },
    changes: () => changes,
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
  }
}
