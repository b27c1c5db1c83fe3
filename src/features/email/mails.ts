import type { Timestamp } from '../../core/clock.ts'
import type { EmailLink, EmailNotice } from '../../core/settings/email.ts'

/** What somebody did, and from where. */
type Deed = { at: Timestamp; ip: string; userAgent: string }

/** A link and a code that do the same. */
type Proof = { url: string; code: string; expiresAt: Timestamp }

/** What each mail tells, beside the name of whom it is for. */
export type MailData = {
  /** Confirms the address of somebody who registers, or has registered. */
  verify_email: Proof
  /** Somebody registers with an address that has an account: to its owner. */
  already_registered: Deed
  reset_password: Proof
  /** Confirms the new address of an account. */
  confirm_new_email: Proof
  /** To the old address. `url` undoes the change. */
  email_changed: Deed & { url: string; expiresAt: Timestamp; newEmail: string }
  /** The change was undone: `url` and `code` set a new password. */
  email_restored: Proof
  sign_in: Proof & Deed
  new_sign_in: Deed
  password_changed: Deed
  username_changed: Deed
  /** A refresh token was used that had been used before. */
  sessions_ended: Deed
  failed_sign_ins: Deed & { failures: number }
}

export type MailKind = keyof MailData

/** A mail as it waits: what it tells, and whom. */
export type Mail = {
  [Kind in MailKind]: { kind: Kind; username: string; data: MailData[Kind] }
}[MailKind]

/** Which setting, if any, turns a mail off. */
export const NOTICE_OF: Readonly<Partial<Record<MailKind, EmailNotice>>> = {
  email_changed: 'email_changed',
  new_sign_in: 'new_sign_in',
  password_changed: 'password_changed',
  username_changed: 'username_changed',
  sessions_ended: 'sessions_ended',
  failed_sign_ins: 'failed_sign_ins',
}

/** What the link of a mail is for. */
export const LINK_OF: Readonly<Partial<Record<MailKind, EmailLink>>> = {
  verify_email: 'verify',
  confirm_new_email: 'verify',
  reset_password: 'reset',
  email_restored: 'reset',
  email_changed: 'undo',
  sign_in: 'sign_in',
}
