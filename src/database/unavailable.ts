import { Problem, serverBusy } from '../core/problems.ts'

/**
 * The most that may wait for a connection, or for their turn to write: some seconds' worth. What cannot be served in time
 * is better refused at once than kept in memory.
 */
const MAX_WAITING = 2000

/** @throws Problem `server_busy` when as many wait already as may */
export function requireRoom(waiting: number): void {
  if (waiting >= MAX_WAITING) throw serverBusy({ waiting })
}

/** What a caller sees when the database is at fault and not the query. */
export const databaseUnavailable = (cause: unknown): Problem =>
  new Problem('database_unavailable', { cause, retryAfterSeconds: 1 })
