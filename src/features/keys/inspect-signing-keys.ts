import type { Timestamp } from '../../core/clock.ts'
import { createKeyring } from '../../core/security/keyring.ts'
import type { Secrets } from '../../core/security/secrets.ts'
import type { Db } from '../../database/tables.ts'
import { listSigningKeys, type StoredSigningKey } from './queries.ts'
import { toSigningKey, unsealPrivateJwk } from './stored-keys.ts'

export type InspectedSigningKey = {
  kid: string
  algorithm: string
  createdAt: Timestamp
  /** Which secret opens it. */
  sealedWith: 'current' | 'previous' | 'another'
  /** Whether it opens, and yet is no key to sign with. */
  isDamaged: boolean
}

/** How every signing key stands, newest last. Unlike `openKeyring` it changes none. */
export async function inspectSigningKeys(db: Db, secrets: Secrets): Promise<InspectedSigningKey[]> {
  return (await listSigningKeys(db)).map((stored) => inspectSigningKey(stored, secrets))
}

function inspectSigningKey(stored: StoredSigningKey, secrets: Secrets): InspectedSigningKey {
  const { kid, algorithm, created_at: createdAt } = stored
  const opened = unsealPrivateJwk(stored, secrets)
  if (!opened) return { kid, algorithm, createdAt, sealedWith: 'another', isDamaged: false }
  const sealedWith = opened.isOfPrevious ? 'previous' : 'current'
  const isDamaged = !canBeUsed(stored, opened.plaintext, secrets.secretKey)
  return { kid, algorithm, createdAt, sealedWith, isDamaged }
}

function canBeUsed(stored: StoredSigningKey, privateJwk: string, secretKey: string): boolean {
  try {
    const key = toSigningKey(stored, privateJwk)
    createKeyring({ algorithm: key.algorithm, secretKey, signingKeys: [key] })
    return true
  } catch {
    return false
  }
}
