import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onEachDatabase, PASSWORD, type Reply, type TestServer } from '../kit.ts'
import { deliverOne, type Mailing, post, proofIn, startMailing } from '../support/mails.ts'
import { shareMailServer } from '../support/smtp.ts'

const NEW_PASSWORD = 'another horse battery staple'

onEachDatabase('the pages that links lead to', ({ start }) => {
  const mails = shareMailServer()

  const startWithAda = async () => {
    const env = { MAGIC_LINKS: 'true', PUBLIC_URL: 'http://127.0.0.1:8000' }
    const mailing = await startMailing(start, mails(), env)
    const ada = await mailing.server.register({ username: 'ada' })
    const verify = proofIn(await deliverOne(mailing))
    return { ...mailing, ada, verify }
  }
  const pathOf = (url: string) => url.replace(/^https?:\/\/[^/]+/, '')
  const open = (server: TestServer, url: string) => server.call('GET', pathOf(url))
  /** Presses the button, as the page has it. */
  const press = async (
    server: TestServer,
    page: Reply,
    fields: Record<string, string> = {},
    headers = {},
  ) => {
    const action = /<form[^>]* action="([^"]+)"/.exec(page.text)?.[1] ?? assert.fail(page.text)
    const token = /name="token" value="([^"]+)"/.exec(page.text)?.[1] ?? assert.fail(page.text)
    return server.call('POST', action, {
      form: { token, ...fields },
      headers: { origin: 'null', ...headers },
    })
  }
  const isPage = (reply: Reply) => {
    const policy = String(reply.headers['content-security-policy'])
    assert.match(String(reply.headers['content-type']), /^text\/html/)
    assert.match(
      policy,
      /default-src 'none'; style-src 'sha256-[\w+/=]+'; img-src 'none'; form-action 'self'/,
    )
    assert.equal(reply.headers['referrer-policy'], 'no-referrer')
    assert.equal(reply.headers['cache-control'], 'no-store')
    assert.ok(!/<script|javascript:| on\w+=/i.test(reply.text))
    return reply
  }
  const ask = async (mailing: Mailing, path: string, email: string, call = {}) => {
    const reply = await post(mailing.server, path, { email }, call)
    assert.equal(reply.status, 202, reply.text)
    return { reply, ...proofIn(await deliverOne(mailing, email)) }
  }

  it('a program that follows every link three times uses nothing up; the button does', async () => {
    const mailing = await startWithAda()
    const { server, verify, ada } = mailing
    const rows = () => server.context.db.selectFrom('email_tokens').selectAll().execute()
    const before = await rows()
    for (let time = 0; time < 3; time += 1) {
      for (const method of ['GET', 'HEAD']) {
        assert.equal((await server.call(method, pathOf(verify.url))).status, 200)
      }
    }
    assert.deepEqual(await rows(), before)
    const done = isPage(await press(server, isPage(await open(server, verify.url))))
    assert.equal(done.status, 200)
    assert.equal((await server.me(ada.tokens.access_token)).body.email_verified, true)
    const again = isPage(await press(server, await open(server, verify.url)))
    assert.equal(again.status, 400)
  })

  it('a registration is confirmed with its password, and may be tried again on the spot', async () => {
    const mailing = await startWithAda()
    const { server } = mailing
    await server.restart({ email: { ...server.settings.email, requireVerification: true } })
    const bob = { username: 'bob', email: 'bob@example.com', password: PASSWORD }
    assert.equal((await post(server, '/auth/register', bob)).status, 202)
    const { url } = proofIn(await deliverOne(mailing, bob.email))
    assert.match(url, /\/email\/confirm\?token=/)
    const page = isPage(await open(server, url))
    assert.match(
      page.text,
      /<input type="password" id="password" name="password" autocomplete="current-password"/,
    )
    for (const [password, status] of [
      ['', 422],
      ['x'.repeat(1025), 422],
      ['certainly another one', 400],
    ] as const) {
      const refused = isPage(await press(server, page, { password }))
      assert.equal(refused.status, status)
      assert.match(refused.text, /role="alert"[\s\S]*type="password"/)
    }
    assert.equal((await press(server, page, { password: PASSWORD })).status, 200)
    await server.login(bob)
  })

  it('[V6.2.6] [V6.2.7] [NIST63B-paste] a new password: it is masked, managers and paste work, and what is refused says why, and may be mended on the spot', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    const { url } = await ask(mailing, '/auth/forgot-password', ada.email)
    const page = isPage(await open(server, url))
    assert.match(page.text, /<input[^>]*type="password"[^>]*autocomplete="new-password"/)
    assert.ok(!/onpaste|oncopy|autocomplete="off"/i.test(page.text))
    const refused = isPage(await press(server, page, { new_password: 'short' }))
    assert.equal(refused.status, 422)
    assert.match(refused.text, /role="alert"/)
    assert.equal((await press(server, refused, { new_password: NEW_PASSWORD })).status, 200)
    await server.login({ username: 'ada', password: NEW_PASSWORD })
  })

  it('a password of the size of a body is refused before anything looks at it, and an empty one is no failure', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    await server.restart({ rateLimits: true })
    const { url: resetUrl } = await ask(mailing, '/auth/forgot-password', ada.email)
    const json = { email: 'new@example.org', current_password: PASSWORD }
    const token = ada.tokens.access_token
    assert.equal((await server.call('PATCH', `${API}/users/me`, { json, token })).status, 200)
    const { url: confirmUrl } = proofIn(await deliverOne(mailing, 'new@example.org'))
    for (const name of ['verify', 'hash'] as const) {
      server.context.passwords[name] = () => assert.fail('it was looked at')
    }
    // Each of these takes long to be put into NFC.
    const huge = '\u0f77'.repeat(7000)
    for (const [url, field] of [
      [resetUrl, 'new_password'],
      [confirmUrl, 'password'],
    ] as const) {
      const page = await open(server, url)
      for (const password of [huge, '']) {
        const refused = isPage(await press(server, page, { [field]: password }))
        assert.equal(refused.status, 422)
        assert.match(refused.text, /role="alert"/)
      }
    }
    const failures = await server.context.db.selectFrom('sign_in_failures').selectAll().execute()
    assert.deepEqual(failures, [])
  })

  it('a sign-in: in the browser that asked, and in no other', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    const { url, reply } = await ask(mailing, '/auth/sign-in-link?transport=cookie', ada.email)
    const cookie = String(reply.headers['set-cookie']).split(';')[0] ?? ''
    const page = isPage(await open(server, url))
    const elsewhere = isPage(await press(server, page))
    assert.equal(elsewhere.status, 400)
    assert.equal(elsewhere.headers['set-cookie'], undefined)
    const done = isPage(await press(server, page, {}, { cookie }))
    assert.equal(done.status, 200)
    assert.match(String(done.headers['set-cookie']), /__Host-postern_refresh=/)
  })

  it('a change that is undone', async () => {
    const mailing = await startWithAda()
    const { server, ada, verify } = mailing
    await press(server, await open(server, verify.url))
    const json = { email: 'ada@example.org' }
    await server.call('PATCH', '/api/v1/users/me', { json, token: ada.tokens.access_token })
    const page = isPage(await open(server, proofIn(await deliverOne(mailing)).url))
    assert.equal((await press(server, page, { password: PASSWORD })).status, 200)
    const { url } = proofIn(await deliverOne(mailing, ada.email))
    assert.equal((await press(server, isPage(await open(server, url)))).status, 200)
    const { email } = await server.context.db.selectFrom('users').select('email').executeTakeFirstOrThrow()
    assert.equal(email, ada.email)
  })

  it('without a token, with a made-up one, or with one of another kind: a kind page, and 400', async () => {
    const mailing = await startWithAda()
    const { server, verify } = mailing
    for (const path of [
      '/email/verify',
      '/email/reset?token=',
      '/email/undo?token=a&token=b',
      '/email/sign-in?token=%3Cscript%3E',
    ]) {
      const page = isPage(await server.call('GET', path))
      assert.equal(page.status, 400)
      assert.ok(!page.text.includes('<form'))
    }
    const made = isPage(await server.call('POST', '/email/verify', { form: { token: 'A'.repeat(43) } }))
    assert.equal(made.status, 400)
    const other = { token: verify.token, new_password: NEW_PASSWORD }
    assert.equal(isPage(await server.call('POST', '/email/reset', { form: other })).status, 400)
  })

  it('the page speaks the language that the browser asks for', async () => {
    const { server, verify } = await startWithAda()
    const page = await server.call('GET', pathOf(verify.url), { headers: { 'accept-language': 'ar' } })
    assert.match(page.text, /<html[^>]*lang="ar"[^>]*dir="rtl"|<html[^>]*dir="rtl"[^>]*lang="ar"/)
    assert.match(String(page.headers.vary), /accept-language/)
  })
})
