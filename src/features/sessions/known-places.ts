import { type Caller, sameNetwork } from '../../core/caller.ts'
import type { UserId } from '../../core/ids.ts'
import type { Db } from '../../database/tables.ts'

/** More of one agent than anybody has. */
const MOST_LOOKED_AT = 100

/** Whether a user has, or lately had, a session of this agent from this network. */
export async function hasSessionFrom(db: Db, userId: UserId, { ip, userAgent }: Caller): Promise<boolean> {
  const rows = await db
    .selectFrom('sessions')
    .select('ip')
    .distinct()
    .where('user_id', '=', userId)
    .where('user_agent', '=', userAgent)
    .limit(MOST_LOOKED_AT)
    .execute()
  return rows.some((row) => sameNetwork(row.ip, ip))
}
