import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { deriveKey, openWithEither, type Secrets, seal } from '../../core/security/secrets.ts'
import type { Db } from '../../database/tables.ts'
import { BEGINNING, signHead } from './chain.ts'
import { findChain, insertChain, updateChain } from './chain-queries.ts'

const KEY_BYTES = 32
const LABEL = 'seal-audit-key'
/** What the key is sealed for: it opens nowhere else. */
const CONTEXT = 'audit-chain'

/** How the key of the chain was found. */
export type ChainKey = { key: Buffer; wasMade: boolean; wasResealed: boolean }

/**
 * The key of the chain. Makes it together with the chain when there is none, and seals it anew with SECRET_KEY when
 * SECRET_KEY_PREVIOUS had sealed it. Any number of nodes may do so at once.
 * @returns undefined when it was sealed with another SECRET_KEY
 */
export async function openChainKey(db: Db, clock: Clock, secrets: Secrets): Promise<ChainKey | undefined> {
  const wasMade = !(await findChain(db)) && (await beginChain(db, clock, secrets))
  const found = await findKey(db, secrets)
  if (!found) return undefined
  const { key, isOfPrevious: wasResealed } = found
  if (wasResealed) await updateChain(db, { sealed_key: sealKey(key, secrets) })
  return { key, wasMade, wasResealed }
}

/** The key of the chain; undefined when there is none yet, or it was sealed with another SECRET_KEY. Writes nothing. */
export async function findChainKey(db: Db, secrets: Secrets): Promise<Buffer | undefined> {
  return (await findKey(db, secrets))?.key
}

const sealKey = (key: Buffer, { secretKey }: Secrets): string =>
  seal(deriveKey(secretKey, LABEL), key.toString('base64url'), CONTEXT)

/** @returns whether it was begun here */
async function beginChain(db: Db, clock: Clock, secrets: Secrets): Promise<boolean> {
  const key = randomBytes(KEY_BYTES)
  const head = { pruned_seq: 0, pruned_hash: '', ...BEGINNING, sealed_at: clock.now() }
  return insertChain(db, { ...head, sealed_key: sealKey(key, secrets), mac: signHead(key, head) })
}

async function findKey(
  db: Db,
  secrets: Secrets,
): Promise<{ key: Buffer; isOfPrevious: boolean } | undefined> {
  const chain = await findChain(db)
  const opened = chain && openWithEither(secrets, LABEL, chain.sealed_key, CONTEXT)
  return opened && { key: Buffer.from(opened.plaintext, 'base64url'), isOfPrevious: opened.isOfPrevious }
}
