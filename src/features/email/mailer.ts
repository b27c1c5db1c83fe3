import type { EmailSettings } from '../../core/settings/email.ts'
import type { Mailbox } from '../mailbox/mailbox.ts'
import type { Mailer } from './letter.ts'
import { createSmtpMailer } from './smtp.ts'

/** What mails leave by, as the settings have it. */
export function createMailer({ transport, from }: EmailSettings, mailbox: Mailbox | undefined): Mailer {
  if (transport.kind === 'smtp') return createSmtpMailer(transport, from)
  return mailbox ?? NOTHING
}

/** For what was queued before SMTP_URL was removed. */
const NOTHING: Mailer = {
  send: async () => ({ outcome: 'unreachable', code: 'SMTP_URL' }),
  close() {},
}
