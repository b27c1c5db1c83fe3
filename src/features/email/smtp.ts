import type { NodemailerError, SMTPPoolOptions, Transporter } from 'nodemailer'
import { SECOND } from '../../core/clock.ts'
import type { EmailSettings, Sender } from '../../core/settings/email.ts'
import { within } from '../../core/within.ts'
import type { Delivery, Letter, Mailer } from './letter.ts'

/** For all of a try: a server may take its time before it says that it has a mail (RFC 5321 section 4.5.3.2). */
export const SEND_WITHIN_MS = 60 * SECOND
/** From the name of the host to the end of STARTTLS, and for each answer after that. */
const TIME_OUTS = { dnsTimeout: 10 * SECOND, connectionTimeout: 20 * SECOND, greetingTimeout: 20 * SECOND }
const ANSWER_WITHIN_MS = 50 * SECOND
const PROBE_WITHIN_MS = 5 * SECOND

/** How many mails are sent at once. */
export const CONNECTIONS = 5

/** Replies to a recipient or a message that are about the session. */
const ABOUT_THE_SESSION = [421, 503, 530, 534, 535, 538]

/** One recipient, whatever reads it. Accounts have no other address; an import may have brought one. */
const ADDRESS = /^[^\s\p{Cc}@<>"(),:;\\[\]]+@[^\s\p{Cc}@<>"(),:;\\[\]]+$/u

export type SmtpServer = Extract<EmailSettings['transport'], { kind: 'smtp' }>

export const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1)

/** Sends by SMTP over connections that stay open for a while. Nothing is loaded before the first mail. */
export function createSmtpMailer(server: SmtpServer, from: Sender, withinMs = SEND_WITHIN_MS): Mailer {
  let loading: Promise<Transporter> | undefined
  const load = () => {
    loading ??= openPool(server)
    return loading
  }
  return {
    async send(letter, signal) {
      if (!ADDRESS.test(letter.to)) return { outcome: 'refused', code: 'ADDRESS' }
      const limit = AbortSignal.timeout(withinMs)
      try {
        const pool = await load()
        await pool.sendMail({ ...toMessage(letter, from), signal: AbortSignal.any([signal, limit]) })
        return { outcome: 'accepted' }
      } catch (error) {
        if (limit.aborted) return blame(server, 'ETIMEDOUT')
        const delivery = judge(error as NodemailerError)
        const isUnanswered = (error as NodemailerError).responseCode === undefined && !signal.aborted
        return delivery.outcome === 'unreachable' && isUnanswered ? blame(server, delivery.code) : delivery
      }
    },
    close: () =>
      void loading?.then(
        (pool) => pool.close({ force: true }),
        () => {},
      ),
  }
}

async function openPool(server: SmtpServer): Promise<Transporter> {
  const { createTransport } = await import('nodemailer')
  return createTransport({
    ...optionsFor(server),
    ...TIME_OUTS,
    socketTimeout: ANSWER_WITHIN_MS,
    pool: true,
    maxConnections: CONNECTIONS,
    // One that the server has closed meanwhile; what fails otherwise is tried again by whoever asks.
    maxRequeues: 1,
  })
}

/** Credentials are decoded where the URL is read. */
const optionsFor = ({ url, requireStartTls }: SmtpServer) =>
  ({
    url,
    requireTLS: requireStartTls,
    ignoreTLS: !requireStartTls,
    // Who has credentials does not send without them, whatever the server offers.
    forceAuth: URL.parse(url)?.username !== '',
    disableFileAccess: true,
    disableUrlAccess: true,
  }) satisfies SMTPPoolOptions

const toMessage = ({ id, to, createdAt, subject, text, html }: Letter, from: Sender) => ({
  from: { ...from },
  to: { name: '', address: to },
  messageId: `<${id}@${domainOf(from.address)}>`,
  date: new Date(createdAt),
  subject,
  text,
  html,
  // No answering machine answers it (RFC 3834 section 5).
  headers: { 'Auto-Submitted': 'auto-generated' },
  xMailer: false as const,
})

/** Whether it is about this mail, and for good (RFC 5321 section 4.2.1). */
function judge(error: NodemailerError): Delivery {
  const { command, responseCode = 0 } = error
  const isAboutMail = command === 'RCPT TO' || command === 'DATA'
  const code = codeOf(error)
  if (!isAboutMail || responseCode < 400 || ABOUT_THE_SESSION.includes(responseCode)) {
    return { outcome: 'unreachable', code }
  }
  return { outcome: responseCode < 500 ? 'deferred' : 'refused', code }
}

/** Where there was no answer: a server that can be used otherwise is not down, it is slow with this mail. */
async function blame(server: SmtpServer, code: string): Promise<Delivery> {
  return { outcome: (await probeSmtp(server)) ? 'unreachable' : 'deferred', code }
}

/** The message would hold what the server said, and with that addresses. */
function codeOf({ code, name, responseCode, originalCode, timeoutType }: NodemailerError): string {
  const parts = [code ?? name, responseCode ?? originalCode ?? timeoutType ?? '']
  return parts.filter((part) => /^\w{1,60}$/.test(String(part))).join(' ')
}

/** Why a server cannot be used. */
export type SmtpFault = { kind: 'unreachable' | 'tls' | 'certificate' | 'login'; code: string }

/** Connects and logs in, and sends nothing; undefined when all is well. */
export async function probeSmtp(server: SmtpServer): Promise<SmtpFault | undefined> {
  const { createTransport } = await import('nodemailer')
  const transport = createTransport({
    ...optionsFor(server),
    dnsTimeout: PROBE_WITHIN_MS,
    connectionTimeout: PROBE_WITHIN_MS,
    socketTimeout: PROBE_WITHIN_MS,
  })
  const late = () => Object.assign(new Error('late'), { code: 'ETIMEDOUT' })
  try {
    await within(PROBE_WITHIN_MS, transport.verify(), late)
    return undefined
  } catch (error) {
    return { kind: faultOf(error as NodemailerError), code: codeOf(error as NodemailerError) }
  }
}

function faultOf({ code, command, originalCode = '' }: NodemailerError): SmtpFault['kind'] {
  if (code === 'EAUTH') return 'login'
  if (command === 'STARTTLS' || originalCode.startsWith('ERR_SSL')) return 'tls'
  return /CERT|SIGNATURE|ISSUER/.test(originalCode) ? 'certificate' : 'unreachable'
}
