import { hostname, userInfo } from 'node:os'
import type { Clock } from '../../core/clock.ts'
import { StartupError } from '../../core/problems.ts'
import type { Secrets } from '../../core/security/secrets.ts'
import type { Db } from '../../database/tables.ts'
import { findChainKey, openChainKey } from './chain-key.ts'
import { recordEvent } from './events.ts'
import { writeEventsAs } from './writer.ts'

const FOREIGN_CHAIN_KEY =
  'The key of the audit log was sealed with another SECRET_KEY: set that one, or set it as SECRET_KEY_PREVIOUS'

/**
 * From now on this process writes events as the server. Begins the chain when there is none.
 * @returns the key of the chain
 * @throws StartupError when that was sealed with another SECRET_KEY: nothing is written then, since it would prove nothing
 */
export async function openAuditLog(db: Db, clock: Clock, secrets: Secrets): Promise<Buffer> {
  const opened = await openChainKey(db, clock, secrets)
  if (!opened) throw new StartupError(FOREIGN_CHAIN_KEY)
  writeEventsAs(db, { actor: 'server', name: hostname(), key: opened.key })
  if (opened.wasMade) await recordEvent(db, clock.now(), { type: 'key.created', detail: { use: 'audit' } })
  if (opened.wasResealed)
    await recordEvent(db, clock.now(), { type: 'key.resealed', detail: { use: 'audit' } })
  return opened.key
}

/** From now on this process writes events as the operator who runs it; without the key, they prove nothing. */
export async function openOperatorAuditLog(db: Db, secrets: Secrets | undefined): Promise<void> {
  const key = secrets && (await findChainKey(db, secrets))
  writeEventsAs(db, { actor: 'operator', name: userName(), key })
}

/** Some containers run as a user without a name. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}

/** Writes down which migrations this process has applied. */
export async function recordMigrations(db: Db, clock: Clock, names: readonly string[]): Promise<void> {
  if (names.length === 0) return
  await recordEvent(db, clock.now(), { type: 'database.migrated', detail: { names: names.join(' ') } })
}
