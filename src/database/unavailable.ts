import { Problem } from '../core/problems.ts'

/** What a caller sees when the database is at fault and not the query. */
export const databaseUnavailable = (cause: unknown): Problem =>
  new Problem('database_unavailable', { cause, retryAfterSeconds: 1 })
