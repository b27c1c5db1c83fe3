import type { Timestamp } from '../../core/clock.ts'
import type { SigningKey } from '../../core/security/keyring.ts'
import { deriveKey, openWithEither, type Secrets, seal } from '../../core/security/secrets.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { insertSigningKey, type StoredSigningKey, updateSigningKey } from './queries.ts'

const LABEL = 'seal-private-keys'

/** Adds a key, which is published from now on. @param signsFrom null where that is for later to say */
export async function storeSigningKey(
  trx: Db,
  key: SigningKey,
  { now, signsFrom, secretKey }: { now: Timestamp; signsFrom: Timestamp | null; secretKey: string },
): Promise<StoredSigningKey> {
  const row = {
    kid: key.kid,
    algorithm: key.algorithm,
    public_jwk: JSON.stringify(key.publicJwk),
    sealed_private_jwk: seal(deriveKey(secretKey, LABEL), JSON.stringify(key.privateJwk), key.kid),
    created_at: now,
    signs_from: signsFrom,
    signs_until: null,
    revoked_at: null,
  }
  await insertSigningKey(trx, row)
  return row
}

/** What is told of a signing key in the audit log. */
export const describeKey = ({ kid, algorithm }: Pick<StoredSigningKey, 'kid' | 'algorithm'>) => ({
  use: 'sig',
  kid,
  algorithm,
})

/** Seals with SECRET_KEY what SECRET_KEY_PREVIOUS had sealed. */
export async function resealSigningKey(
  db: Db,
  stored: StoredSigningKey,
  privateJwk: string,
  { now, secretKey }: { now: Timestamp; secretKey: string },
): Promise<void> {
  const sealed_private_jwk = seal(deriveKey(secretKey, LABEL), privateJwk, stored.kid)
  await db.transaction().execute(async (trx) => {
    await updateSigningKey(trx, stored.kid, { sealed_private_jwk })
    await recordEvent(trx, now, { type: 'key.resealed', detail: describeKey(stored) })
  })
}

/** The private key as a JWK in JSON; undefined when it was sealed with another secret, or altered. */
export const unsealPrivateJwk = ({ kid, sealed_private_jwk }: StoredSigningKey, secrets: Secrets) =>
  openWithEither(secrets, LABEL, sealed_private_jwk, kid)

export const toSigningKey = (
  { kid, algorithm, public_jwk }: StoredSigningKey,
  privateJwk: string,
): SigningKey => ({
  kid,
  algorithm: algorithm as SigningKey['algorithm'],
  publicJwk: JSON.parse(public_jwk),
  privateJwk: JSON.parse(privateJwk),
})
