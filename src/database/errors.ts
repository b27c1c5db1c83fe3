/** SQLITE_CONSTRAINT_PRIMARYKEY and SQLITE_CONSTRAINT_UNIQUE. */
const SQLITE_UNIQUE = [1555, 2067]
/** PostgreSQL's unique_violation. */
const POSTGRES_UNIQUE = '23505'

/** Whether a statement failed because such a row was there already. */
export function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, errcode } = error as { code?: unknown; errcode?: unknown }
  return code === POSTGRES_UNIQUE || SQLITE_UNIQUE.includes(Number(errcode))
}
