import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { newId } from '../../core/ids.ts'
import type { Db, Session } from '../../database/tables.ts'
import { recordSessionsEnded } from './ended-events.ts'
import { revokeSessionsBeyondLimit } from './ending-queries.ts'
import { livenessAt } from './liveness.ts'
import { insertSession } from './queries.ts'

/** The client of everyone who signs in with a password here; others come with OAuth. */
const FIRST_PARTY_CLIENT = 'postern'
/** A sign-in grants no scope, whatever it asks for: there is none yet that is not privileged. */
const FIRST_PARTY_SCOPE = ''
export type SignIn = {
  userId: string
  passwordHash: string | null
  sessionEpoch: number
  /** How they proved who they are (RFC 8176 section 2): a password, or what was sent to their address. */
  amr: 'pwd' | 'otp'
  caller: Caller
}

/**
 * Begins a session in the caller's transaction, and ends the user's oldest beyond SESSION_LIMIT.
 * @returns undefined when the user is no longer as the sign-in found them
 * @throws Problem `server_busy` where no key can sign
 */
export async function startSession(
  context: Context,
  trx: Db,
  { caller, ...signIn }: SignIn,
): Promise<Session | undefined> {
  const { clock, settings, tokens } = context
  tokens.requireSigner()
  const now = clock.now()
  const session = await insertSession(trx, {
    ...signIn,
    id: newId(),
    clientId: FIRST_PARTY_CLIENT,
    scope: FIRST_PARTY_SCOPE,
    ip: caller.ip,
    userAgent: caller.userAgent,
    now,
    expiresAt: now + settings.sessionMaxAgeMs,
  })
  if (!session) return undefined
  const { userId } = signIn
  const others = settings.sessionLimit - 1
  const excess = { ...livenessAt(context), userId, newest: session.id, others }
  const ended = (await revokeSessionsBeyondLimit(trx, excess)).map(({ id }) => id)
  await recordSessionsEnded(trx, now, ended, { userId, reason: 'session_limit', caller })
  return session
}
