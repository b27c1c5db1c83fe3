import { databaseUnavailable } from './unavailable.ts'

/**
 * SQLSTATEs that say "not now": connection lost, out of resources, shutting down, serialisation failure,
 * deadlock, lock timeout, transaction that was idle for too long, read-only after a failover (PostgreSQL manual, appendix A).
 */
const AWAY_STATE = /^(?:08...|25P03|53...|57P0[1-5]|40001|40P01|55P03|25006)$/
const LOST_STATE = /^(?:08...|25P03|57P0[1-5]|25006)$/
const AWAY_SYSTEM_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'ENOENT',
  'EAI_AGAIN',
])
/** Errors of `pg` itself carry no code. */
const AWAY_MESSAGE =
  /^(?:Connection terminated|timeout exceeded when trying to connect|timeout expired|Query read timeout|Client has encountered a connection error|Client was closed|Cannot use a pool after calling end)/

const codeOf = (error: Error): string | undefined =>
  'code' in error && typeof error.code === 'string' ? error.code : undefined

/** Whether the connection must not be used again: nothing may queue behind what is stuck or gone. */
export function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = codeOf(error)
  if (code === undefined) return AWAY_MESSAGE.test(error.message)
  return AWAY_SYSTEM_CODES.has(code) || LOST_STATE.test(code)
}

/** The error a caller sees: `database_unavailable` when the database is at fault, else the same error. */
export function translatePostgresError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const isAway = isConnectionLost(error) || isStalePlan(error) || AWAY_STATE.test(codeOf(error) ?? '')
  return isAway ? databaseUnavailable(error) : error
}

/** A statement prepared before a migration changed its result; it has not been executed. */
export const isStalePlan = (error: unknown): boolean =>
  error instanceof Error && codeOf(error) === '0A000' && error.message.startsWith('cached plan')
