import type { Context } from '../../src/context.ts'
import { loadSettings, type Settings } from '../../src/core/settings.ts'
import type { Content } from '../../src/features/email/letter.ts'
import type { Mail, MailData } from '../../src/features/email/mails.ts'
import { type QueuedMail, queueMail } from '../../src/features/email/outbox.ts'
import { createMailSender } from '../../src/features/email/send-mails.ts'
import { SECRET_KEY } from './secret-key.ts'
import type { TestMailServer } from './smtp.ts'
import { rememberSecret } from './traces.ts'

const CODE = '493021'
/** What no log, no event and no column may show. */
export const TOKEN = 'canary-Zk3Wb7pQ9xLm2Ns5Rt8Vy1'
rememberSecret(TOKEN)
const EXPIRES_AT = 1_800_000_000_000

export const PROOF: MailData['reset_password'] = {
  url: `https://auth.example.com/email/reset?token=${TOKEN}`,
  code: CODE,
  expiresAt: EXPIRES_AT,
}

export const RESET: Mail = { kind: 'reset_password', username: 'ada', data: PROOF }

/** What a mail looks like where its looks do not matter. */
export const renderPlainly = (mail: Mail, locale: string): Content => {
  const { url = '', code = '' } = mail.data as Partial<typeof PROOF>
  const text = `Hello ${mail.username}: ${url} ${code}`
  return { subject: `${mail.kind} in ${locale}`, text, html: `<p style="color: #b91c1c">${text}</p>` }
}

/** Settings that send by this server, in the clear. */
export const sendingBy = (url: string): Pick<Settings, 'email'> =>
  mailSettings({ SMTP_URL: url, SMTP_STARTTLS: 'false', EMAIL_FROM: 'Postern <no-reply@auth.example.com>' })

/** What these variables say of mails. */
export function mailSettings(env: Record<string, string>): Pick<Settings, 'email'> {
  const { email } = loadSettings({ env: { SECRET_KEY, ...env }, directory: '/nonexistent' }).settings
  return { email }
}

export type LoggedLine = { level: string; message: string; [field: string]: unknown }

export type TestSender = {
  lines: LoggedLine[]
  /** Sends what is due, as the job does each second. */
  send(signal?: AbortSignal): Promise<void>
}

export function createTestSender(context: Context, render = renderPlainly): TestSender {
  const lines: LoggedLine[] = []
  const write = (level: string) => (fields: object, message: string) => {
    lines.push({ ...fields, level, message })
  }
  const send = createMailSender(context, { info: write('info'), warn: write('warn') }, render)
  return { lines, send: (signal = new AbortController().signal) => send(signal) }
}

/** Queues a mail in a transaction of its own. */
export const queue = (context: Context, mail: Partial<QueuedMail> = {}): Promise<void> =>
  context.db
    .transaction()
    .execute((trx) =>
      queueMail(context, trx, { to: 'ada@example.com', userId: null, locale: 'en', mail: RESET, ...mail }),
    )

export const storedMails = ({ db }: Pick<Context, 'db'>) =>
  db.selectFrom('outbox').selectAll().orderBy('created_at').orderBy('id').execute()

/** How often each Message-ID was accepted. */
export function countMessageIds({ mails }: TestMailServer): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { messageId = '' } of mails) counts.set(messageId, (counts.get(messageId) ?? 0) + 1)
  return counts
}
