import assert from 'node:assert/strict'
import { renderMail } from '../../src/features/email/render-mail.ts'
import type { Person, Reply, TestServer } from '../kit.ts'
import { API } from '../kit.ts'
import { createTestSender, mailSettings } from './outbox.ts'
import type { ReceivedMail, TestMailServer } from './smtp.ts'
import { rememberSecret } from './traces.ts'

const FROM = 'Postern <no-reply@auth.example.com>'

export type Mailing = {
  server: TestServer
  mails: TestMailServer
  /** Sends what waits, and gives what has come. */
  deliver(): Promise<ReceivedMail[]>
}

type Start = (overrides: object) => Promise<TestServer>

/** A server that sends to a real mail server, set up by these variables. */
export async function startMailing(start: Start, mails: TestMailServer, env: Record<string, string> = {}) {
  const smtp = { SMTP_URL: mails.url(), SMTP_STARTTLS: 'false', EMAIL_FROM: FROM }
  const server = await start(mailSettings({ ...smtp, ...env }))
  let seen = mails.mails.length
  const deliver = async (): Promise<ReceivedMail[]> => {
    const { context } = server
    const { send } = createTestSender(context, (mail, locale) =>
      renderMail(context.templates, mail, locale, context.clock.now()),
    )
    await send()
    const fresh = mails.mails.slice(seen)
    seen = mails.mails.length
    for (const mail of fresh) {
      const { token } = proofIn(mail)
      if (token) rememberSecret(token)
    }
    return fresh
  }
  return { server, mails, deliver } satisfies Mailing
}

/** The link of a mail with its token, and the code. */
export function proofIn({ text = '' }: ReceivedMail): { url: string; token: string; code: string } {
  const [url = ''] = /https?:\/\/\S+token=[\w-]+/.exec(text) ?? []
  const [, token = ''] = /token=([\w-]+)/.exec(url) ?? []
  const [code = ''] = /^\s*\d{3}[ -]?\d{3}\s*$/m.exec(text) ?? []
  return { url, token, code: code.replaceAll(/\D/g, '') }
}

/** The one mail that has come. */
export async function deliverOne({ deliver }: Mailing, to?: string): Promise<ReceivedMail> {
  const [mail, ...others] = await deliver()
  assert.ok(mail && others.length === 0, `${others.length + (mail ? 1 : 0)} mails`)
  if (to !== undefined) assert.deepEqual(mail.envelopeTo, [to])
  return mail
}

/** Registers ada, who verifies her address. */
export async function registerVerified(mailing: Mailing): Promise<Person> {
  const ada = await mailing.server.register({ username: 'ada' })
  const { token } = proofIn(await deliverOne(mailing))
  assert.equal((await post(mailing.server, '/auth/verify-email', { token })).status, 200)
  return ada
}

/** A call of the API that takes JSON. */
export const post = (server: TestServer, path: string, json: object, call = {}): Promise<Reply> =>
  server.call('POST', `${API}${path}`, { json, ...call })
