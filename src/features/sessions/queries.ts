import { isIPv6 } from 'node:net'
import { type Expression, type ExpressionBuilder, sql } from 'kysely'
import { type Caller, sameNetwork } from '../../core/caller.ts'
import type { Timestamp } from '../../core/clock.ts'
import type { SessionId, UserId } from '../../core/ids.ts'
import { prepareRow, prepareRows } from '../../database/compiled.ts'
import { prepareLookup } from '../../database/lookups.ts'
import type { Db, Session, Tables } from '../../database/tables.ts'

export type NewSession = {
  id: SessionId
  userId: UserId
  /** The hash (null for none) and the epoch that the sign-in found: both must still stand. */
  passwordHash: string | null
  sessionEpoch: number
  clientId: string
  scope: string
  amr: string
  ip: string
  userAgent: string
  now: Timestamp
  expiresAt: Timestamp
}

/** What decides whether a session is alive. */
export type Liveness = {
  now: Timestamp
  /** A session that was last moved on then, or earlier, has been idle for too long. */
  idleSince: Timestamp
}

type LivenessExpression = { [Name in keyof Liveness]: Timestamp | Expression<Timestamp> }

export const isAlive =
  ({ now, idleSince }: LivenessExpression) =>
  (eb: ExpressionBuilder<Tables, 'sessions'>) =>
    eb.and([
      eb('sessions.revoked_at', 'is', null),
      eb('sessions.expires_at', '>', now),
      eb('sessions.rotated_at', '>', idleSince),
    ])

export const hasActiveUser = (eb: ExpressionBuilder<Tables, 'sessions'>) =>
  eb.exists(
    eb
      .selectFrom('users')
      .whereRef('users.id', '=', 'sessions.user_id')
      .where('users.is_active', '=', true)
      .select(sql`1`.as('one')),
  )

/**
 * Gives birth to a session if its user is still as the sign-in found them; undefined when not.
 * One statement that locks the user's row, so that it cannot race what ends sessions (which changes that row first),
 * and so that sign-ins of one user go one after another and the session limit holds.
 */
export const insertSession = prepareRow((db, session: NewSession) =>
  db
    .insertInto('sessions')
    .columns([
      'id',
      'user_id',
      'client_id',
      'scope',
      'created_at',
      'authenticated_at',
      'amr',
      'rotated_at',
      'ip',
      'user_agent',
      'expires_at',
    ])
    .expression((eb) =>
      eb
        .selectFrom('users')
        .select(({ val, cast }) => [
          cast<string>(val(session.id), 'uuid').as('id'),
          'users.id as user_id',
          cast<string>(val(session.clientId), 'text').as('client_id'),
          cast<string>(val(session.scope), 'text').as('scope'),
          cast<number>(val(session.now), 'bigint').as('created_at'),
          cast<number>(val(session.now), 'bigint').as('authenticated_at'),
          cast<string>(val(session.amr), 'text').as('amr'),
          cast<number>(val(session.now), 'bigint').as('rotated_at'),
          cast<string>(val(session.ip), 'text').as('ip'),
          cast<string>(val(session.userAgent), 'text').as('user_agent'),
          cast<number>(val(session.expiresAt), 'bigint').as('expires_at'),
        ])
        .where('users.id', '=', session.userId)
        .where('users.is_active', '=', true)
        .where('users.password_hash', 'is not distinct from', session.passwordHash)
        .where('users.session_epoch', '=', session.sessionEpoch)
        .forNoKeyUpdate(),
    )
    .returningAll(),
)

/** A session with what its user must be for it to count; undefined when there is none. */
export const findLiveSession = prepareRow((db, session: Liveness & { id: SessionId }) =>
  db
    .selectFrom('sessions')
    .selectAll()
    .where('id', '=', session.id)
    .where(isAlive(session))
    .where(hasActiveUser),
)

/** Whose session this is and how far it has come, alive or not. */
export function findSessionState(db: Db, id: SessionId) {
  return db
    .selectFrom('sessions')
    .select(['user_id', 'generation', 'revoked_at'])
    .where('id', '=', id)
    .executeTakeFirst()
}

/** The session of an access token together with its user, by primary keys; undefined when either is gone. */
export const findSessionWithUser = prepareLookup(
  'sessions.id',
  (db, isAsked) =>
    db
      .selectFrom('sessions')
      .innerJoin('users', 'users.id', 'sessions.user_id')
      .selectAll('users')
      .select([
        'sessions.id as session_id',
        'sessions.scope',
        'sessions.authenticated_at',
        'sessions.rotated_at',
        'sessions.expires_at',
        'sessions.revoked_at',
      ])
      .where(isAsked),
  (row) => row.session_id,
)

/** Who moves which session on, from where. */
export type Move = Liveness & { id: SessionId; ip: string; userAgent: string }

/** Rotations between two recoveries: an honest client hardly needs one twice in a row, a thief and an owner do. */
export const RECOVERY_DISTANCE = 2

/** Whether the last recovery is at least that far back. SQL's side of `mayRecover`. */
const recoveryIsDue = (eb: ExpressionBuilder<Tables, 'sessions'>) =>
  eb.or([
    eb('recovered_generation', 'is', null),
    eb(eb('generation', '-', eb.ref('recovered_generation')), '>=', RECOVERY_DISTANCE),
  ])

/** Takes the one recovery of this generation; undefined when another request took it, or the session moved on. */
export const consumeRecovery = prepareRow((db, move: Move & { generation: number }) =>
  db
    .updateTable('sessions')
    .set({
      recovered_generation: move.generation,
      recovered_at: move.now,
      ip: move.ip,
      user_agent: move.userAgent,
    })
    .where('id', '=', move.id)
    .where('generation', '=', move.generation)
    .where(isAlive(move))
    .where(hasActiveUser)
    .where(recoveryIsDue)
    .returningAll(),
)

/** A user's live sessions, newest first, beginning after the session `before`. */
export function listLiveSessions(
  db: Db,
  userId: UserId,
  { before, limit, ...liveness }: Liveness & { before: SessionId | undefined; limit: number },
): Promise<Session[]> {
  return db
    .selectFrom('sessions')
    .selectAll()
    .where('user_id', '=', userId)
    .where(isAlive(liveness))
    .$if(before !== undefined, (query) => query.where('id', '<', before as SessionId))
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
}

/** Whether a user has, or lately had, a session of this agent from this network. */
export async function hasSessionFrom(db: Db, userId: UserId, { ip, userAgent }: Caller): Promise<boolean> {
  if (await findSessionFrom(db, { userId, userAgent, ip })) return true
  // An IPv4 address is a network of its own.
  if (!isIPv6(ip)) return false
  const rows = await listAddresses(db, { userId, userAgent })
  return rows.some((row) => sameNetwork(row.ip, ip))
}

type Origin = { userId: UserId; userAgent: string }

const findSessionFrom = prepareRow((db, { userId, userAgent, ip }: Origin & { ip: string }) =>
  db
    .selectFrom('sessions')
    .select('id')
    .where('user_id', '=', userId)
    .where('user_agent', '=', userAgent)
    .where('ip', '=', ip)
    .limit(sql.lit(1)),
)

/** More of one agent than anybody has. */
const MOST_ADDRESSES = 100

const listAddresses = prepareRows((db, { userId, userAgent }: Origin) =>
  db
    .selectFrom('sessions')
    .select('ip')
    .where('user_id', '=', userId)
    .where('user_agent', '=', userAgent)
    .limit(sql.lit(MOST_ADDRESSES)),
)
