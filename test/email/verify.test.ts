import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, MINUTE, SECOND } from '../../src/core/clock.ts'
import { cleanUpEmailTokens } from '../../src/features/email-tokens/clean-up-tokens.ts'
import { addUser } from '../../src/features/users/add-user.ts'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import { guess, nextAddress, startLimited, times, WRONG } from '../support/guesses.ts'
import { deliverOne, post, proofIn, startMailing } from '../support/mails.ts'
import { assertProblem, INVALID_CREDENTIALS } from '../support/replies.ts'
import { shareMailServer } from '../support/smtp.ts'
import { replaceVerify } from '../support/verifying-passwords.ts'

const person = (name: string) => ({ username: name, email: `${name}@example.com`, password: PASSWORD })
const isVerified = async (server: TestServer, token: string) => (await server.me(token)).body.email_verified

onEachDatabase('verifying an address', ({ start }) => {
  const mails = shareMailServer()
  const startOpen = () => startMailing(start, mails())
  const startStrict = () => startMailing(start, mails(), { REQUIRE_EMAIL_VERIFICATION: 'true' })

  it('who registers is signed in, and sent a link and a code; either verifies the address', async () => {
    const mailing = await startOpen()
    const { server } = mailing
    for (const [name, by] of [
      ['ada', 'token'],
      ['bob', 'code'],
    ] as const) {
      const { tokens, email } = await server.register(person(name))
      assert.equal(await isVerified(server, tokens.access_token), false)
      const { token, code } = proofIn(await deliverOne(mailing, email))
      const reply = await post(server, '/auth/verify-email', by === 'token' ? { token } : { email, code })
      assert.deepEqual([reply.status, reply.body], [200, { email, purpose: 'verify_email' }])
      assert.equal(await isVerified(server, tokens.access_token), true)
    }
  })

  it('REQUIRE_EMAIL_VERIFICATION: nobody signs in before; then the password that was given counts', async () => {
    const mailing = await startStrict()
    const { server } = mailing
    const ada = person('ada')
    const reply = await post(server, '/auth/register', ada)
    assert.equal(reply.status, 202, reply.text)
    assert.match(reply.body.detail, /^Verify your e-mail address/)
    assert.ok(!('access_token' in reply.body))
    const signIn = () => post(server, '/auth/login', { username: 'ada', password: PASSWORD })
    assertProblem(await signIn(), { status: 403, code: 'email_not_verified' })
    const wrong = await post(server, '/auth/login', { username: 'ada', password: `${PASSWORD}!` })
    assertProblem(wrong, INVALID_CREDENTIALS)
    const byAddress = await post(server, '/auth/login', { username: ada.email, password: PASSWORD })
    assertProblem(byAddress, INVALID_CREDENTIALS)

    // The sign-in with the right password has sent it again.
    const [first, again, ...others] = await mailing.deliver()
    assert.ok(first && again && others.length === 0)
    const { token } = proofIn(again)
    const verified = await post(server, '/auth/verify-email', { token, password: PASSWORD })
    assert.deepEqual(verified.body, { email: ada.email, purpose: 'register' })
    assert.equal((await signIn()).status, 200)
  })

  it('the name is held meanwhile, from whoever comes later or changes theirs, and free again after a day', async () => {
    const mailing = await startStrict()
    const { server } = mailing
    assert.equal((await post(server, '/auth/register', person('bob'))).status, 202)
    const { token } = proofIn(await deliverOne(mailing))
    assert.equal((await post(server, '/auth/verify-email', { token, password: PASSWORD })).status, 200)
    const bob = await post(server, '/auth/login', { username: 'bob', password: PASSWORD })
    const rename = (username: string) =>
      server.call('PATCH', `${API}/users/me`, { json: { username }, token: String(bob.body.access_token) })
    assert.equal((await post(server, '/auth/register', person('ada'))).status, 202)
    const again = { ...person('ada'), email: 'other@example.com' }
    const taken = { status: 400, code: 'username_taken' } as const
    assertProblem(await post(server, '/auth/register', again), taken)
    await assert.rejects(addUser(server.context, again, { isSuperuser: false }), { code: 'username_taken' })
    assertProblem(await rename('ADA'), taken)
    server.clock.advance(DAY)
    assert.equal((await post(server, '/auth/register', again)).status, 202)
  })

  it('[V6.4.1] [V6.5.1] of two clicks at once one wins, the other learns that it was used; there is one account', async () => {
    const mailing = await startStrict()
    const { server } = mailing
    await post(server, '/auth/register', person('ada'))
    const { token } = proofIn(await deliverOne(mailing))
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => post(server, '/auth/verify-email', { token, password: PASSWORD })),
    )
    const statuses = replies.map(({ status }) => status)
    assert.equal(statuses.filter((status) => status === 200).length, 1, String(statuses))
    for (const reply of replies.filter(({ status }) => status !== 200))
      assertProblem(reply, { status: 400, code: 'email_token_used' })
    assertProblem(await post(server, '/auth/verify-email', { token }), {
      status: 400,
      code: 'email_token_used',
    })
  })

  it('a newer mail ends the link and the code of an older one', async () => {
    const mailing = await startOpen()
    const { server } = mailing
    const { email } = await server.register(person('ada'))
    const old = proofIn(await deliverOne(mailing))
    assert.equal((await post(server, '/auth/verify-email/resend', { email })).status, 202)
    const next = proofIn(await deliverOne(mailing, email))
    assertProblem(await post(server, '/auth/verify-email', { token: old.token }), {
      status: 400,
      code: 'email_token_invalid',
    })
    if (old.code !== next.code) {
      assertProblem(await post(server, '/auth/verify-email', { email, code: old.code }), {
        status: 400,
        code: 'email_token_invalid',
      })
    }
    assert.equal((await post(server, '/auth/verify-email', { email, code: next.code })).status, 200)
  })

  it('[V6.4.1] [NIST63B-recovery] a link is good for a day, and no longer; truncated, foreign and made-up ones never are', async () => {
    const mailing = await startOpen()
    const { server } = mailing
    await server.register(person('ada'))
    const { token } = proofIn(await deliverOne(mailing))
    for (const wrong of [
      token.slice(0, -1),
      `${token}A`,
      token.toLowerCase(),
      'x',
      'A'.repeat(43),
      '../..',
    ]) {
      assertProblem(await post(server, '/auth/verify-email', { token: wrong }), {
        status: 400,
        code: 'email_token_invalid',
      })
    }
    assertProblem(
      await post(server, '/auth/reset-password', { token, new_password: 'another horse battery staple' }),
      { status: 400, code: 'email_token_invalid' },
    )
    server.clock.advance(DAY)
    assertProblem(await post(server, '/auth/verify-email', { token }), {
      status: 400,
      code: 'email_token_invalid',
    })
  })

  it('[V6.6.3] [V6.5.4] a code dies after 5 wrong tries, also when they come at once; the link goes on', async () => {
    const mailing = await startOpen()
    const { server } = mailing
    const { email } = await server.register(person('ada'))
    const { code, token } = proofIn(await deliverOne(mailing))
    const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, '0')
    const tries = Array.from({ length: 20 }, () => post(server, '/auth/verify-email', { email, code: wrong }))
    for (const reply of await Promise.all(tries))
      assertProblem(reply, { status: 400, code: 'email_token_invalid' })
    const [row] = await server.context.db.selectFrom('email_tokens').select('code_failures').execute()
    assert.equal(row?.code_failures, 5)
    assertProblem(await post(server, '/auth/verify-email', { email, code }), {
      status: 400,
      code: 'email_token_invalid',
    })
    assert.equal((await post(server, '/auth/verify-email', { token })).status, 200)
  })

  it('the fifth try may still be right, and spaces in a code do not matter', async () => {
    const mailing = await startOpen()
    const { server } = mailing
    const { email } = await server.register(person('ada'))
    const { code } = proofIn(await deliverOne(mailing))
    const wrong = String((Number(code) + 1) % 1_000_000).padStart(6, '0')
    for (let time = 0; time < 4; time += 1) await post(server, '/auth/verify-email', { email, code: wrong })
    const spaced = `${code.slice(0, 3)} ${code.slice(3)}`
    assert.equal(
      (await post(server, '/auth/verify-email', { email: email.toUpperCase(), code: spaced })).status,
      200,
    )
  })

  it('who had an account before addresses had to be verified is sent a link when they sign in', async () => {
    const open = await startOpen()
    const { server } = open
    const { email } = await server.register(person('ada'))
    await open.deliver()
    await server.restart({ email: { ...server.settings.email, requireVerification: true } })
    const reply = await post(server, '/auth/login', { username: 'ada', password: PASSWORD })
    assertProblem(reply, { status: 403, code: 'email_not_verified' })
    const { token } = proofIn(await deliverOne(open, email))
    assert.equal((await post(server, '/auth/verify-email', { token, password: PASSWORD })).status, 200)
    assert.equal((await post(server, '/auth/login', { username: 'ada', password: PASSWORD })).status, 200)
  })

  it('[V6.5.2] neither tokens nor codes are in the database, and what has expired is deleted', async () => {
    const mailing = await startStrict()
    const { server } = mailing
    await post(server, '/auth/register', person('ada'))
    const { token, code } = proofIn(await deliverOne(mailing))
    const { db } = server.context
    const tables = ['email_tokens', 'registrations', 'outbox', 'audit_events'] as const
    const rows = await Promise.all(tables.map((table) => db.selectFrom(table).selectAll().execute()))
    const text = JSON.stringify(rows)
    assert.ok(!text.includes(token) && !text.includes(`"${code}"`))
    server.clock.advance(DAY + MINUTE)
    await cleanUpEmailTokens(server.context)
    const left = await Promise.all(
      tables.slice(0, 2).map((table) => db.selectFrom(table).selectAll().execute()),
    )
    assert.deepEqual(left, [[], []])
  })

  it('what is missing is named', async () => {
    const { server } = await startOpen()
    for (const [body, pointer] of [
      [{}, '/token'],
      [{ email: 'ada@example.com' }, '/token'],
      [{ code: '123456' }, '/email'],
    ] as const) {
      const reply = await post(server, '/auth/verify-email', body)
      assertProblem(reply, { status: 422, code: 'validation_failed', pointers: [pointer] })
      assert.equal(reply.body.errors[0].pointer, pointer)
    }
  })

  it('without a way to send, asking says so, and who registers is signed in as ever', async () => {
    const server = await start()
    const { email } = await server.register()
    assertProblem(await post(server, '/auth/verify-email/resend', { email }), {
      status: 503,
      code: 'email_unavailable',
    })
    assert.deepEqual(await server.context.db.selectFrom('outbox').selectAll().execute(), [])
  })

  it('of all that were sent to an address only the last code is good, so that a guess is one at one code', async () => {
    const mailing = await startStrict()
    const { server } = mailing
    const email = 'ceo@example.com'
    const codes: string[] = []
    const links: string[] = []
    for (const username of ['mallory1', 'mallory2', 'mallory3']) {
      await post(server, '/auth/register', { username, email, password: PASSWORD })
      const proof = proofIn(await deliverOne(mailing, email))
      codes.push(proof.code)
      links.push(proof.token)
    }
    const rows = await server.context.db.selectFrom('email_tokens').select('code_mac').execute()
    assert.equal(rows.filter(({ code_mac }) => code_mac !== null).length, 1)
    for (const code of codes.slice(0, 2).filter((code) => code !== codes[2])) {
      assertProblem(await post(server, '/auth/verify-email', { email, code }), {
        status: 400,
        code: 'email_token_invalid',
      })
    }
    const first = { token: links[0], password: PASSWORD }
    assert.equal((await post(server, '/auth/verify-email', first)).status, 200)
  })

  it('who confirms what somebody else has registered with their address makes no account of it', async () => {
    const mailing = await startStrict()
    const { server } = mailing
    const email = 'ada@example.com'
    await post(server, '/auth/register', { ...person('ada'), email })
    const own = proofIn(await deliverOne(mailing, email))
    const theirs = { username: 'ada_', email, password: 'the password of mallory' }
    await post(server, '/auth/register', theirs)
    await mailing.deliver()
    // The code of her own has ended with that, and what she asks for again is about the newer one.
    await post(server, '/auth/verify-email/resend', { email })
    const { token, code } = proofIn(await deliverOne(mailing, email))
    assertProblem(await post(server, '/auth/verify-email', { token }), {
      status: 422,
      code: 'validation_failed',
      pointers: ['/password'],
    })
    for (const proof of [{ token }, { email, code }]) {
      assertProblem(await post(server, '/auth/verify-email', { ...proof, password: PASSWORD }), {
        status: 400,
        code: 'registration_password_incorrect',
      })
    }
    assert.deepEqual(await server.context.db.selectFrom('users').select('username').execute(), [])
    const hers = { token: own.token, password: PASSWORD }
    assert.equal((await post(server, '/auth/verify-email', hers)).status, 200)
    const late = await post(server, '/auth/verify-email', { token, password: theirs.password })
    assertProblem(late, { status: 400, code: 'email_taken' })
  })

  it('who registered is sent their own again by signing in, whoever registered with the address since', async () => {
    const mailing = await startStrict()
    const { server } = mailing
    const ada = person('ada')
    const theirs = { username: 'eve', email: ada.email, password: 'the password of eve' }
    await post(server, '/auth/register', ada)
    await post(server, '/auth/register', theirs)
    await mailing.deliver()
    await post(server, '/auth/verify-email/resend', { email: ada.email })
    assert.match((await deliverOne(mailing, ada.email)).text ?? '', /Hello \S*eve/)
    const signIn = (password: string) => post(server, '/auth/login', { username: 'ada', password })
    assertProblem(await signIn(`${PASSWORD}!`), INVALID_CREDENTIALS)
    assert.deepEqual(await mailing.deliver(), [])
    assertProblem(await signIn(PASSWORD), { status: 403, code: 'email_not_verified' })
    const mail = await deliverOne(mailing, ada.email)
    assert.match(mail.text ?? '', /Hello \S*ada/)
    const { code } = proofIn(mail)
    const own = await post(server, '/auth/verify-email', { email: ada.email, code, password: PASSWORD })
    assert.equal(own.status, 200, own.text)
    await server.login(ada)
  })

  it('guesses at the password of a registration are slowed down, and end no registration of its owner', async () => {
    const limited = (overrides: object) => startLimited(start, overrides)
    const mailing = await startMailing(limited, mails(), { REQUIRE_EMAIL_VERIFICATION: 'true' })
    const { server } = mailing
    await post(server, '/auth/register', person('ada'))
    const { token } = proofIn(await deliverOne(mailing))
    // Whoever fails at the name keeps nobody from confirming.
    for (let time = 0; time < 6; time += 1) await guess(server, 'ada', { ip: `192.0.2.${time}` })
    const confirm = (password: string) => post(server, '/auth/verify-email', { token, password })
    for (let time = 0; time < 5; time += 1) {
      assertProblem(await confirm(WRONG), { status: 400, code: 'registration_password_incorrect' })
    }
    const late = await confirm(PASSWORD)
    assertProblem(late, { status: 429, code: 'too_many_failures' })
    assert.equal(late.headers['retry-after'], '1')
    const events = await server.context.db
      .selectFrom('audit_events')
      .select(['actor', 'user_id', 'detail'])
      .where('type', '=', 'user.reauthentication_failed')
      .execute()
    const failed = { actor: 'anonymous', user_id: null, detail: '{"reason":"registration"}' }
    assert.deepEqual(events, Array(5).fill(failed))
    server.clock.advance(SECOND)
    assert.equal((await confirm(PASSWORD)).status, 200)
    assert.deepEqual(await server.context.db.selectFrom('sign_in_failures').selectAll().execute(), [])
  })

  it('of two codes that were made for an address at the same moment the newer one alone is good', async () => {
    const mailing = await startStrict()
    const { server } = mailing
    const { context } = server
    const email = 'ada@example.com'
    const codes: string[] = []
    for (const username of ['ada', 'eve']) {
      await post(server, '/auth/register', { ...person(username), email })
      codes.push(proofIn(await deliverOne(mailing, email)).code)
    }
    // As it is when neither has seen the other.
    const [older] = await context.db.selectFrom('email_tokens').select('id').orderBy('id').execute()
    const code_mac = context.pseudonym('email-code', older?.id ?? '', codes[0] ?? '')
    await context.db.updateTable('email_tokens').set({ code_mac }).where('code_mac', 'is', null).execute()
    const bring = (code = '') => post(server, '/auth/verify-email', { email, code, password: PASSWORD })
    if (codes[0] !== codes[1]) {
      assertProblem(await bring(codes[0]), { status: 400, code: 'email_token_invalid' })
    }
    assert.equal((await bring(codes[1])).status, 200)
    const users = await context.db.selectFrom('users').select('username').execute()
    assert.deepEqual(users, [{ username: 'eve' }])
  })

  it('what is sent again ends with the registration', async () => {
    const mailing = await startStrict()
    const { server } = mailing
    await post(server, '/auth/register', person('ada'))
    await mailing.deliver()
    server.clock.advance(DAY - 10 * MINUTE)
    await post(server, '/auth/verify-email/resend', { email: 'ada@example.com' })
    const { token } = proofIn(await deliverOne(mailing))
    server.clock.advance(10 * MINUTE)
    const reply = await post(server, '/auth/verify-email', { token, password: PASSWORD })
    assertProblem(reply, { status: 400, code: 'email_token_invalid' })
  })

  it('who signs in again and again before their address is verified is sent 20 mails an hour, and no more for the asking', async () => {
    const { server, deliver } = await startMailing((overrides) => startLimited(start, overrides), mails())
    const { email } = await server.register(person('ada'))
    await deliver()
    await server.restart({ email: { ...server.settings.email, requireVerification: true } })
    for (let time = 0; time < 25; time += 1) {
      const from = { ip: `192.0.2.${time}` }
      const reply = await post(server, '/auth/login', { username: 'ada', password: PASSWORD }, from)
      assertProblem(reply, { status: 403, code: 'email_not_verified' })
      server.clock.advance(MINUTE)
    }
    const resent = await post(server, '/auth/verify-email/resend', { email }, { ip: nextAddress() })
    assertProblem(resent, { status: 429, code: 'too_many_requests' })
    assert.equal((await deliver()).length, 20)
  })

  it('one address that signs in to many before theirs are verified has sent 30 mails an hour; each is answered alike, and written down', async () => {
    const limited = (overrides: object) => startLimited(start, overrides)
    const { server, deliver } = await startMailing(limited, mails(), { REQUIRE_EMAIL_VERIFICATION: 'true' })
    const names = times(32).map((time) => `person${time}`)
    for (const name of names) {
      const reply = await post(server, '/auth/register', person(name), { ip: nextAddress() })
      assert.equal(reply.status, 202)
    }
    await deliver()
    const from = { ip: nextAddress() }
    for (const username of names) {
      const reply = await post(server, '/auth/login', { username, password: PASSWORD }, from)
      assertProblem(reply, { status: 403, code: 'email_not_verified' })
    }
    assert.equal((await deliver()).length, 30)
    const failed = await server.context.db
      .selectFrom('audit_events')
      .select(['user_id', 'detail'])
      .where('type', '=', 'user.sign_in_failed')
      .execute()
    assert.deepEqual(failed, Array(32).fill({ user_id: null, detail: '{"reason":"email_not_verified"}' }))
  })

  it('a registration that goes away while its password is looked at is answered as if it waited', async () => {
    const { server, deliver } = await startStrict()
    await post(server, '/auth/register', person('ada'))
    await deliver()
    replaceVerify(server, (verify) => async (...given) => {
      const matches = await verify(...given)
      await server.context.db.deleteFrom('registrations').execute()
      return matches
    })
    const reply = await post(server, '/auth/login', { username: 'ada', password: PASSWORD })
    assertProblem(reply, { status: 403, code: 'email_not_verified' })
    assert.deepEqual(await deliver(), [])
  })
})
