import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { Mail } from '../../src/features/email/mails.ts'
import { type Call, onEachDatabase, type TestServer } from '../kit.ts'
import { documentOf } from '../support/openapi.ts'
import { createTestSender, mailSettings, PROOF, queue, RESET, sendingBy, TOKEN } from '../support/outbox.ts'
import { assertProblem } from '../support/replies.ts'

const ROOT = '/dev/mailbox'
const pathOf = ({ context }: TestServer) => `${ROOT}/${context.mailbox?.key}`
const JSON_ONLY = { headers: { accept: 'application/json' } }
const HOSTILE = `<script>alert(1)</script>"'&</iframe>`

onEachDatabase('the mailbox of a developer', ({ start, share }) => {
  /** As the settings have it by themselves where the database is embedded. */
  const mailbox = mailSettings({})
  const open = () => share(mailbox)

  const deliver = async (server: TestServer, mail: Mail = RESET, to = 'ada@example.com') => {
    await queue(server.context, { mail, to })
    const sender = createTestSender(server.context)
    await sender.send()
    const [newest] = server.context.mailbox?.list() ?? []
    return { id: newest?.id ?? '', lines: sender.lines }
  }

  it('is there with the embedded database on a loopback address alone', async () => {
    const is404 = async (server: TestServer) =>
      assertProblem(await server.call('GET', ROOT), { status: 404, code: 'not_found' })
    for (const HOST of ['127.0.0.1', '::1', 'localhost']) {
      const server = await start(mailSettings({ HOST }))
      assert.equal((await server.call('GET', pathOf(server))).status, 200, HOST)
    }
    await is404(await start(mailSettings({ HOST: '0.0.0.0' })))
    await is404(await start(mailSettings({ DATABASE_URL: 'postgres://ada@127.0.0.1/db' })))
    await is404(await start(sendingBy('smtp://127.0.0.1:1')))
  })

  it('who does not know its key is told no mail, also behind a proxy that adds no header', async () => {
    const server = await open()
    const { id } = await deliver(server)
    const hint = await server.call('GET', ROOT)
    assert.equal(hint.status, 200)
    assert.ok(!hint.text.includes('ada@example.com') && !hint.text.includes(pathOf(server)))
    for (const key of ['x', 'A'.repeat(22), id, `${server.context.mailbox?.key}A`]) {
      for (const path of [`${ROOT}/${key}`, `${ROOT}/${key}/${id}`]) {
        assertProblem(await server.call('GET', path, JSON_ONLY), { status: 404, code: 'not_found' })
      }
    }
    assert.match(server.context.mailbox?.key ?? '', /^[\w-]{22}$/)
    const other = await start(mailbox)
    assert.notEqual(other.context.mailbox?.key, server.context.mailbox?.key)
  })

  it('shows what was sent, newest first: to whom, the link, the text, and the HTML in a frame of its own', async () => {
    const server = await open()
    await deliver(server)
    const { id } = await deliver(server, { ...RESET, username: 'eve' }, 'eve@example.com')
    const list = await server.call('GET', pathOf(server))
    assert.ok(list.text.indexOf('eve@example.com') < list.text.indexOf('ada@example.com'))
    assert.ok(list.text.includes(`href="${pathOf(server)}/${id}"`))
    const { text } = await server.call('GET', `${pathOf(server)}/${id}`)
    assert.ok(text.includes(`<a href="${PROOF.url}" rel="noreferrer">`))
    assert.ok(text.includes(`<pre dir="auto">Hello eve: ${PROOF.url} ${PROOF.code}</pre>`))
    assert.match(
      text,
      /<iframe sandbox title="[^"]*" srcdoc="&lt;p style=&quot;color: #b91c1c&quot;&gt;Hello eve/,
    )
  })

  it('gives the same as JSON to programs', async () => {
    const server = await open()
    const { id } = await deliver(server)
    const { body } = await server.call('GET', pathOf(server), JSON_ONLY)
    const expected = {
      id,
      queued_at: new Date(server.context.clock.now()).toISOString(),
      kind: 'reset_password',
      to: 'ada@example.com',
      subject: 'reset_password in en',
      text: `Hello ada: ${PROOF.url} ${PROOF.code}`,
      html: `<p style="color: #b91c1c">Hello ada: ${PROOF.url} ${PROOF.code}</p>`,
      url: PROOF.url,
      code: PROOF.code,
    }
    assert.deepEqual(body.mails[0], expected)
    const one = await server.call('GET', `${pathOf(server)}/${id}`, JSON_ONLY)
    assert.deepEqual([one.headers['content-type'], one.body], ['application/json; charset=utf-8', expected])
    const deed = { at: 0, ip: '192.0.2.1', userAgent: 'x', failures: 0 }
    const notice = await deliver(server, { kind: 'new_sign_in', username: 'ada', data: deed })
    const { url, code } = (await server.call('GET', `${pathOf(server)}/${notice.id}`, JSON_ONLY)).body
    assert.deepEqual([url, code], [null, null])
  })

  it('keeps the last hundred', async () => {
    const server = await start(mailbox)
    for (let index = 0; index < 103; index += 1) {
      server.clock.advance(1)
      await queue(server.context, { to: `person${index}@example.com` })
    }
    await createTestSender(server.context).send()
    const { mails } = (await server.call('GET', pathOf(server), JSON_ONLY)).body
    assert.equal(mails.length, 100)
    assert.deepEqual([mails[0].to, mails[99].to], ['person102@example.com', 'person3@example.com'])
  })

  it('what somebody has put into a mail is text on the page', async () => {
    const server = await open()
    const sender = createTestSender(server.context, ({ username }) => ({
      subject: username,
      text: username,
      html: username,
    }))
    await queue(server.context, { mail: { ...RESET, username: HOSTILE } })
    await sender.send()
    const [mail] = server.context.mailbox?.list() ?? []
    for (const path of [pathOf(server), `${pathOf(server)}/${mail?.id}`]) {
      const { text } = await server.call('GET', path)
      assert.ok(text.includes('&lt;script&gt;'))
      assert.ok(!text.includes('<script') && !text.includes(`"'&<`))
    }
  })

  it('answers this machine alone: no other name, and nothing that comes through a proxy', async () => {
    const server = await open()
    const { id } = await deliver(server)
    const status = async (headers: Record<string, string>, path: string) =>
      (await server.call('GET', path, { headers } satisfies Call)).status
    for (const path of [pathOf(server), `${pathOf(server)}/${id}`]) {
      for (const host of ['localhost', 'localhost:8000', '127.0.0.1:8000', '[::1]:8000', 'app.localhost']) {
        assert.equal(await status({ host }, path), 200, host)
      }
      for (const host of [
        'attacker.example',
        'attacker.example:8000',
        'localhost.attacker.example',
        '127.0.0.1.attacker.example',
        '192.0.2.1',
        '0.0.0.0',
        'localhost@attacker.example',
        '[::2]',
      ]) {
        assert.equal(await status({ host }, path), 404, host)
      }
      for (const name of [
        'X-Forwarded-For',
        'Forwarded',
        'X-Real-IP',
        'CF-Connecting-IP',
        'X-Forwarded-Host',
        'Via',
      ]) {
        assert.equal(await status({ host: 'localhost', [name]: '127.0.0.1' }, path), 404, name)
      }
    }
  })

  it('neither a cache nor a script nor a foreign page gets at it', async () => {
    const server = await open()
    const { id } = await deliver(server)
    for (const path of [pathOf(server), `${pathOf(server)}/${id}`]) {
      const { headers } = await server.call('GET', path)
      assert.equal(headers['content-type'], 'text/html; charset=utf-8')
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['referrer-policy'], 'no-referrer')
      assert.equal(headers['x-content-type-options'], 'nosniff')
      assert.equal(
        headers['content-security-policy'],
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      )
    }
    const logo = await start({
      email: { ...mailbox.email, brandLogoUrl: 'https://cdn.example.com/a/logo.png' },
    })
    const { headers } = await logo.call('GET', pathOf(logo))
    assert.match(String(headers['content-security-policy']), /img-src https:\/\/cdn\.example\.com;/)
  })

  it('a line of the log says where each mail is shown, and nothing of what it tells', async () => {
    const server = await open()
    const { id, lines } = await deliver(server)
    const message = `a mail is shown at http://127.0.0.1:8000${pathOf(server)}/${id}`
    assert.deepEqual(lines, [{ level: 'info', message, mail: id, kind: 'reset_password' }])
    assert.ok(!JSON.stringify(lines).includes(TOKEN))
  })

  it('a mail that is not there is 404, and the description of the API knows of none of it', async () => {
    const server = await open()
    assertProblem(await server.call('GET', `${pathOf(server)}/none`), { status: 404, code: 'not_found' })
    assert.ok(!JSON.stringify(await documentOf(server.app)).includes('mailbox'))
  })
})
