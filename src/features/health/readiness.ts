import type { Context } from '../../context.ts'
import { SECOND } from '../../core/clock.ts'
import { Problem, StartupError } from '../../core/problems.ts'
import { within } from '../../core/within.ts'
import { pendingMigrations } from '../../database/migrate.ts'

const ANSWER_WITHIN_MS = 2 * SECOND
/** Beyond this, two nodes would not agree on windows and expiry. */
export const MAX_CLOCK_DISAGREEMENT_MS = 5 * SECOND

/**
 * Gives a function that looks whether this node can serve. Anyone may ask, so those who ask at once share one look.
 * It throws Problem `not_ready`, `database_unavailable`.
 */
export function createReadinessCheck(context: Context): () => Promise<void> {
  let underWay: Promise<void> | undefined
  return () => {
    underWay ??= checkReadiness(context).finally(() => {
      underWay = undefined
    })
    return underWay
  }
}

async function checkReadiness({ database, databaseClock }: Context): Promise<void> {
  const disagreementMs = databaseClock.disagreementMs()
  if (disagreementMs > MAX_CLOCK_DISAGREEMENT_MS) {
    throw new Problem('not_ready', { retryAfterSeconds: 60, context: { disagreementMs } })
  }
  const pending = await within(ANSWER_WITHIN_MS, pendingMigrations(database), noAnswer).catch(
    refuseNewerDatabase,
  )
  if (pending.length > 0) throw new Problem('not_ready', { retryAfterSeconds: 5, context: { pending } })
}

const noAnswer = () => new Problem('database_unavailable', { retryAfterSeconds: 1 })

/** A newer version has migrated the database: this node would not start on it any more. */
function refuseNewerDatabase(error: unknown): never {
  if (!(error instanceof StartupError)) throw error
  throw new Problem('not_ready', { cause: error, retryAfterSeconds: 60 })
}
