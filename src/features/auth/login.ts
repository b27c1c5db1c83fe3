import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import type { UserId } from '../../core/ids.ts'
import { countOutcome } from '../../core/metrics.ts'
import { Problem, serverBusy } from '../../core/problems.ts'
import { needsRehash } from '../../core/security/passwords.ts'
import type { Session, User } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { issueTokens, type TokenPair } from '../sessions/issue-tokens.ts'
import { startSession } from '../sessions/start-session.ts'
import { findUserByIdentifier } from '../users/find-user.ts'
import { findSlowestBcryptCost, replacePasswordHash } from '../users/queries.ts'

/** How often a sign-in looks again because another one replaced the hash under it. */
const MAX_ATTEMPTS = 3

type Credentials = { identifier: string; password: string; caller: Caller }
type Verified = User & { password_hash: string }

/**
 * Signs in with a username or an e-mail address and a password. An unknown user and a wrong password take the
 * same path and the same time.
 * @throws Problem `invalid_credentials`, `inactive_user`, `server_busy`
 */
export const login = (context: Context, credentials: Credentials): Promise<TokenPair> =>
  countOutcome(context.metrics.login, signIn(context, credentials), () => 'succeeded')

async function signIn(context: Context, { identifier, password, caller }: Credentials): Promise<TokenPair> {
  let epoch: number | undefined
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const user = await verifyUser(context, identifier, password, caller)
    // What ended this user's sessions while the password was being verified ends this sign-in as well.
    if (user.session_epoch !== (epoch ?? user.session_epoch)) return refuse(context, user.id, caller)
    epoch = user.session_epoch
    const session = await beginSession(context, user, password, caller)
    if (session) {
      caller.userId = user.id
      return issueTokens(context, session)
    }
  }
  throw serverBusy()
}

async function verifyUser(
  context: Context,
  identifier: string,
  password: string,
  caller: Caller,
): Promise<Verified> {
  const { db, passwords } = context
  const [user, slowestBcryptCost] = await Promise.all([
    findUserByIdentifier(db, identifier),
    findSlowestBcryptCost(db),
  ])
  const hash = user?.password_hash ?? null
  const matches = await passwords.verify(hash, password, slowestBcryptCost)
  if (!user || hash === null || !matches) return refuse(context, user?.id, caller)
  if (!user.is_active) {
    await recordFailure(context, user.id, caller, 'inactive')
    throw new Problem('inactive_user')
  }
  return { ...user, password_hash: hash }
}

/** @returns undefined when the user is no longer as they were when the password was verified */
async function beginSession(
  context: Context,
  user: Verified,
  password: string,
  caller: Caller,
): Promise<Session | undefined> {
  const { db, clock, passwords } = context
  const { id: userId, password_hash: oldHash, session_epoch: sessionEpoch } = user
  const newHash = needsRehash(oldHash) ? await passwords.hash(password) : undefined
  return db.transaction().execute(async (trx) => {
    if (newHash && !(await replacePasswordHash(trx, userId, oldHash, newHash))) return undefined
    const passwordHash = newHash ?? oldHash
    const session = await startSession(context, trx, { userId, passwordHash, sessionEpoch, caller })
    if (!session) return undefined
    const detail = { method: 'password' }
    const event = { type: 'user.signed_in', userId, sessionId: session.id, caller, detail } as const
    await recordEvent(trx, clock.now(), event)
    return session
  })
}

async function refuse(context: Context, userId: UserId | undefined, caller: Caller): Promise<never> {
  await recordFailure(context, userId, caller, 'invalid_credentials')
  throw new Problem('invalid_credentials')
}

const recordFailure = (
  { db, clock }: Context,
  userId: UserId | undefined,
  caller: Caller,
  reason: string,
): Promise<void> =>
  recordEvent(db, clock.now(), { type: 'user.sign_in_failed', userId, caller, detail: { reason } })
