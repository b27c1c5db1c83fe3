import { randomBytes } from 'node:crypto'
import type { Context, OperatorContext } from '../../context.ts'
import { HOUR } from '../../core/clock.ts'
import { newId } from '../../core/ids.ts'
import type { Scope } from '../../core/scopes.ts'
import { hashSecret } from '../../core/security/secrets.ts'
import { recordEvent } from '../audit/events.ts'
import { findServiceKey, insertServiceKey, markServiceKeyUsed, revokeServiceKey } from './queries.ts'

/** Programs that look for leaked secrets know it by this. */
const PREFIX = 'postern_sk_'
const SECRET_BYTES = 32
/** So often at most its last use is written down. */
const USE_RECORDED_EVERY_MS = HOUR

type Operator = Pick<OperatorContext, 'db' | 'clock'>

/**
 * Makes a key for a service of the operator's.
 * @returns with the secret, which is kept nowhere
 */
export async function createServiceKey(
  { db, clock }: Operator,
  { name, scopes }: { name: string; scopes: readonly Scope[] },
): Promise<{ id: string; secret: string }> {
  const id = newId()
  const secret = `${PREFIX}${randomBytes(SECRET_BYTES).toString('base64url')}`
  const scope = [...new Set(scopes)].sort().join(' ')
  await db.transaction().execute(async (trx) => {
    const now = clock.now()
    const key = { id, name, secret_hash: hashSecret(secret), scope, created_at: now }
    await insertServiceKey(trx, { ...key, used_at: null, revoked_at: null })
    const detail = { use: 'service', id, name, scope }
    await recordEvent(trx, now, { type: 'key.created', detail })
  })
  return { id, secret }
}

/** False when there is none of that id, or it was revoked before. */
export function endServiceKey({ db, clock }: Operator, id: string): Promise<boolean> {
  return db.transaction().execute(async (trx) => {
    const now = clock.now()
    if (!(await revokeServiceKey(trx, id, now))) return false
    await recordEvent(trx, now, { type: 'key.revoked', detail: { use: 'service', id } })
    return true
  })
}

/** Whether a bearer token has the form of a service key: no JWT has. */
export const isServiceKey = (token: string): boolean => token.startsWith(PREFIX)

/** The scope of a service key; undefined when it is none, or was revoked. */
export async function readServiceKey(
  { db, clock }: Pick<Context, 'db' | 'clock'>,
  secret: string,
): Promise<string | undefined> {
  const key = await findServiceKey(db, { hash: hashSecret(secret) })
  if (!key) return undefined
  const now = clock.now()
  if (key.used_at === null || now - key.used_at >= USE_RECORDED_EVERY_MS) {
    await markServiceKeyUsed(db, key.id, now)
  }
  return key.scope
}
