import type { PasswordRefusal } from '../passwords/refusals.ts'

/** What a page's button posts, and where to. */
type Form = {
  /** A path or a URL. */
  action: string
  /** The token, and whatever else goes with it, by the names of the fields. */
  hidden: Readonly<Record<string, string>>
}

/** What was done, or why it was not, and whether that is good. */
export const TONES = {
  verified: 'success',
  password_set: 'success',
  undone: 'success',
  signed_in: 'success',
  link_invalid: 'failure',
  wrong_browser: 'failure',
  taken: 'failure',
  too_many_tries: 'failure',
  unavailable: 'failure',
} as const
export type Outcome = keyof typeof TONES

/** The pages that links in mails lead to. */
export type Page =
  | ({ kind: 'verify' | 'undo' | 'sign_in' } & Form)
  | ({ kind: 'confirm'; isRefused?: boolean } & Form)
  | ({
      kind: 'reset'
      /** In characters. */
      minLength: number
      refusals?: readonly PasswordRefusal[]
    } & Form)
  | { kind: Outcome }
