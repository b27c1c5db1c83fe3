import type { Context } from '../../context.ts'
import type { Caller } from '../../core/caller.ts'
import { Problem } from '../../core/problems.ts'
import { isUniqueViolation } from '../../database/errors.ts'
import type { Db, User } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { linkTo } from '../email/links.ts'
import { deedOf, isTurnedOff, mailTo, proofOf } from '../email/mail-to.ts'
import { ALL_BUT_UNDO, deleteEmailTokens, deleteLaterUndos } from '../email-tokens/queries.ts'
import {
  findWayBack,
  issueEmailToken,
  type OwnedToken,
  readEmailProof,
  refuseWantedBack,
  useEmailToken,
} from '../email-tokens/tokens.ts'
import { carryFailures, forgetFailures } from '../passwords/throttle.ts'
import { endUserSessions } from '../sessions/end-sessions.ts'
import { removePassword, replaceEmail } from './email-queries.ts'
import { emailKey } from './names.ts'
import { findUser, findUserByEmail } from './queries.ts'

/** Sends the mail that confirms a new address, in the caller's transaction: until then the old one stays. */
export async function requestEmailChange(
  context: Context,
  trx: Db,
  user: User,
  { email, caller }: { email: string; caller: Caller },
): Promise<void> {
  const owner = await findUserByEmail(trx, { key: emailKey(email) })
  const issued = await issueEmailToken(context, trx, { kind: 'change_email', email, userId: user.id })
  if (owner && owner.id !== user.id) {
    // Whose address it is learns of it, and who asked does not: what they asked for before has ended in both cases.
    const data = deedOf(context, caller)
    await mailTo(context, trx, owner, { kind: 'already_registered', data })
  } else {
    const data = proofOf(context, 'confirm_new_email', issued)
    const to = { ...user, email }
    await mailTo(context, trx, to, { kind: 'confirm_new_email', data }, caller)
  }
  const event = { type: 'user.email_change_requested', userId: user.id, caller } as const
  await recordEvent(trx, context.clock.now(), event)
}

/**
 * Puts the new address in the place of the old one, and tells the old one how to undo it, unless the new one is an older
 * one that the account could have taken back.
 * @throws Problem `email_token_invalid`, `email_token_used`, `email_taken`
 */
export async function confirmNewEmail(context: Context, token: OwnedToken, caller: Caller): Promise<void> {
  const { db, clock } = context
  const before = await findUser(db, token.owner)
  if (!before) throw new Problem('email_token_invalid')
  await refusingTaken(() =>
    db.transaction().execute(async (trx) => {
      const now = clock.now()
      await useEmailToken(context, trx, token)
      const change = {
        id: before.id,
        from: before.email_key,
        email: token.email,
        key: emailKey(token.email),
        now,
      }
      const user = await replaceEmail(trx, change)
      if (!user) throw new Problem('email_token_invalid')
      await refuseWantedBack({ ...context, db: trx }, token.email, user.id)
      // What was sent to the old address opens nothing any more, but the way back.
      await deleteEmailTokens(trx, user.id, ['verify_email', 'reset_password', 'sign_in'])
      await carryFailures(context, trx, { from: before.email_key, to: user.email_key })
      await recordEvent(trx, now, { type: 'user.email_changed', userId: user.id, caller })
      const wayBack = await findWayBack({ ...context, db: trx }, token.email, user.id)
      if (!wayBack) return offerUndo(context, trx, { before, user, caller })
      // The address in between may be a thief's: no way leads back there.
      await deleteLaterUndos(trx, wayBack)
      await tellLoser(context, trx, before, 'email_changed_back')
    }),
  )
}

async function offerUndo(
  context: Context,
  trx: Db,
  { before, user, caller }: { before: User; user: User; caller: Caller },
): Promise<void> {
  // An address that was mistyped is somebody else's: they shall not get the account.
  if (before.email_verified_at === null || isTurnedOff(context.settings, 'email_changed')) return
  const undo = { kind: 'undo_email_change', email: before.email, userId: user.id } as const
  const { token, expiresAt } = await issueEmailToken(context, trx, undo)
  const url = linkTo(context.settings, 'undo', token)
  const data = { ...deedOf(context, caller), url, expiresAt, newEmail: user.email }
  await mailTo(context, trx, before, { kind: 'email_changed', data }, caller)
}

/**
 * Gives an account back to its old address: every session ends, the password opens nothing any more, and a link for a new
 * one is sent there.
 * @throws Problem `email_token_invalid`, `email_token_used`, `email_taken`
 */
export async function undoEmailChange(context: Context, link: string, caller: Caller): Promise<void> {
  const token = await readEmailProof(context, { token: link }, { kinds: ['undo_email_change'], caller })
  const { db, clock } = context
  await refusingTaken(() =>
    db.transaction().execute(async (trx) => {
      const now = clock.now()
      await useEmailToken(context, trx, token)
      const { email } = token
      const key = emailKey(email)
      const before = await findUser(trx, token.owner)
      const user = await replaceEmail(trx, { id: token.owner, email, key, now })
      if (!user) throw new Problem('email_token_invalid')
      if (await removePassword(trx, user.id)) {
        await recordEvent(trx, now, { type: 'user.password_removed', userId: user.id, caller })
      }
      await endUserSessions(context, trx, { userId: user.id, reason: 'email_change_undone', caller })
      await deleteEmailTokens(trx, user.id, ALL_BUT_UNDO)
      await deleteLaterUndos(trx, token)
      await forgetFailures(context, trx, user)
      await recordEvent(trx, now, { type: 'user.email_change_undone', userId: user.id, caller })
      const issued = await issueEmailToken(context, trx, { kind: 'reset_password', email, userId: user.id })
      const data = proofOf(context, 'email_restored', issued)
      await mailTo(context, trx, user, { kind: 'email_restored', data }, caller)
      if (before?.email_key !== key) await tellLoser(context, trx, before, 'email_change_undone')
    }),
  )
}

/** To the address that loses the account, and cannot undo that again. The language of who did it may be another. */
async function tellLoser(
  context: Context,
  trx: Db,
  before: User | undefined,
  kind: 'email_change_undone' | 'email_changed_back',
): Promise<void> {
  if (!before?.email_verified_at || isTurnedOff(context.settings, 'email_changed')) return
  await mailTo(context, trx, before, { kind, data: {} })
}

/** Somebody else may have come to have the address. */
async function refusingTaken(change: () => Promise<void>): Promise<void> {
  try {
    await change()
  } catch (error) {
    if (isUniqueViolation(error)) throw new Problem('email_taken', { cause: error })
    throw error
  }
}
