import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { type Certificate, createAuthority, createCertificate } from '../support/certificates.ts'
import { diagnose } from '../support/doctor.ts'
import { type SmtpOptions, startMailServer } from '../support/smtp.ts'

const ENV = { PUBLIC_URL: 'https://127.0.0.1:3', EMAIL_FROM: 'no-reply@example.com' }
const CREDENTIALS = { name: 'ada', password: 'canary-p@ss' }

describe('doctor: the mail server', () => {
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

  const look = async (env: Record<string, string>) => {
    const { findings } = await diagnose({ ...ENV, ...env })
    const found = findings.filter(({ check, level }) => check.startsWith('mail.') && level !== 'ok')
    assert.doesNotMatch(JSON.stringify(found), /canary/)
    return { checks: found.map(({ check }) => check), what: found.map(({ what }) => what) }
  }

  it('one as it should be: nothing is found, and nothing is sent', async (t) => {
    for (const isImplicit of [false, true]) {
      const server = await start(t, { certificate: good, isImplicit, credentials: CREDENTIALS })
      assert.deepEqual((await look({ SMTP_URL: server.url(CREDENTIALS) })).checks, [])
      assert.deepEqual([server.mails, server.connections()], [[], 1])
    }
  })

  it('nobody there, no TLS, a certificate that nobody vouches for, and a login that is refused', async (t) => {
    const closed = await startMailServer()
    await closed.close()
    const { what } = await look({ SMTP_URL: closed.url(CREDENTIALS) })
    assert.deepEqual(what, [`127.0.0.1:${closed.port} cannot be used (ESOCKET ECONNREFUSED)`])
    const plain = await start(t)
    assert.deepEqual((await look({ SMTP_URL: plain.url(CREDENTIALS) })).checks, ['mail.tls'])
    assert.deepEqual((await look({ SMTP_URL: plain.url(), SMTP_STARTTLS: 'false' })).checks, [])
    const selfSigned = await start(t, { certificate: await createCertificate('localhost') })
    assert.deepEqual((await look({ SMTP_URL: selfSigned.url() })).checks, ['mail.certificate'])
    const strict = await start(t, { certificate: good, credentials: CREDENTIALS })
    const wrong = strict.url({ ...CREDENTIALS, password: 'canary' })
    assert.deepEqual((await look({ SMTP_URL: wrong })).checks, ['mail.login'])
  })

  it('one that never answers is left after five seconds', async (t) => {
    const silent = await start(t)
    silent.behave({ connect: 'silence' })
    const startedAt = performance.now()
    const { what } = await look({ SMTP_URL: silent.url(), SMTP_STARTTLS: 'false' })
    assert.match(what[0] ?? '', /^127\.0\.0\.1:\d+ cannot be used \(ETIMEDOUT( \w+)?\)$/)
    assert.ok(performance.now() - startedAt < 10_000)
  })

  it('what leaves this machine in the clear, from a private domain, or leads to plain HTTP', async () => {
    const env = { PUBLIC_URL: 'http://127.0.0.1:8000', EMAIL_FROM: 'no-reply@localhost' }
    const { checks } = await look({ ...env, SMTP_URL: 'smtp://mail.invalid', SMTP_STARTTLS: 'false' })
    assert.deepEqual(checks, ['mail.reachable', 'mail.encryption', 'mail.from', 'mail.links'])
  })

  it('without SMTP_URL: the mailbox of a developer, or none at all', async () => {
    assert.deepEqual((await look({})).checks, ['mail.set_up'])
    assert.deepEqual((await look({ HOST: '0.0.0.0' })).checks, ['mail.leaves'])
  })
})
