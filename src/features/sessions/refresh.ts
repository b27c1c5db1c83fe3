import type { Context } from '../../context.ts'
import { type Caller, sameNetwork } from '../../core/caller.ts'
import type { Timestamp } from '../../core/clock.ts'
import { countOutcome } from '../../core/metrics.ts'
import { Problem, serverBusy } from '../../core/problems.ts'
import type { Settings } from '../../core/settings.ts'
import type { Session } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { deedOf, mailTo } from '../email/mail-to.ts'
import { insertRevocations } from '../revocation/queries.ts'
import { findUser } from '../users/queries.ts'
import { revokeSession } from './ending-queries.ts'
import { issueTokens, type TokenPair } from './issue-tokens.ts'
import { livenessAt } from './liveness.ts'
import { consumeRecovery, findLiveSession, type Liveness, RECOVERY_DISTANCE } from './queries.ts'
import { rotateSession } from './rotation-queries.ts'

/** Each lost race means that another request moved the session on; so many in a row do not happen. */
const MAX_ATTEMPTS = 10

type RefreshRequest = { refreshToken: string; caller: Caller }
type Advanced = { session: Session; outcome: 'rotated' | 'replayed' | 'recovered' }

/**
 * Trades a refresh token for the next pair (RFC 9700 section 4.14.2).
 * The token before the current one gives the same successor again: freely to a race or retry within the reuse
 * window, and once to a client that lost the reply and comes back later. Anything older ends the session.
 * @throws Problem `refresh_token_invalid`, `refresh_token_reused`, `server_busy`
 */
export async function refreshSession(context: Context, request: RefreshRequest): Promise<TokenPair> {
  const advanced = advance(context, request)
  const { session } = await countOutcome(context.metrics.refresh, advanced, ({ outcome }) => outcome)
  request.caller.userId = session.user_id
  return issueTokens(context, session)
}

async function advance(context: Context, { refreshToken, caller }: RefreshRequest): Promise<Advanced> {
  const claims = context.tokens.verifyRefresh(refreshToken)
  if (!claims) throw new Problem('refresh_token_invalid')
  // Else every try would move the session on, until the client's token counts as reused.
  context.tokens.requireSigner()
  const { sid, gen } = claims
  const { db, settings } = context
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const liveness = livenessAt(context)
    const { now } = liveness
    const rotated = await rotateSession(db, { ...liveness, ...caller, id: sid, next: gen + 1 })
    if (rotated) return { session: rotated, outcome: 'rotated' }

    const session = await findLiveSession(db, { ...liveness, id: sid })
    if (!session) throw new Problem('refresh_token_invalid')
    if (session.generation <= gen) continue
    const isPredecessor = session.generation === gen + 1
    if (isPredecessor && isRaceOrRetry(session, caller, now, settings))
      return { session, outcome: 'replayed' }
    if (!isPredecessor || !mayRecover(session, now, settings))
      return endReusedSession(context, session, caller)
    const recovered = await recover(context, session, caller, liveness)
    if (recovered) return { session: recovered, outcome: 'recovered' }
  }
  throw serverBusy({ sid, gen })
}

/** Whether this is the winner itself, again: same agent, same network, within the window of the last rotation or recovery. */
function isRaceOrRetry(
  session: Session,
  caller: Caller,
  now: Timestamp,
  { reuseWindowMs }: Settings,
): boolean {
  const wasRecovered = session.recovered_generation === session.generation
  const windowOpenedAt = (wasRecovered && session.recovered_at) || session.rotated_at
  return (
    now - windowOpenedAt <= reuseWindowMs &&
    session.user_agent === caller.userAgent &&
    sameNetwork(session.ip, caller.ip)
  )
}

function mayRecover(session: Session, now: Timestamp, { recoveryMs }: Settings): boolean {
  const { generation, recovered_generation } = session
  const isDue = recovered_generation === null || generation - recovered_generation >= RECOVERY_DISTANCE
  return isDue && recoveryMs > 0 && now - session.rotated_at <= recoveryMs
}

function recover(
  { db }: Context,
  { id, user_id, generation }: Session,
  caller: Caller,
  liveness: Liveness,
): Promise<Session | undefined> {
  return db.transaction().execute(async (trx) => {
    const recovered = await consumeRecovery(trx, { ...liveness, ...caller, id, generation })
    if (recovered) {
      const event = { type: 'session.recovered', userId: user_id, sessionId: id, caller } as const
      await recordEvent(trx, liveness.now, event)
    }
    return recovered
  })
}

/** Someone holds an old copy: ends this session, and no other. The end is committed before the client is told. */
async function endReusedSession(context: Context, session: Session, caller: Caller): Promise<never> {
  const { db, clock } = context
  await db.transaction().execute(async (trx) => {
    const now = clock.now()
    const ended = await revokeSession(trx, session.id, 'reuse_detected', now)
    if (!ended) return
    await insertRevocations(trx, 'session', [session.id])
    await recordEvent(trx, now, {
      type: 'session.reuse_detected',
      userId: session.user_id,
      sessionId: session.id,
      caller,
    })
    const user = await findUser(trx, session.user_id)
    const data = deedOf(context, caller)
    if (user) await mailTo(context, trx, user, { kind: 'refresh_token_reused', data })
  })
  throw new Problem('refresh_token_reused')
}
