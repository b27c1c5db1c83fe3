import { sql } from 'kysely'
import type { Timestamp } from '../../core/clock.ts'
import type { SessionId } from '../../core/ids.ts'
import { adapterOf, prepareRow, prepareRows } from '../../database/compiled.ts'
import { gather } from '../../database/gather.ts'
import type { Db, Session } from '../../database/tables.ts'
import { hasActiveUser, isAlive, type Move } from './queries.ts'

type Rotation = Move & { next: number }

/**
 * Moves the session on to the generation `next`; undefined when another request did so first, or it is dead.
 * A token ahead of the row is honoured: only this server signs one, so the row came out of a backup.
 */
export async function rotateSession(db: Db, rotation: Rotation): Promise<Session | undefined> {
  const rotated = adapterOf(db).joinsCommits ? undefined : await rotateTogether(db, rotation)
  return rotated ?? rotateAlone(db, rotation)
}

const rotateAlone = prepareRow((db, rotation: Rotation) =>
  db
    .updateTable('sessions')
    .set({
      generation: rotation.next,
      rotated_at: rotation.now,
      ip: rotation.ip,
      user_agent: rotation.userAgent,
    })
    .where('id', '=', rotation.id)
    .where('generation', '<', rotation.next)
    .where(isAlive(rotation))
    .where(hasActiveUser)
    .returningAll(),
)

/** One statement, one commit. Of those who want the same session moved on, only the first takes part. */
const rotateTogether = gather(async (db, rotations: Rotation[]) => {
  const first = new Map(rotations.toReversed().map((rotation) => [rotation.id, rotation]))
  const rows = await rotateAll(db, toColumns([...first.values()]))
  const rotated = new Map(rows.map((session) => [session.id, session]))
  return rotations.map((rotation) =>
    first.get(rotation.id) === rotation ? rotated.get(rotation.id) : undefined,
  )
})

type Columns = { [Name in keyof Rotation as `${Name}s`]: Rotation[Name][] }

const toColumns = (rotations: Rotation[]): Columns => ({
  ids: rotations.map(({ id }) => id),
  nexts: rotations.map(({ next }) => next),
  nows: rotations.map(({ now }) => now),
  idleSinces: rotations.map(({ idleSince }) => idleSince),
  ips: rotations.map(({ ip }) => ip),
  userAgents: rotations.map(({ userAgent }) => userAgent),
})

type RotationRow = {
  id: SessionId
  next: number
  now: Timestamp
  idle_since: Timestamp
  ip: string
  user_agent: string
}

/**
 * For PostgreSQL. Passes over every session that somebody else has locked: waiting for several locks at once could
 * end in a deadlock, and would keep the others waiting.
 */
const rotateAll = prepareRows((db, { ids, nexts, nows, idleSinces, ips, userAgents }: Columns) =>
  db
    .updateTable('sessions')
    .from(
      sql<RotationRow>`unnest(${ids}::uuid[], ${nexts}::int[], ${nows}::bigint[], ${idleSinces}::bigint[],
        ${ips}::text[], ${userAgents}::text[])`.as<'rotation'>(
        sql`rotation (id, next, now, idle_since, ip, user_agent)`,
      ),
    )
    .set((eb) => ({
      generation: eb.ref('rotation.next'),
      rotated_at: eb.ref('rotation.now'),
      ip: eb.ref('rotation.ip'),
      user_agent: eb.ref('rotation.user_agent'),
    }))
    .whereRef('sessions.id', '=', 'rotation.id')
    .where('sessions.id', 'in', (eb) =>
      eb
        .selectFrom('sessions as free')
        .select('free.id')
        .where(sql<boolean>`free.id = any(${ids}::uuid[])`)
        .forNoKeyUpdate()
        .skipLocked(),
    )
    .whereRef('sessions.generation', '<', 'rotation.next')
    .where((eb) => isAlive({ now: eb.ref('rotation.now'), idleSince: eb.ref('rotation.idle_since') })(eb))
    .where(hasActiveUser)
    .returningAll('sessions'),
)
