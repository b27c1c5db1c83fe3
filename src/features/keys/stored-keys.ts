import type { Context } from '../../context.ts'
import type { Timestamp } from '../../core/clock.ts'
import { StartupError } from '../../core/problems.ts'
import { importSigningKey, type SigningKey } from '../../core/security/keyring.ts'
import { deriveKey, openWithEither, type Secrets, seal } from '../../core/security/secrets.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { isAccepted } from './key-states.ts'
import {
  deleteSigningKey,
  insertSigningKey,
  listSigningKeys,
  type StoredSigningKey,
  updateSigningKey,
} from './queries.ts'

const LABEL = 'seal-private-keys'

/** What changing keys takes. */
export type KeyContext = Pick<Context, 'database' | 'clock'> & { settings: Secrets }

/** Adds a key, which is published from now on. @param signsFrom null where that is for later to say */
export async function publishKey(
  { clock, settings: { secretKey } }: KeyContext,
  trx: Db,
  key: SigningKey,
  signsFrom: Timestamp | null,
): Promise<StoredSigningKey> {
  const now = clock.now()
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
  await recordEvent(trx, now, { type: 'key.created', detail: describeKey(key) })
  return row
}

/** Drops a key that has signed nothing. */
export async function discardKey({ clock }: KeyContext, trx: Db, key: StoredSigningKey): Promise<void> {
  await deleteSigningKey(trx, key.kid)
  await recordEvent(trx, clock.now(), { type: 'key.discarded', detail: describeKey(key) })
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
  key: SigningKey,
  { now, secretKey }: { now: Timestamp; secretKey: string },
): Promise<void> {
  const sealed_private_jwk = seal(deriveKey(secretKey, LABEL), JSON.stringify(key.privateJwk), key.kid)
  await db.transaction().execute(async (trx) => {
    await updateSigningKey(trx, key.kid, { sealed_private_jwk })
    await recordEvent(trx, now, { type: 'key.resealed', detail: describeKey(key) })
  })
}

/** Those that verify, or may yet sign. */
export async function listKeysInUse(db: Db, now: Timestamp): Promise<StoredSigningKey[]> {
  return (await listSigningKeys(db)).filter((key) => isAccepted(key, now))
}

/**
 * Sees to it that the secrets are those of the keys in use: what is sealed with others no server could open.
 * @throws StartupError
 */
export async function refuseForeignKeys(db: Db, now: Timestamp, secrets: Secrets): Promise<void> {
  const foreign = (await listKeysInUse(db, now)).find((key) => !unsealPrivateJwk(key, secrets))
  if (foreign) throw foreignKey(foreign.kid)
}

export const foreignKey = (kid: string): StartupError =>
  new StartupError(
    `The signing key ${kid} was sealed with another SECRET_KEY: set that one, or set it as SECRET_KEY_PREVIOUS`,
  )

/** The private key as a JWK in JSON; undefined when it was sealed with another secret, or altered. */
export const unsealPrivateJwk = ({ kid, sealed_private_jwk }: StoredSigningKey, secrets: Secrets) =>
  openWithEither(secrets, LABEL, sealed_private_jwk, kid)

/** @throws StartupError when it is damaged */
export function toSigningKey(
  { kid, algorithm, public_jwk }: StoredSigningKey,
  privateJwk: string,
): SigningKey {
  try {
    const key = { kid, algorithm, publicJwk: JSON.parse(public_jwk), privateJwk: JSON.parse(privateJwk) }
    importSigningKey(key)
    return key
  } catch (cause) {
    if (cause instanceof StartupError) throw cause
    throw new StartupError(`Signing key ${kid} cannot be read`, { cause })
  }
}
