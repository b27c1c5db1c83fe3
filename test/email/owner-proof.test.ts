import assert from 'node:assert/strict'
import { it } from 'node:test'
import { SECOND } from '../../src/core/clock.ts'
import { API, onEachDatabase, PASSWORD, type Reply, type TestServer } from '../kit.ts'
import { nextAddress, startLimited, tally, times, WRONG } from '../support/guesses.ts'
import { deliverOne, type Mailing, post, proofIn, startMailing } from '../support/mails.ts'
import { assertProblem } from '../support/replies.ts'
import { shareMailServer } from '../support/smtp.ts'
import { replaceVerify } from '../support/verifying-passwords.ts'

const STRICT = { REQUIRE_EMAIL_VERIFICATION: 'true' }
const ASKED_FOR_PASSWORD = { status: 422, code: 'validation_failed', pointers: ['/password'] }
const INCORRECT = { status: 400, code: 'current_password_incorrect' }

onEachDatabase('who confirms an address has to be the owner of the account', ({ start }) => {
  const mails = shareMailServer()

  const verify = (server: TestServer, json: object, call = {}) =>
    post(server, '/auth/verify-email', json, call)
  /** Somebody with a verified account, and then these settings. */
  const startWith = async (username: string, env: Record<string, string> = {}, begin = start) => {
    const mailing = await startMailing(begin, mails())
    const person = await mailing.server.register({ username })
    const { token } = proofIn(await deliverOne(mailing))
    assert.equal((await verify(mailing.server, { token })).status, 200)
    await mailing.server.restart({ email: (await startMailing(begin, mails(), env)).server.settings.email })
    return { ...mailing, person, token: person.tokens.access_token }
  }
  const change = async (mailing: Mailing, token: string, email: string) => {
    const { server } = mailing
    const json = { email, current_password: PASSWORD }
    assert.equal((await server.call('PATCH', `${API}/users/me`, { json, token })).status, 200)
    const mail = await deliverOne(mailing, email)
    return { mail, ...proofIn(mail) }
  }
  const emailOf = async (server: TestServer, token: string) => (await server.me(token)).body.email
  const press = (server: TestServer, path: string, form: Record<string, string>): Promise<Reply> =>
    server.call('POST', path, { form, headers: { origin: 'null' } })

  for (const env of [{}, STRICT]) {
    it(`a stranger who clicks on a change that they did not ask for gives nobody their address, ${JSON.stringify(env)}`, async () => {
      const mailing = await startWith('mallory', env)
      const { server, token: session, person: mallory } = mailing
      const email = 'victim@example.org'
      const { mail, url, token, code } = await change(mailing, session, email)
      // What tells them that it is not theirs.
      assert.match(mail.text ?? '', /the account \S*mallory/)
      assert.match(url, /\/email\/confirm\?token=/)
      for (const proof of [{ token }, { email, code }]) {
        assertProblem(await verify(server, proof), ASKED_FOR_PASSWORD)
        assertProblem(await verify(server, { ...proof, password: 'the password of victim' }), INCORRECT)
      }
      for (const path of ['/email/confirm', '/email/verify']) {
        const page = await press(server, path, { token })
        assert.ok(page.status >= 400 && page.text.includes('type="password"'), page.text)
      }
      assert.equal(await emailOf(server, session), mallory.email)
      assert.deepEqual(await mailing.deliver(), [])
      // The address is theirs to register with.
      const own = await post(server, '/auth/register', { username: 'victim', email, password: PASSWORD })
      assert.equal(own.status, env === STRICT ? 202 : 200)
    })
  }

  it('by the password of the account, with link or code; a wrong one uses nothing up', async () => {
    const mailing = await startWith('ada')
    const { server, token: session } = mailing
    for (const by of ['token', 'code'] as const) {
      const email = `${by}@example.org`
      const { token, code } = await change(mailing, session, email)
      const proof = by === 'token' ? { token } : { email, code }
      for (let time = 0; time < 6; time += 1) {
        assertProblem(await verify(server, { ...proof, password: WRONG }), INCORRECT)
      }
      const reply = await verify(server, { ...proof, password: PASSWORD })
      assert.deepEqual(reply.body, { email, purpose: 'change_email' })
      assert.equal(await emailOf(server, session), email)
      await mailing.deliver()
    }
  })

  it('or by being signed in to it: to no other, and in no session that has ended', async () => {
    const mailing = await startWith('ada')
    const { server, token: session } = mailing
    const bob = await server.register({ username: 'bob' })
    await mailing.deliver()
    const email = 'ada@example.org'
    const { token } = await change(mailing, session, email)
    const foreign = { token: bob.tokens.access_token }
    assertProblem(await verify(server, { token }, foreign), ASKED_FOR_PASSWORD)
    assertProblem(await verify(server, { token, password: WRONG }, foreign), INCORRECT)
    const { access_token: ended } = await server.login({ username: 'ada', password: PASSWORD })
    assert.equal((await server.call('POST', `${API}/auth/logout`, { token: ended })).status, 204)
    for (const bearer of [ended, 'made.up.token']) {
      const reply = await verify(server, { token }, { token: bearer })
      assert.deepEqual([reply.status, reply.body.code], [401, 'access_token_invalid'])
    }
    const reply = await verify(server, { token }, { token: session })
    assert.deepEqual(reply.body, { email, purpose: 'change_email' })
  })

  it('an account without a password confirms where it is signed in, and the page says so', async () => {
    const mailing = await startWith('ada')
    const { server, token: session } = mailing
    const email = 'ada@example.org'
    const { token, code } = await change(mailing, session, email)
    await server.context.db.updateTable('users').set({ password_hash: null }).execute()
    assertProblem(await verify(server, { token, password: PASSWORD }), INCORRECT)
    const page = await press(server, '/email/confirm', { token, password: PASSWORD })
    assert.equal(page.status, 400)
    assert.match(page.text, /role="alert"[\s\S]*no password[\s\S]*code/)
    assert.equal((await verify(server, { email, code }, { token: session })).status, 200)
  })

  it('guesses at the password count with those of who is signed in, and nobody has proved to be the user', async () => {
    const mailing = await startWith('ada', {}, (overrides) => startLimited(start, overrides))
    const { server, token: session } = mailing
    const { token } = await change(mailing, session, 'ada@example.org')
    const confirm = (password: string) => verify(server, { token, password })
    for (let time = 0; time < 5; time += 1) assertProblem(await confirm(WRONG), INCORRECT)
    const late = await confirm(PASSWORD)
    assertProblem(late, { status: 429, code: 'too_many_failures' })
    const page = await press(server, '/email/confirm', { token, password: PASSWORD })
    assert.match(page.text, /Too many attempts/)
    const json = { username: 'lovelace', current_password: PASSWORD }
    const elsewhere = await server.call('PATCH', `${API}/users/me`, { json, token: session })
    assertProblem(elsewhere, { status: 429, code: 'too_many_failures' })
    const events = await server.context.db
      .selectFrom('audit_events')
      .select(['actor', 'actor_id'])
      .where('type', '=', 'user.reauthentication_failed')
      .execute()
    assert.deepEqual(events, Array(5).fill({ actor: 'anonymous', actor_id: null }))
    server.clock.advance(SECOND)
    assert.equal((await confirm(PASSWORD)).status, 200)
    assert.deepEqual(await server.context.db.selectFrom('sign_in_failures').selectAll().execute(), [])
  })

  it('many guesses at once, from as many addresses, are as many as may be', async () => {
    const mailing = await startWith('ada', {}, (overrides) => startLimited(start, overrides))
    const { server, token: session } = mailing
    const { token } = await change(mailing, session, 'ada@example.org')
    replaceVerify(server, () => async () => false)
    const confirm = () => verify(server, { token, password: WRONG }, { ip: nextAddress() })
    const replies = tally(await Promise.all(times(60).map(confirm)))
    // One was the password of the change.
    assert.equal(replies.too_many_requests, 41)
    assert.deepEqual([replies.current_password_incorrect, replies.too_many_failures], [5, 14])
  })

  it('where addresses are verified first, who had registered with the address of somebody else needs them to know the password', async () => {
    const mailing = await startMailing(start, mails())
    const { server } = mailing
    const email = 'victim@example.org'
    const mallory = await server.register({ username: 'mallory', email })
    const old = proofIn(await deliverOne(mailing, email))
    await server.restart({ email: (await startMailing(start, mails(), STRICT)).server.settings.email })
    await post(server, '/auth/verify-email/resend', { email })
    const { url, token } = proofIn(await deliverOne(mailing, email))
    assert.match(old.url, /\/email\/verify\?token=/)
    assert.match(url, /\/email\/confirm\?token=/)
    assertProblem(await verify(server, { token }), ASKED_FOR_PASSWORD)
    assertProblem(await verify(server, { token, password: WRONG }), INCORRECT)
    assert.equal((await server.me(mallory.tokens.access_token)).body.email_verified, false)
    const reply = await verify(server, { token, password: PASSWORD })
    assert.deepEqual(reply.body, { email, purpose: 'verify_email' })
  })
})
