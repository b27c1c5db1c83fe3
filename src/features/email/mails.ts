import type { Timestamp } from '../../core/clock.ts'
import type { EmailLink } from '../../core/settings/email.ts'

/** What somebody did, and from where. */
type Deed = { at: Timestamp; ip: string; userAgent: string }

/** A link and a code that do the same. */
type Proof = { url: string; code: string; expiresAt: Timestamp }

/** What each mail tells, beside the name of whom it is for. */
export type MailData = {
  /** Confirms the address of somebody who registers, and whose account begins with that. */
  confirm_registration: Proof
  /** Confirms the address of an account. */
  verify_email: Proof
  /** Somebody registers with an address that has an account: to its owner. */
  already_registered: Deed
  reset_password: Proof
  /** Confirms the new address of an account. */
  confirm_new_email: Proof
  /** To the old address. `url` undoes the change. */
  email_changed: Deed & { url: string; expiresAt: Timestamp; newEmail: string }
  /** To the address that lost the account by an undo. Nothing of who did it: one of the two is a thief. */
  email_change_undone: Record<never, never>
  /** The account has the address back that it had before this one, by an ordinary change. Nothing of who did it, as above. */
  email_changed_back: Record<never, never>
  /** The change was undone: `url` and `code` set a new password. */
  email_restored: Proof
  sign_in: Proof & Deed
  /** `failures` are those in a row before it, 0 when they are too few to tell of. */
  new_sign_in: Deed & { failures: number }
  password_changed: Deed
  username_changed: Deed
  /** A refresh token was used that had been used before. */
  refresh_token_reused: Deed
  failed_sign_ins: Deed & { failures: number }
}

export type MailKind = keyof MailData

/** What a mail tells. */
export type Message = { [Kind in MailKind]: { kind: Kind; data: MailData[Kind] } }[MailKind]

/** The same, with the name of whom it is for: as it waits. */
export type Mail = Message & { username: string }

/** What the link of a mail is for. */
export const LINK_OF = {
  confirm_registration: 'confirm',
  verify_email: 'verify',
  confirm_new_email: 'confirm',
  reset_password: 'reset',
  email_restored: 'reset',
  email_changed: 'undo',
  sign_in: 'sign_in',
} as const satisfies Partial<Record<MailKind, EmailLink>>
