import { resolve } from 'node:path'
import { isLoopback } from './addresses.ts'
import { InvalidValue, type Kind, quote } from './values.ts'
import type { Values } from './variables.ts'

/** What people are told without having asked for it. */
export const EMAIL_NOTICES = [
  'new_sign_in',
  'password_changed',
  'username_changed',
  'email_changed',
  'refresh_token_reused',
  'failed_sign_ins',
] as const
export type EmailNotice = (typeof EMAIL_NOTICES)[number]

/** What links in mails are for. */
export type EmailLink = 'confirm' | 'verify' | 'reset' | 'undo' | 'sign_in'

/** Whom mails are from; the name may be empty. */
export type Sender = Readonly<{ name: string; address: string }>

export type EmailSettings = Readonly<{
  /** How mails leave: by SMTP, into a mailbox in memory for developers, or not at all. */
  transport:
    | Readonly<{ kind: 'smtp'; url: string; requireStartTls: boolean }>
    | Readonly<{ kind: 'mailbox' }>
    | Readonly<{ kind: 'none' }>
  from: Sender
  /** Whether nobody gets a session before their address is verified. */
  requireVerification: boolean
  magicLinks: boolean
  notices: readonly EmailNotice[]
  /** Pages of the application, with `{token}` where the token belongs; Postern's own where absent. */
  linkUrls: Readonly<Partial<Record<EmailLink, string>>>
  /** An absolute path. */
  templatesDirectory: string | undefined
  /** Six hexadecimal digits after `#`. */
  brandColor: string
  brandLogoUrl: string | undefined
}>

/** An SMTP server. The messages hold nothing of it: it may carry a password. */
export const smtpUrl: Kind<string> = {
  expected: 'smtp://USER:PASSWORD@HOST:587, or smtps:// with TLS from the first byte on',
  parse(text) {
    const url = URL.parse(text)
    const isSmtp = url?.protocol === 'smtp:' || url?.protocol === 'smtps:'
    if (!url || !isSmtp || url.hostname === '' || /\s/.test(text)) {
      throw new InvalidValue('the value is not a URL of an SMTP server')
    }
    if (!/^\/?$/.test(url.pathname) || url.search !== '' || url.hash !== '') {
      throw new InvalidValue('there is something after the host and the port')
    }
    return text
  },
}

const ADDRESS = /^[^\s@<>"(),:;\\[\]]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$/

/** RFC 5322 section 3.4: `Name <address>`, or the address alone. */
export const sender: Kind<Sender> = {
  expected: 'an address such as no-reply@example.com, or Name <no-reply@example.com>',
  parse(text) {
    const [, name = '', address = text] = /^([^<>\p{Cc}"]{0,100}?)\s*<([^<>]*)>$/u.exec(text) ?? []
    if (!ADDRESS.test(address)) throw new InvalidValue(`${quote(address)} is no address`)
    return { name, address }
  },
}

/** Kinds of notices with commas between them. */
export const notices: Kind<readonly EmailNotice[]> = {
  expected: `some of ${EMAIL_NOTICES.join(', ')} with commas between them, or none`,
  parse(text) {
    const items = text.split(',').map((item) => item.trim())
    const named = [...new Set(items.filter((item) => item !== '' && item !== 'none'))]
    return named.map((item) => {
      const notice = EMAIL_NOTICES.find((known) => known === item)
      if (!notice) throw new InvalidValue(`${quote(item)} is no notice`)
      return notice
    })
  },
}

/** A page of the application that takes a token; http on this machine only. */
export const linkUrl: Kind<string> = {
  expected:
    'an https URL such as https://app.example.com/reset, with {token} where the token belongs, else as ?token=',
  parse(text) {
    const url = URL.parse(text.replace('{token}', 'TOKEN'))
    const isHttp = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))
    if (!url || !isHttp || !/^https?:\/\/[^\s\\]+$/i.test(text)) {
      throw new InvalidValue(`${quote(text)} is not an https URL`)
    }
    if (url.username !== '' || url.password !== '' || /^[^/]*\/\/[^/?#]*\{token\}/.test(text)) {
      throw new InvalidValue('the URL holds credentials, or the token before its path')
    }
    if (text.includes('{token}')) return text
    if (url.hash !== '') throw new InvalidValue(`${quote(text)} has a fragment, and no {token}`)
    return `${text}${url.search === '' ? '?' : '&'}token={token}`
  },
}

/** How mails leave, and what stands in them. */
export function createEmailSettings(values: Values, publicUrl: string, directory: string): EmailSettings {
  const { hostname } = new URL(publicUrl)
  const name = values.PROJECT_NAME.replaceAll(/[<>"]/g, '')
  return {
    transport: Object.freeze(chooseTransport(values)),
    from: Object.freeze(values.EMAIL_FROM ?? { name, address: `no-reply@${hostname}` }),
    requireVerification: values.REQUIRE_EMAIL_VERIFICATION,
    magicLinks: values.MAGIC_LINKS,
    notices: Object.freeze(values.EMAIL_NOTICES),
    linkUrls: Object.freeze(createLinkUrls(values)),
    templatesDirectory: values.EMAIL_TEMPLATES_DIR && resolve(directory, values.EMAIL_TEMPLATES_DIR),
    brandColor: values.BRAND_COLOR,
    brandLogoUrl: values.BRAND_LOGO_URL,
  }
}

/**
 * The mailbox shows every mail to whoever gets there: it is for developers, on their own machine. What has an address that
 * others know, or a proxy before it, is not.
 */
function chooseTransport(values: Values) {
  const { SMTP_URL: url, SMTP_STARTTLS, HOST, DATABASE_URL, PUBLIC_URL, TRUSTED_PROXIES } = values
  if (url !== undefined) return { kind: 'smtp', url, requireStartTls: SMTP_STARTTLS } as const
  const isReachedFromHere =
    isLoopback(HOST) && (PUBLIC_URL === undefined || isLoopback(new URL(PUBLIC_URL).hostname))
  const hasProxy = typeof TRUSTED_PROXIES === 'number' || TRUSTED_PROXIES.length > 0
  const isForDevelopers = isReachedFromHere && !hasProxy && DATABASE_URL.kind === 'sqlite'
  return { kind: isForDevelopers ? 'mailbox' : 'none' } as const
}

function createLinkUrls(values: Values): EmailSettings['linkUrls'] {
  const urls = {
    confirm: values.EMAIL_LINK_URL_CONFIRM,
    verify: values.EMAIL_LINK_URL_VERIFY,
    reset: values.EMAIL_LINK_URL_RESET,
    undo: values.EMAIL_LINK_URL_UNDO,
    sign_in: values.EMAIL_LINK_URL_SIGN_IN,
  }
  return Object.fromEntries(Object.entries(urls).filter(([, url]) => url !== undefined))
}

/** What needs mails, where none leave; values may be incomplete. */
export function crossCheckEmail(values: Values): string[] {
  const { DATABASE_URL, HOST, TRUSTED_PROXIES } = values
  // What could not be read is told already.
  if ([DATABASE_URL, HOST, TRUSTED_PROXIES].includes(undefined as never)) return []
  if (chooseTransport(values).kind !== 'none') return []
  const needing = (['REQUIRE_EMAIL_VERIFICATION', 'MAGIC_LINKS'] as const).filter((name) => values[name])
  return needing.map((name) => `SMTP_URL: it is not set, and ${name} needs it; expected ${smtpUrl.expected}`)
}
