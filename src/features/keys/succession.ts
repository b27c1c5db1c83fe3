import { SECOND, type Timestamp } from '../../core/clock.ts'
import type { SigningKey } from '../../core/security/keyring.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { PUBLISHED_FOR_MS } from './key-states.ts'
import { type StoredSigningKey, updateSigningKey } from './queries.ts'
import { describeKey, type KeyContext, publishKey } from './stored-keys.ts'

/** Until every node has read what has changed: each does so every second. */
export const SPREAD_MS = 5 * SECOND

/** A key that takes over, and when. */
export type Succession = { key: StoredSigningKey; at: Timestamp }

/** Sets when a key takes over from the one that signs: as soon as it has been published for long enough. */
export async function succeed(
  context: KeyContext,
  trx: Db,
  current: StoredSigningKey,
  next: StoredSigningKey | SigningKey,
): Promise<Succession> {
  const now = context.clock.now()
  const key = 'created_at' in next ? next : await publishKey(context, trx, next, null)
  const at = Math.max(now + SPREAD_MS, key.created_at + PUBLISHED_FOR_MS)
  await updateSigningKey(trx, key.kid, { signs_from: at })
  await endSigning(trx, current, at)
  const detail = { ...describeKey(key), after: current.kid, signs_from: new Date(at).toISOString() }
  await recordEvent(trx, now, { type: 'key.rotated', detail })
  return { key, at }
}

/** Sets until when a key signs; null for without an end. */
export async function endSigning(
  trx: Db,
  key: StoredSigningKey | undefined,
  at: Timestamp | null,
): Promise<void> {
  if (key) await updateSigningKey(trx, key.kid, { signs_until: at })
}
