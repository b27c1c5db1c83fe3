import type { Timestamp } from '../../core/clock.ts'
import type { Secrets } from '../../core/security/secrets.ts'
import type { Db } from '../../database/tables.ts'
import { type KeyState, stateOf } from './key-states.ts'
import type { StoredSigningKey } from './queries.ts'
import { listKeysInUse, toSigningKey, unsealPrivateJwk } from './stored-keys.ts'

export type InspectedSigningKey = {
  kid: string
  algorithm: string
  state: KeyState
  /** When it began to sign, or will; null where nobody has said. */
  signsFrom: Timestamp | null
  /** Which secret opens it. */
  sealedWith: 'current' | 'previous' | 'another'
  /** Whether it opens, and yet is no key to sign with. */
  isDamaged: boolean
}

/** How the signing keys stand that are in use: the others are never opened. Unlike `openKeyring` it changes none. */
export async function inspectSigningKeys(
  db: Db,
  now: Timestamp,
  secrets: Secrets,
): Promise<InspectedSigningKey[]> {
  return (await listKeysInUse(db, now)).map((stored) => inspectSigningKey(stored, now, secrets))
}

function inspectSigningKey(stored: StoredSigningKey, now: Timestamp, secrets: Secrets): InspectedSigningKey {
  const { kid, algorithm, signs_from: signsFrom } = stored
  const told = { kid, algorithm, state: stateOf(stored, now), signsFrom }
  const opened = unsealPrivateJwk(stored, secrets)
  if (!opened) return { ...told, sealedWith: 'another', isDamaged: false }
  const sealedWith = opened.isOfPrevious ? 'previous' : 'current'
  const isDamaged = !isSound(stored, opened.plaintext)
  return { ...told, sealedWith, isDamaged }
}

function isSound(stored: StoredSigningKey, privateJwk: string): boolean {
  try {
    toSigningKey(stored, privateJwk)
    return true
  } catch {
    return false
  }
}
