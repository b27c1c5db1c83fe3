import { defaultPublicUrl } from '../../core/settings/addresses.ts'
import type { Settings } from '../../core/settings.ts'
import type { Mailer } from '../email/letter.ts'
import type { MailKind } from '../email/mails.ts'

const MOST = 100

/** As programs get it. */
export type DeliveredMail = {
  id: string
  queued_at: string
  kind: MailKind
  to: string
  subject: string
  text: string
  html: string
  /** Where its link leads, and the code to type; null where it has none. */
  url: string | null
  code: string | null
}

/** Takes the mails of a developer's server, and keeps the last of them in memory. */
export type Mailbox = Mailer & {
  /** Newest first. */
  list(): DeliveredMail[]
  find(id: string): DeliveredMail | undefined
}

export const MAILBOX_PATH = '/dev/mailbox'

/** Where a mail is shown. With any free port, whoever reads it knows which it is. */
export function mailboxUrl({ host, port }: Pick<Settings, 'host' | 'port'>, id: string): string {
  const origin = port === 0 ? '' : defaultPublicUrl(host, port)
  return `${origin}${MAILBOX_PATH}/${id}`
}

export function createMailbox(): Mailbox {
  const mails = new Map<string, DeliveredMail>()
  return {
    async send({ id, createdAt, to, mail, subject, text, html }) {
      const { url = null, code = null } = mail.data as { url?: string; code?: string }
      const queued_at = new Date(createdAt).toISOString()
      mails.set(id, { id, queued_at, kind: mail.kind, to, subject, text, html, url, code })
      const [oldest = ''] = mails.keys()
      if (mails.size > MOST) mails.delete(oldest)
      return { outcome: 'accepted' }
    },
    close() {},
    list: () => [...mails.values()].reverse(),
    find: (id) => mails.get(id),
  }
}
