import { newNonce } from '../../core/ids.ts'
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
  /**
   * Its address holds it, so that only who reads the log of this process knows where mails are: that a request comes from this
   * machine says little where a proxy runs on it.
   */
  key: string
  /** Newest first. */
  list(): DeliveredMail[]
  find(id: string): DeliveredMail | undefined
}

export const MAILBOX_PATH = '/dev/mailbox'

/** Where mails are shown, or the one with that id. With any free port, whoever reads it knows which it is. */
export function mailboxUrl(
  { host, port }: Pick<Settings, 'host' | 'port'>,
  { key }: Pick<Mailbox, 'key'>,
  id?: string,
): string {
  const origin = port === 0 ? '' : defaultPublicUrl(host, port)
  return [`${origin}${MAILBOX_PATH}`, key, ...(id === undefined ? [] : [id])].join('/')
}

export function createMailbox(): Mailbox {
  const mails = new Map<string, DeliveredMail>()
  return {
    key: newNonce(),
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
