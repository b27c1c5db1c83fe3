import { type Expression, type ExpressionBuilder, sql } from 'kysely'
import { SECOND, type Timestamp } from '../../core/clock.ts'
import { adapterOf, prepareRow, prepareRows } from '../../database/compiled.ts'
import type { Db, SignInFailuresTable, Tables } from '../../database/tables.ts'

/** So many are looked at without delay. */
export const FREE_FAILURES = 4
/** After so many the delay grows no longer. */
const LAST_DOUBLING = 14
const LONGEST_DELAY_MS = 900 * SECOND

/** Milliseconds to wait after so many failures in a row: 1, 2, 4 ... 512 seconds, then 15 minutes. */
export function delayAfter(failures: number): number {
  if (failures <= FREE_FAILURES) return 0
  return failures > LAST_DOUBLING ? LONGEST_DELAY_MS : SECOND << (failures - FREE_FAILURES - 1)
}

/** The same, as both databases compute it. */
const sqlDelayAfter = (failures: Expression<number>): Expression<number> =>
  sql<number>`case when ${failures} <= ${sql.lit(FREE_FAILURES)} then 0
    when ${failures} > ${sql.lit(LAST_DOUBLING)} then ${sql.lit(LONGEST_DELAY_MS)}
    else ${sql.lit(SECOND)} << (${failures} - ${sql.lit(FREE_FAILURES + 1)}) end`

const oneMore = (eb: ExpressionBuilder<Tables, 'sign_in_failures'>): Expression<number> =>
  eb('sign_in_failures.failures', '+', sql.lit(1))

const nextTryAt = (eb: ExpressionBuilder<Tables, 'sign_in_failures'>, now: Timestamp) =>
  sql<number>`cast(${now} as bigint) + ${sqlDelayAfter(oneMore(eb))}`

export type Failures = SignInFailuresTable
/** One try, taken: by moving the time of the next one, or, while that costs no wait, by counting it as a failure in advance. */
export type Claim = Pick<Failures, 'key'> & (Pick<Failures, 'next_try_at'> | Pick<Failures, 'failures'>)

export const findFailures = (db: Db, keys: readonly string[]): Promise<Failures[]> =>
  selectFailures(db, { keys: adapterOf(db).toList(keys) })

const selectFailures = prepareRows((db, { keys }: { keys: unknown }) =>
  db
    .selectFrom('sign_in_failures')
    .selectAll()
    .where(adapterOf(db).isAmong(sql.ref('key'), keys)),
)

/** Takes the next try, of which there is one for each delay; undefined when it is too early or another has taken it. */
export const claimTry = prepareRow((db, { key, now, most }: { key: string; now: Timestamp; most: number }) =>
  db
    .updateTable('sign_in_failures')
    .set((eb) => ({ next_try_at: nextTryAt(eb, now) }))
    .where('key', '=', key)
    .where('next_try_at', '<=', now)
    .where('failures', '<', most)
    .returning('next_try_at'),
)

/** Gives a try back that was taken, and not used. */
export async function releaseTry(db: Db, claim: Claim, now: Timestamp): Promise<void> {
  if ('failures' in claim) return takeBackFailure(db, claim.key)
  await db
    .updateTable('sign_in_failures')
    .set({ next_try_at: now })
    .where('key', '=', claim.key)
    .where('next_try_at', '=', claim.next_try_at)
    .execute()
}

async function takeBackFailure(db: Db, key: string): Promise<void> {
  const oneLess = (eb: ExpressionBuilder<Tables, 'sign_in_failures'>) => eb('failures', '-', 1)
  await db
    .updateTable('sign_in_failures')
    .set((eb) => ({ failures: oneLess(eb) }))
    .where('key', '=', key)
    .execute()
  await db.deleteFrom('sign_in_failures').where('key', '=', key).where('failures', '<=', 0).execute()
}

/**
 * Counts one more failure in a row, while there are fewer than `below`.
 * @returns how many there are then; undefined when there were as many already
 */
export async function addFailure(
  db: Db,
  { key, now, below }: { key: string; now: Timestamp; below: number },
): Promise<number | undefined> {
  const row = { key, failures: 1, next_try_at: now, failed_at: now }
  const counted = await db
    .insertInto('sign_in_failures')
    .values(row)
    .onConflict((conflict) =>
      conflict
        .column('key')
        .doUpdateSet((eb) => ({
          failures: oneMore(eb),
          next_try_at: nextTryAt(eb, now),
          failed_at: now,
        }))
        .where('sign_in_failures.failures', '<', below),
    )
    .returning('failures')
    .executeTakeFirst()
  return counted?.failures
}

/** @returns how many had failures */
export async function deleteFailures(db: Db, keys: readonly string[]): Promise<number> {
  const rows = await db.deleteFrom('sign_in_failures').where('key', 'in', keys).returning('key').execute()
  return rows.length
}

/** Gives the failures of a key to another, in place of what that had. */
export async function moveFailures(db: Db, { from, to }: { from: string; to: string }): Promise<void> {
  if (from === to) return
  const rows = await db.deleteFrom('sign_in_failures').where('key', 'in', [from, to]).returningAll().execute()
  const moved = rows.find(({ key }) => key === from)
  if (!moved) return
  const row = { ...moved, key: to }
  await db
    .insertInto('sign_in_failures')
    .values(row)
    .onConflict((conflict) => conflict.column('key').doUpdateSet(row))
    .execute()
}

/** Deletes some of those that failed last before that time. */
export async function deleteOldFailures(db: Db, before: Timestamp, limit: number): Promise<number> {
  const old = db.selectFrom('sign_in_failures').select('key').where('failed_at', '<', before).limit(limit)
  const rows = await db.deleteFrom('sign_in_failures').where('key', 'in', old).returning('key').execute()
  return rows.length
}
