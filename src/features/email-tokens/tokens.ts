import { randomBytes, randomInt } from 'node:crypto'
import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { DAY, HOUR, MINUTE, type Timestamp } from '../../core/clock.ts'
import { newId, type UserId } from '../../core/ids.ts'
import { Problem } from '../../core/problems.ts'
import { hashSecret, isSameSecret } from '../../core/security/secrets.ts'
import type { Db } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { lockUserRow } from '../users/email-queries.ts'
import { emailKey } from '../users/names.ts'
import {
  consumeEmailToken,
  countCodeTry,
  findEmailToken,
  findUndo,
  giveBackCodeTry,
  hasUndo,
  putEmailToken,
  type StoredEmailToken,
} from './queries.ts'

/** What a token that was sent to an address is good for, and how long. */
const KINDS = {
  register: { ttlMs: DAY, hasCode: true },
  verify_email: { ttlMs: DAY, hasCode: true },
  change_email: { ttlMs: DAY, hasCode: true },
  undo_email_change: { ttlMs: 7 * DAY, hasCode: false },
  reset_password: { ttlMs: HOUR, hasCode: true },
  sign_in: { ttlMs: 10 * MINUTE, hasCode: true },
} as const satisfies Record<string, { ttlMs: number; hasCode: boolean }>

export type EmailTokenKind = keyof typeof KINDS

/** How long what is sent is good for. */
export const ttlMsOf = (kind: EmailTokenKind): number => KINDS[kind].ttlMs

const TOKEN_BYTES = 32
const CODE_DIGITS = 6
/** Then a code is dead; its link is not. */
const MOST_CODE_FAILURES = 5

type TokenContext = Pick<Context, 'db' | 'clock' | 'pseudonym'>

export type NewEmailToken = {
  kind: EmailTokenKind
  /** The address that it is sent to, and proves. */
  email: string
  /** Whose it is; absent where nobody has the address. */
  userId?: UserId | undefined
  registrationId?: string | undefined
  /** What the browser or client that asked keeps, where no other may use it. */
  binding?: string | undefined
  /** Not good for longer than until then. */
  notAfter?: Timestamp | undefined
  /** Who asked, where what one asks for does not end what another has. */
  asker?: string | undefined
}

/** What goes into the mail, and is kept nowhere. */
export type IssuedToken = { token: string; code: string; expiresAt: Timestamp }

/** Makes a token and a code in the caller's transaction, and ends the one of the same kind before it. */
export async function issueEmailToken(
  { clock, pseudonym }: Pick<TokenContext, 'clock' | 'pseudonym'>,
  trx: Db,
  { kind, email, userId, registrationId, binding, asker, notAfter = Number.POSITIVE_INFINITY }: NewEmailToken,
): Promise<IssuedToken> {
  const { ttlMs, hasCode } = KINDS[kind]
  const id = newId()
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const code = String(randomInt(10 ** CODE_DIGITS)).padStart(CODE_DIGITS, '0')
  const now = clock.now()
  const addressKey = addressKeyOf({ pseudonym }, kind, email)
  const expiresAt = Math.min(now + ttlMs, notAfter)
  await putEmailToken(trx, {
    id,
    kind,
    slot: `${slotOf({ kind, userId, registrationId }, addressKey)}${asker ? ` ${pseudonym('asker', asker)}` : ''}`,
    address_key: addressKey,
    token_hash: hashSecret(token),
    code_mac: hasCode ? pseudonym('email-code', id, code) : null,
    user_id: userId ?? null,
    registration_id: registrationId ?? null,
    // Nobody's address is kept of who has no account.
    email: userId === undefined && registrationId === undefined ? '' : email,
    binding_hash: binding === undefined ? null : hashSecret(binding),
    created_at: now,
    expires_at: expiresAt,
  })
  return { token, code, expiresAt }
}

/** One for a user and a kind; one for each old address, so that a second change ends no way back to the first. */
function slotOf(
  { kind, userId, registrationId }: Pick<NewEmailToken, 'kind' | 'userId' | 'registrationId'>,
  addressKey: string,
): string {
  const owner = userId ?? registrationId
  if (owner === undefined) return addressKey
  return kind === 'undo_email_change' ? `${kind} ${owner} ${addressKey}` : `${kind} ${owner}`
}

const addressKeyOf = (
  { pseudonym }: Pick<TokenContext, 'pseudonym'>,
  kind: EmailTokenKind,
  email: string,
): string => pseudonym('email-token', kind, emailKey(email))

/**
 * Refuses an address that somebody lost a while ago and may take back: a thief could keep them from it.
 * @param by whose own way back it may be
 * @throws Problem `email_taken`
 */
export async function refuseWantedBack(context: TokenContext, email: string, by?: UserId): Promise<void> {
  const { db, clock } = context
  const addressKey = addressKeyOf(context, 'undo_email_change', email)
  if (await hasUndo(db, { addressKey, now: clock.now(), except: by ?? null }))
    throw new Problem('email_taken')
}

/** The way back to an address, if this user has one. */
export function findWayBack(
  context: TokenContext,
  email: string,
  userId: UserId,
): Promise<StoredEmailToken | undefined> {
  const { db, clock } = context
  const addressKey = addressKeyOf(context, 'undo_email_change', email)
  return findUndo(db, { userId, addressKey, now: clock.now() })
}

/** A token with whose it is: a user, or a registration where the kind is `register`. */
export type OwnedToken = StoredEmailToken & { owner: string }

/** A token, or the address with the code that was sent to it. */
export type EmailProof = { token: string } | { email: string; code: string }

/** What a proof is brought for, and who brings it. */
type ProofRequest = { kinds: readonly EmailTokenKind[]; binding?: string | undefined; caller: Caller }

/**
 * The token that a proof stands for. It is not used up: what is done with it does that, see `useEmailToken`. One that is
 * none is written down.
 * @throws Problem `email_token_invalid`, `email_token_used`, `email_token_elsewhere`
 */
export async function readEmailProof(
  context: TokenContext,
  proof: EmailProof,
  request: ProofRequest,
): Promise<OwnedToken> {
  const { found, tried } =
    'token' in proof
      ? { found: await findEmailToken(context.db, hashSecret(proof.token)), tried: undefined }
      : await findByCode(context, proof, request)
  const refusal = refusalOf(found, request, context.clock.now())
  const owner = found && ownerOf(found)
  if (found && owner && !refusal) return { ...found, owner }
  const reason = refusal ?? 'email_token_invalid'
  await recordFailedProof(context, { userId: (found ?? tried)?.user_id ?? undefined, reason, ...request })
  throw new Problem(reason)
}

const ownerOf = ({ user_id, registration_id }: StoredEmailToken): string | null => user_id ?? registration_id

function refusalOf(
  found: StoredEmailToken | undefined,
  { kinds, binding }: ProofRequest,
  now: Timestamp,
): 'email_token_invalid' | 'email_token_used' | 'email_token_elsewhere' | undefined {
  if (!found || !kinds.some((kind) => kind === found.kind)) return 'email_token_invalid'
  if (found.consumed_at !== null) return 'email_token_used'
  if (found.expires_at <= now) return 'email_token_invalid'
  return isBoundTo(found, binding) ? undefined : 'email_token_elsewhere'
}

function recordFailedProof(
  { db, clock }: TokenContext,
  { userId, reason, kinds, caller }: ProofRequest & { userId: UserId | undefined; reason: string },
): Promise<void> {
  const isSignIn = kinds.includes('sign_in')
  const type = isSignIn ? 'user.sign_in_failed' : 'user.email_proof_failed'
  const detail = { ...(isSignIn ? { method: 'email' } : { purpose: kinds.join(' ') }), reason }
  return recordEvent(db, clock.now(), { type, userId, caller, detail })
}

/** @returns the token that has the code, and one that it was tried at */
async function findByCode(
  context: TokenContext,
  { email, code }: { email: string; code: string },
  { kinds, binding = '' }: ProofRequest,
): Promise<{ found: StoredEmailToken | undefined; tried: StoredEmailToken | undefined }> {
  const { db, clock, pseudonym } = context
  const addressKeys = kinds.map((kind) => addressKeyOf(context, kind, email))
  const tries = await countCodeTry(db, {
    addressKeys,
    bindingHash: hashSecret(binding),
    mostFailures: MOST_CODE_FAILURES,
    now: clock.now(),
  })
  const found = tries.filter(
    (row) => isNewest(row, tries) && isSameSecret(row.code_mac ?? '', pseudonym('email-code', row.id, code)),
  )
  for (const { id } of found) await giveBackCodeTry(db, id)
  return { found: found[0], tried: tries[0] }
}

/** Two that were made at the same moment do not see each other: so that a guess is one at one code, the older one is none. */
const isNewest = (row: StoredEmailToken, rows: readonly StoredEmailToken[]): boolean =>
  row.binding_hash !== null ||
  !rows.some(
    ({ id, address_key, binding_hash, created_at }) =>
      address_key === row.address_key &&
      binding_hash === null &&
      (created_at > row.created_at || (created_at === row.created_at && id > row.id)),
  )

const isBoundTo = ({ binding_hash: hash }: StoredEmailToken, binding: string | undefined): boolean =>
  hash === null || (binding !== undefined && isSameSecret(hash, hashSecret(binding)))

/**
 * Uses a token up, in the transaction of what it is used for: of two at once, one wins. Its user's row is locked first, so that
 * two of them, or a change by the user, never wait for each other.
 * @throws Problem `email_token_used`
 */
export async function useEmailToken(
  { clock }: Pick<TokenContext, 'clock'>,
  trx: Db,
  { id, user_id }: OwnedToken,
): Promise<void> {
  if (user_id !== null) await lockUserRow(trx, user_id)
  if (!(await consumeEmailToken(trx, id, clock.now()))) throw new Problem('email_token_used')
}
