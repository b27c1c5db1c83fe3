import { isIP } from 'node:net'
import type { Timestamp } from '../../core/clock.ts'
import type { Catalogue } from './catalogues.ts'
import { catalogueOf } from './locales.ts'
import type { Mail, MailKind } from './mails.ts'
import {
  formatDevice,
  formatDuration,
  formatTime,
  groupCode,
  isolate,
  oneLine,
  paragraphsOf,
  unlinked,
  withoutIsolates,
} from './shown.ts'
import type { Templates } from './templates.ts'

export type RenderedMail = {
  /** The language that it came out in. */
  locale: string
  subject: string
  text: string
  html: string
}

const MAX_NAME = 50
const MAX_ADDRESS = 254
const MAX_SUBJECT = 250

/** Mails that whoever enters an address can have sent there. */
const ASKED_FOR: ReadonlySet<MailKind> = new Set([
  'confirm_registration',
  'verify_email',
  'reset_password',
  'confirm_new_email',
  'sign_in',
])

/** A mail in words: nothing that somebody else has chosen makes a link, a line or a header in it. */
export function renderMail(templates: Templates, mail: Mail, locale: string, now: Timestamp): RenderedMail {
  const catalogue = catalogueOf(templates, locale)
  const view = describeMail(templates, mail, catalogue, now)
  return {
    locale: catalogue.locale,
    subject: view.subject,
    text: tidy(templates.file(`${mail.kind}.txt.liquid`).render(view)),
    html: templates.file(`${mail.kind}.html.liquid`).render(view),
  }
}

/** What the templates of mails may show. */
export function describeMail({ brand }: Templates, mail: Mail, catalogue: Catalogue, now: Timestamp) {
  const { kind, data } = mail
  const values = {
    project: isolate(catalogue, brand.project_name),
    name: isolate(catalogue, unlinked(mail.username, MAX_NAME)),
    ...('failures' in data && { failures: data.failures }),
  }
  const say = (key: string) => catalogue.format(`mail.${kind}.${key}`, values)
  const common = (key: string) => catalogue.format(`common.${key}`, values)
  const code = 'code' in data ? data.code : null
  return {
    ...brand,
    kind,
    locale: catalogue.locale,
    dir: catalogue.direction,
    username: values.name,
    subject: oneLine(withoutIsolates(say('subject')), MAX_SUBJECT),
    heading: say('heading'),
    greeting: common('greeting'),
    intro: paragraphsOf(say('intro')),
    facts: describeFacts(catalogue, data),
    action: 'url' in data ? { label: say('action'), url: data.url } : null,
    link_hint: common('link_hint'),
    code,
    code_groups: groupCode(code ?? ''),
    code_label: common('code_label'),
    validity: 'expiresAt' in data ? describeValidity(catalogue, code, data.expiresAt - now) : null,
    outro: paragraphsOf(say('outro')),
    reason: common(ASKED_FOR.has(kind) ? 'reason_asked' : 'reason_account'),
  }
}

/** Who did what from where, as far as the mail tells it. */
function describeFacts(catalogue: Catalogue, data: Mail['data']): { label: string; value: string }[] {
  const fact = (key: string, value: string) => ({ label: catalogue.format(`common.${key}`, {}), value })
  const shown = (value: string) => isolate(catalogue, value)
  return [
    ...('newEmail' in data ? [fact('new_address', shown(unlinked(data.newEmail, MAX_ADDRESS)))] : []),
    ...('at' in data
      ? [
          fact('time', formatTime(catalogue, data.at)),
          fact('device', formatDevice(catalogue, data.userAgent)),
          fact('ip_address', shown(isIP(data.ip) ? data.ip : unlinked(data.ip, MAX_NAME))),
        ]
      : []),
  ]
}

const describeValidity = (catalogue: Catalogue, code: string | null, durationMs: number): string =>
  catalogue.format(code === null ? 'common.valid_link' : 'common.valid_link_and_code', {
    duration: formatDuration(catalogue, durationMs),
  })

/** Templates leave empty lines where there was nothing to say. */
const tidy = (text: string): string =>
  `${text
    .replaceAll(/[ \t]+$/gm, '')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim()}\n`
