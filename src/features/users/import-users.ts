import { setImmediate as nextEventLoopTurn } from 'node:timers/promises'
import type { Context } from '../../context.ts'
import type { Timestamp } from '../../core/clock.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvents } from '../audit/events.ts'
import { findTakenUsernames, insertFreeUsers } from './import-queries.ts'
import { checkSourceUser, type ImportedUser, type LeftReason } from './import-rules.ts'
import type { SourceUser } from './import-source.ts'

const BATCH_SIZE = 500

/** Somebody who stays where they are. */
export type LeftUser = { sourceId: string; username: string | null; email: string | null; reason: LeftReason }

export type ImportReport = { taken: number; left: LeftUser[] }

export type ImportOptions = {
  /** Does everything, and takes it back at the end. */
  isDryRun: boolean
  /** Ends the import without a trace. */
  signal: AbortSignal
  /** Told of each batch: rows dealt with so far. */
  onProgress: (done: number) => void
}

type Candidate = { row: SourceUser; user: ImportedUser }

/**
 * Brings users in with their password hashes, in one transaction or not at all.
 * @throws the signal's reason when that ended it; Problem `database_unavailable`
 */
export async function importUsers(
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  rows: Iterable<SourceUser>,
  { isDryRun, signal, onProgress }: ImportOptions,
): Promise<ImportReport> {
  const report: ImportReport = { taken: 0, left: [] }
  const trx = await db.startTransaction().execute()
  try {
    let done = 0
    for (const batch of inBatches(rows)) {
      await importBatch(trx, batch, clock.now(), report)
      done += batch.length
      onProgress(done)
      // On SQLite nothing else lets signals and timers have their turn.
      await nextEventLoopTurn()
      signal.throwIfAborted()
    }
    await (isDryRun ? trx.rollback() : trx.commit()).execute()
    return report
  } finally {
    if (!trx.isCommitted && !trx.isRolledBack) await trx.rollback().execute()
  }
}

function* inBatches(rows: Iterable<SourceUser>): Generator<SourceUser[]> {
  let batch: SourceUser[] = []
  for (const row of rows) {
    batch.push(row)
    if (batch.length < BATCH_SIZE) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

async function importBatch(
  trx: Db,
  batch: readonly SourceUser[],
  now: Timestamp,
  report: ImportReport,
): Promise<void> {
  const candidates: Candidate[] = []
  for (const row of batch) {
    const user = checkSourceUser(row, now)
    if (typeof user === 'string') report.left.push(toLeft(row, user))
    else candidates.push({ row, user })
  }
  if (candidates.length === 0) return
  const taken = await insertFreeUsers(
    trx,
    candidates.map(({ user }) => user),
  )
  report.taken += taken.size
  report.left.push(...(await explainRefused(trx, candidates, taken)))
  await recordImports(trx, candidates, taken, now)
}

async function explainRefused(
  trx: Db,
  candidates: readonly Candidate[],
  taken: ReadonlySet<string>,
): Promise<LeftUser[]> {
  const refused = candidates.filter(({ user }) => !taken.has(user.id))
  if (refused.length === 0) return []
  const keys = refused.map(({ user }) => user.username_key)
  const takenUsernames = await findTakenUsernames(trx, keys)
  return refused.map(({ row, user }) =>
    toLeft(row, takenUsernames.has(user.username_key) ? 'username_taken' : 'email_taken'),
  )
}

async function recordImports(
  trx: Db,
  candidates: readonly Candidate[],
  taken: ReadonlySet<string>,
  now: Timestamp,
): Promise<void> {
  const events = candidates
    .filter(({ user }) => taken.has(user.id))
    .map(({ row, user }) => ({
      type: 'user.imported' as const,
      userId: user.id,
      detail: { source_id: row.id, is_superuser: user.is_superuser },
    }))
  await recordEvents(trx, now, events)
}

const toLeft = ({ id, username, email }: SourceUser, reason: LeftReason): LeftUser => ({
  sourceId: id,
  username,
  email,
  reason,
})
