import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { countOutcome } from '../../core/metrics.ts'
import { recordEvent } from '../audit/events.ts'
import { issueTokens, type TokenPair } from '../sessions/issue-tokens.ts'
import { startSession } from '../sessions/start-session.ts'
import { createUser, type NewUser } from '../users/create-user.ts'

/**
 * Creates an account and signs it in.
 * @throws Problem `validation_failed`, `username_taken`, `email_taken`, `server_busy`
 */
export const register = (context: Context, newUser: NewUser, caller: Caller): Promise<TokenPair> =>
  countOutcome(context.metrics.registration, createAndSignIn(context, newUser, caller), () => 'succeeded')

async function createAndSignIn(context: Context, newUser: NewUser, caller: Caller): Promise<TokenPair> {
  const session = await createUser(context, { ...newUser, isSuperuser: false }, async (trx, user) => {
    const { id: userId, password_hash: passwordHash, session_epoch: sessionEpoch } = user
    const session = await startSession(context, trx, { userId, passwordHash, sessionEpoch, caller })
    if (!session) throw new Error('A user who was just stored has changed before the transaction ended')
    const event = { type: 'user.created', userId, sessionId: session.id, caller } as const
    await recordEvent(trx, context.clock.now(), event)
    return session
  })
  caller.userId = session.user_id
  return issueTokens(context, session)
}
