import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { Letter } from '../../src/features/email/letter.ts'
import { createSmtpMailer, probeSmtp, type SmtpServer } from '../../src/features/email/smtp.ts'
import { type Certificate, createAuthority, createCertificate } from '../support/certificates.ts'
import { RESET } from '../support/outbox.ts'
import { type Behaviour, type SmtpOptions, startMailServer } from '../support/smtp.ts'

const FROM = { name: 'Postern', address: 'no-reply@auth.example.com' }
const ID = '01900000-0000-7000-8000-000000000001'
/** Whatever a URL has to encode. */
const CREDENTIALS = { name: 'ada@example.com', password: 'p@ss:w/rd#%? ü' }
const NEVER = new AbortController().signal

const LETTER: Letter = {
  id: ID,
  to: 'ada@example.com',
  createdAt: Date.UTC(2026, 10, 27, 12, 34, 56),
  mail: RESET,
  subject: 'A new password',
  text: 'Hello ada',
  html: '<p>Hello <b>ada</b></p>',
}

describe('sending by SMTP', () => {
  const trustedBefore = getCACertificates('default')
  let authority: Certificate
  let good: Certificate
  before(async () => {
    authority = await createAuthority()
    good = await createCertificate('localhost', authority)
    setDefaultCACertificates([...trustedBefore, authority.cert])
  })
  after(() => setDefaultCACertificates(trustedBefore))

  const start = async (t: TestContext, options: SmtpOptions = {}) => {
    const server = await startMailServer(options)
    t.after(() => server.close())
    return server
  }

  const open = (t: TestContext, url: string, { requireStartTls = false, from = FROM } = {}) => {
    const mailer = createSmtpMailer({ kind: 'smtp', url, requireStartTls }, from)
    t.after(() => mailer.close())
    return mailer
  }

  const sendOnce = (
    t: TestContext,
    url: string,
    options?: { requireStartTls?: boolean; from?: typeof FROM },
  ) => open(t, url, options).send(LETTER, NEVER)

  const probe = (url: string, requireStartTls = true) => {
    const server: SmtpServer = { kind: 'smtp', url, requireStartTls }
    return probeSmtp(server)
  }

  it('smtp:// becomes TLS before anything is sent', async (t) => {
    const server = await start(t, { certificate: good })
    assert.deepEqual(await sendOnce(t, server.url(), { requireStartTls: true }), { outcome: 'accepted' })
    assert.equal(server.mails[0]?.isEncrypted, true)
    assert.equal(await probe(server.url()), undefined)
  })

  it('a server that offers no TLS is sent nothing, unless the settings say so', async (t) => {
    const server = await start(t)
    const refused = await sendOnce(t, server.url(), { requireStartTls: true })
    assert.deepEqual(refused, { outcome: 'unreachable', code: 'ETLS 500' })
    assert.deepEqual(await probe(server.url()), { kind: 'tls', code: 'ETLS 500' })
    assert.equal(server.mails.length, 0)
    assert.deepEqual(await sendOnce(t, server.url()), { outcome: 'accepted' })
    assert.equal(server.mails[0]?.isEncrypted, false)
    assert.equal(await probe(server.url(), false), undefined)
  })

  it('smtps:// speaks TLS from the first byte on', async (t) => {
    const server = await start(t, { certificate: good, isImplicit: true })
    assert.deepEqual(await sendOnce(t, server.url(), { requireStartTls: true }), { outcome: 'accepted' })
    assert.equal(server.mails[0]?.isEncrypted, true)
    assert.equal(await probe(server.url()), undefined)
    const plain = await start(t)
    const url = plain.url().replace('smtp:', 'smtps:')
    assert.equal((await probe(url))?.kind, 'tls')
    assert.equal((await sendOnce(t, url)).outcome, 'unreachable')
  })

  it('a certificate that nobody vouches for, that has expired, or for another host, is refused', async (t) => {
    for (const [certificate, code] of [
      [await createCertificate('localhost'), 'DEPTH_ZERO_SELF_SIGNED_CERT'],
      [await createCertificate('localhost', authority, { fromDays: -90, toDays: -1 }), 'CERT_HAS_EXPIRED'],
      [await createCertificate('mail.example.com', authority), 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ] as const) {
      for (const isImplicit of [false, true]) {
        const server = await start(t, { certificate, isImplicit })
        const refused = await sendOnce(t, server.url(), { requireStartTls: true })
        assert.deepEqual(refused, { outcome: 'unreachable', code: `ESOCKET ${code}` })
        assert.deepEqual(await probe(server.url()), { kind: 'certificate', code: `ESOCKET ${code}` })
        assert.equal(server.mails.length, 0)
      }
    }
  })

  it('credentials of the URL are decoded; wrong ones are no fault of the mail, and are not told', async (t) => {
    const server = await start(t, { certificate: good, credentials: CREDENTIALS })
    assert.deepEqual(await sendOnce(t, server.url(CREDENTIALS), { requireStartTls: true }), {
      outcome: 'accepted',
    })
    assert.equal(server.mails[0]?.user, CREDENTIALS.name)
    assert.equal(await probe(server.url(CREDENTIALS)), undefined)
    const wrong = server.url({ ...CREDENTIALS, password: 'another' })
    assert.deepEqual(await sendOnce(t, wrong, { requireStartTls: true }), {
      outcome: 'unreachable',
      code: 'EAUTH 535',
    })
    assert.deepEqual(await probe(wrong), { kind: 'login', code: 'EAUTH 535' })
    const without = await sendOnce(t, server.url(), { requireStartTls: true })
    assert.deepEqual(without, { outcome: 'unreachable', code: 'EENVELOPE 530' })
  })

  it('who has credentials sends nothing to a server that does not ask for them', async (t) => {
    const server = await start(t, { certificate: good, disabledCommands: ['AUTH'] })
    const refused = await sendOnce(t, server.url(CREDENTIALS), { requireStartTls: true })
    assert.deepEqual(refused, { outcome: 'unreachable', code: 'EAUTH 500' })
    assert.equal(server.mails.length, 0)
  })

  it('a mail has its text and its HTML, its own Message-ID, when it was queued, and asks no machine to answer', async (t) => {
    const server = await start(t)
    await sendOnce(t, server.url())
    const [mail] = server.mails
    assert.deepEqual([mail?.text?.trim(), mail?.html?.trim()], [LETTER.text, LETTER.html])
    assert.deepEqual(mail?.from, { name: 'Postern', address: 'no-reply@auth.example.com' })
    assert.deepEqual(mail?.to, [{ name: '', address: 'ada@example.com' }])
    assert.deepEqual(
      [mail?.envelopeFrom, mail?.envelopeTo],
      ['no-reply@auth.example.com', ['ada@example.com']],
    )
    assert.equal(mail?.messageId, `<${ID}@auth.example.com>`)
    assert.equal(mail?.date, '2026-11-27T12:34:56.000Z')
    const headers = Object.fromEntries(mail?.headers.map(({ key, value }) => [key, value]) ?? [])
    assert.equal(headers['auto-submitted'], 'auto-generated')
    assert.match(headers['content-type'] ?? '', /^multipart\/alternative;/)
    assert.equal(headers['x-mailer'], undefined)
  })

  it('names, subjects, texts and addresses in any script arrive as they were', async (t) => {
    const server = await start(t)
    const mailer = open(t, server.url(), { from: { ...FROM, name: 'ログイン Wächter' } })
    for (const text of [
      'كلمة مرور جديدة',
      'パスワードの再設定',
      'Ein neues Passwort für Jürgen',
      'ünïcödé '.repeat(40).trim(),
    ]) {
      const letter = { ...LETTER, to: 'jürgen@bücher.example', subject: text, text, html: `<p>${text}</p>` }
      assert.deepEqual(await mailer.send(letter, NEVER), { outcome: 'accepted' })
      const mail = server.mails.at(-1)
      assert.deepEqual(
        [mail?.subject, mail?.text?.trim(), mail?.html?.trim()],
        [text, text, `<p>${text}</p>`],
      )
      assert.equal(mail?.from?.name, 'ログイン Wächter')
      assert.deepEqual(mail?.envelopeTo, ['jürgen@bücher.example'])
    }
  })

  it('an address alone is whom mails are from', async (t) => {
    const server = await start(t)
    await sendOnce(t, server.url(), { from: { ...FROM, name: '' } })
    assert.deepEqual(server.mails[0]?.from, { name: '', address: 'no-reply@auth.example.com' })
  })

  it('an address that could be read as two, or as a header, is refused without asking the server', async (t) => {
    const server = await start(t)
    const mailer = open(t, server.url())
    for (const to of [
      'ada@example.com, eve@example.net',
      'ada@example.com;eve@example.net',
      'ada@example.com\r\nBcc: eve@example.net',
      'ada@example.com\nRCPT TO:<eve@example.net>',
      'ada@example.com>\r\nRCPT TO:<eve@example.net',
      'Ada <eve@example.net>',
      '<eve@example.net>',
      '"ada@example.com, x"@example.net',
      'group:eve@example.net;',
      'ada@eve@example.net',
      'ada@[127.0.0.1]',
      'ada(comment)@example.com',
      'ada@example.com\0',
      'ada example.com',
      'ada',
      '',
    ]) {
      const delivery = await mailer.send({ ...LETTER, to }, NEVER)
      assert.deepEqual(delivery, { outcome: 'refused', code: 'ADDRESS' }, to)
    }
    assert.equal(server.connections(), 0)
  })

  it('a subject with line breaks stays one header', async (t) => {
    const server = await start(t)
    const subject = 'Hello\r\nBcc: eve@example.net\r\n\r\nbody'
    await open(t, server.url()).send({ ...LETTER, subject }, NEVER)
    const [mail] = server.mails
    assert.deepEqual(mail?.envelopeTo, ['ada@example.com'])
    assert.equal(mail?.bcc, undefined)
    assert.equal(mail?.text?.trim(), LETTER.text)
  })

  it('a text that names files or addresses fetches nothing', async (t) => {
    const server = await start(t)
    const html = '<img src="file:///etc/passwd"><img src="http://127.0.0.1:1/">'
    await open(t, server.url()).send({ ...LETTER, html }, NEVER)
    assert.deepEqual([server.mails[0]?.html?.trim(), server.mails[0]?.attachments], [html, []])
  })

  it('what a server says decides whether it is tried again, and none of its words are kept', async (t) => {
    const server = await start(t)
    const mailer = open(t, server.url())
    for (const [behaviour, outcome, code] of [
      [{ recipient: 550 }, 'refused', 'EENVELOPE 550'],
      [{ recipient: 501 }, 'refused', 'EENVELOPE 501'],
      [{ message: 554 }, 'refused', 'EMESSAGE 554'],
      [{ recipient: 450 }, 'deferred', 'EENVELOPE 450'],
      [{ message: 452 }, 'deferred', 'EMESSAGE 452'],
      [{ recipient: 530 }, 'unreachable', 'EENVELOPE 530'],
      [{ message: 503 }, 'unreachable', 'EMESSAGE 503'],
      [{ sender: 550 }, 'unreachable', 'EENVELOPE 550'],
      [{ sender: 451 }, 'unreachable', 'EENVELOPE 451'],
      [{ recipient: 421 }, 'deferred', 'ECONNECTION'],
      [{ connect: 554 }, 'unreachable', 'EPROTOCOL 554'],
      [{ connect: 421 }, 'unreachable', 'EPROTOCOL 421'],
      // It can be used otherwise.
      [{ sender: 'cut' }, 'deferred', 'ECONNECTION'],
      [{ message: 'cut' }, 'deferred', 'ECONNECTION'],
    ] satisfies [Behaviour, string, string][]) {
      server.behave(behaviour)
      if ('connect' in behaviour) mailer.close()
      const fresh = 'connect' in behaviour ? open(t, server.url()) : mailer
      assert.deepEqual(await fresh.send(LETTER, NEVER), { outcome, code }, JSON.stringify(behaviour))
    }
    assert.equal(server.mails.length, 0)
  })

  it('nobody there: unreachable', async (t) => {
    const server = await startMailServer()
    await server.close()
    const expected = { outcome: 'unreachable', code: 'ESOCKET ECONNREFUSED' }
    assert.deepEqual(await sendOnce(t, server.url()), expected)
    assert.deepEqual(await probe(server.url()), { kind: 'unreachable', code: expected.code })
    const nowhere = await sendOnce(t, 'smtp://mail.invalid')
    assert.equal(nowhere.outcome, 'unreachable')
  })

  it('a server that never answers is left after a while, or at once when the caller wants to stop', async (t) => {
    const server = await start(t)
    for (const [behaviour, outcome] of [
      [{ connect: 'silence' }, 'unreachable'],
      [{ sender: 'silence' }, 'deferred'],
      [{ message: 'silence' }, 'deferred'],
    ] as const) {
      server.behave(behaviour)
      const controller = new AbortController()
      const sending = open(t, server.url()).send(LETTER, controller.signal)
      setTimeout(() => controller.abort(), 200)
      assert.deepEqual(await sending, { outcome: 'unreachable', code: 'EABORT' })
      const hasty = createSmtpMailer({ kind: 'smtp', url: server.url(), requireStartTls: false }, FROM, 200)
      t.after(() => hasty.close())
      assert.deepEqual(await hasty.send(LETTER, NEVER), { outcome, code: 'ETIMEDOUT' })
    }
  })

  it('connections are kept, and a server that has closed them meanwhile is asked anew', async (t) => {
    const server = await start(t)
    const mailer = open(t, server.url())
    for (let round = 0; round < 3; round += 1) await mailer.send(LETTER, NEVER)
    assert.equal(server.connections(), 1)
    server.hangUp()
    assert.deepEqual(await mailer.send(LETTER, NEVER), { outcome: 'accepted' })
    assert.equal(server.mails.length, 4)
  })
})
