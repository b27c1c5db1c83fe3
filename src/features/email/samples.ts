import { DAY, HOUR, MINUTE, type Timestamp } from '../../core/clock.ts'
import type { EmailLink } from '../../core/settings/email.ts'
import type { Settings } from '../../core/settings.ts'
import { PASSWORD_REFUSALS } from '../passwords/refusals.ts'
import { linkTo, PAGE_PATHS } from './links.ts'
import { LINK_OF, type Mail, type MailData, type MailKind } from './mails.ts'
import type { Page } from './pages.ts'

type LinkSettings = Pick<Settings, 'publicUrl' | 'email'>

const TOKEN = 'c2FtcGxlLXRva2VuLXRoYXQtb3BlbnMtbm90aGluZy4'
const USER_AGENT = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0'
const deed = (at: Timestamp) => ({ at, ip: '203.0.113.7', userAgent: USER_AGENT })

/** Each mail with made-up data, to look at and to try templates with. */
const MAILS: { [Kind in MailKind]: (now: Timestamp, url: string) => MailData[Kind] } = {
  confirm_registration: (now, url) => ({ url, code: '482913', expiresAt: now + DAY }),
  verify_email: (now, url) => ({ url, code: '482913', expiresAt: now + DAY }),
  already_registered: (now) => deed(now),
  reset_password: (now, url) => ({ url, code: '482913', expiresAt: now + HOUR }),
  confirm_new_email: (now, url) => ({ url, code: '482913', expiresAt: now + DAY }),
  email_changed: (now, url) => ({ ...deed(now), url, expiresAt: now + 7 * DAY, newEmail: 'ada@example.net' }),
  email_change_undone: () => ({}),
  email_changed_back: () => ({}),
  email_restored: (now, url) => ({ url, code: '482913', expiresAt: now + HOUR }),
  sign_in: (now, url) => ({ ...deed(now), url, code: '482913', expiresAt: now + 10 * MINUTE }),
  new_sign_in: (now) => ({ ...deed(now), failures: 0 }),
  password_changed: (now) => deed(now),
  username_changed: (now) => deed(now),
  refresh_token_reused: (now) => deed(now),
  failed_sign_ins: (now) => ({ ...deed(now), failures: 12 }),
}

export const MAIL_KINDS = Object.keys(MAILS) as MailKind[]

const LINKS: Readonly<Partial<Record<MailKind, EmailLink>>> = LINK_OF

export function sampleMail(kind: MailKind, settings: LinkSettings, now: Timestamp): Mail {
  const url = linkTo(settings, LINKS[kind] ?? 'verify', TOKEN)
  return { kind, username: 'ada', data: MAILS[kind](now, url) } as Mail
}

const form = (link: EmailLink) => ({ action: PAGE_PATHS[link], hidden: { token: TOKEN } })

/** Every page, by what it shows. */
export const SAMPLE_PAGES = {
  confirm: { kind: 'confirm', ...form('confirm') },
  confirm_refused: { kind: 'confirm', ...form('confirm'), isRefused: true },
  verify: { kind: 'verify', ...form('verify') },
  reset: { kind: 'reset', ...form('reset'), minLength: 15 },
  reset_refused: { kind: 'reset', ...form('reset'), minLength: 15, refusals: PASSWORD_REFUSALS },
  undo: { kind: 'undo', ...form('undo') },
  sign_in: { kind: 'sign_in', ...form('sign_in') },
  verified: { kind: 'verified' },
  password_set: { kind: 'password_set' },
  undone: { kind: 'undone' },
  signed_in: { kind: 'signed_in' },
  link_invalid: { kind: 'link_invalid' },
  wrong_browser: { kind: 'wrong_browser' },
  taken: { kind: 'taken' },
  too_many_tries: { kind: 'too_many_tries' },
  unavailable: { kind: 'unavailable' },
} satisfies Record<string, Page>
