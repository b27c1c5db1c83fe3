import type { Caller } from '../../core/caller.ts'
import type { Timestamp } from '../../core/clock.ts'
import type { SessionId, UserId } from '../../core/ids.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvents } from '../audit/events.ts'
import { insertRevocations } from '../revocation/queries.ts'
import type { EndReason } from './ending-queries.ts'

type End = { userId: UserId; reason: EndReason; caller: Caller | undefined }

/** Writes down the end of each of a user's sessions, in the transaction that ended them: for the record, and for every API. */
export async function recordSessionsEnded(
  trx: Db,
  now: Timestamp,
  sessionIds: readonly SessionId[],
  { userId, reason, caller }: End,
): Promise<void> {
  await insertRevocations(trx, 'session', sessionIds)
  await recordEvents(
    trx,
    now,
    sessionIds.map((sessionId) => ({ type: 'session.ended', userId, sessionId, caller, detail: { reason } })),
  )
}
