import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, HOUR, MINUTE } from '../../src/core/clock.ts'
import { onEachDatabase, PASSWORD } from '../kit.ts'
import { guess, startLimited, WRONG } from '../support/guesses.ts'
import { deliverOne, type Mailing, post, proofIn, startMailing } from '../support/mails.ts'
import { assertProblem, INVALID_CREDENTIALS } from '../support/replies.ts'
import { shareMailServer } from '../support/smtp.ts'

const NEW_PASSWORD = 'another horse battery staple'

onEachDatabase('a forgotten password', ({ start }) => {
  const mails = shareMailServer()

  /** Somebody with an account, whose mails so far are read. */
  const startWithAda = async (env: Record<string, string> = {}) => {
    const mailing = await startMailing(start, mails(), env)
    const ada = await mailing.server.register({ username: 'ada' })
    await mailing.deliver()
    return { ...mailing, ada }
  }

  const ask = async (mailing: Mailing, email: string) => {
    assert.equal((await post(mailing.server, '/auth/forgot-password', { email })).status, 202)
    return proofIn(await deliverOne(mailing, email))
  }

  it('[V6.4.3] [NIST63B-recovery] [NIST63B-notify] by link or by code: the new password counts, the old one does not, every session ends, and the owner is told', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    let password = PASSWORD
    for (const by of ['token', 'code'] as const) {
      const { access_token, refresh_token } = await server.login({ username: 'ada', password })
      await mailing.deliver()
      const { token, code } = await ask(mailing, ada.email)
      const next = `${NEW_PASSWORD} ${by}`
      const proof = by === 'token' ? { token } : { email: ada.email, code }
      assert.equal((await post(server, '/auth/reset-password', { ...proof, new_password: next })).status, 204)
      assert.equal((await server.me(access_token)).status, 401)
      assert.equal((await server.refresh(refresh_token ?? '')).status, 401)
      assertProblem(await post(server, '/auth/login', { username: 'ada', password }), INVALID_CREDENTIALS)
      const told = await deliverOne(mailing, ada.email)
      assert.match(told.subject ?? '', /password/i)
      assert.equal((await post(server, '/auth/login', { username: 'ada', password: next })).status, 200)
      await mailing.deliver()
      password = next
    }
  })

  it('what is refused as a password leaves link and code as they were', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    const { token, code } = await ask(mailing, ada.email)
    for (let time = 0; time < 6; time += 1) {
      const weak = { email: ada.email, code, new_password: 'passwordpassword' }
      const reply = await post(server, '/auth/reset-password', weak)
      assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/new_password'] })
      assert.equal(reply.body.errors[0].pointer, '/new_password')
    }
    assert.equal(
      (await post(server, '/auth/reset-password', { token, new_password: NEW_PASSWORD })).status,
      204,
    )
  })

  it('[V6.4.3] [V6.5.1] of many at once one wins', async () => {
    const mailing = await startWithAda()
    const { token, code } = await ask(mailing, mailing.ada.email)
    const proofs = Array.from({ length: 8 }, (_, i) =>
      i % 2 ? { token } : { email: mailing.ada.email, code },
    )
    const replies = await Promise.all(
      proofs.map((proof, i) =>
        post(mailing.server, '/auth/reset-password', { ...proof, new_password: `${NEW_PASSWORD} ${i}` }),
      ),
    )
    assert.equal(replies.filter(({ status }) => status === 204).length, 1)
    for (const { status, text } of replies) assert.ok([204, 400].includes(status), text)
  })

  it('[V6.4.3] it is good for an hour, and ends with a newer one, a change of password, and the account', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    const reset = (token: string) =>
      post(server, '/auth/reset-password', { token, new_password: NEW_PASSWORD })
    const late = await ask(mailing, ada.email)
    server.clock.advance(HOUR)
    assertProblem(await reset(late.token), { status: 400, code: 'email_token_invalid' })

    const old = await ask(mailing, ada.email)
    const next = await ask(mailing, ada.email)
    assertProblem(await reset(old.token), { status: 400, code: 'email_token_invalid' })
    const { access_token: token } = await server.login({ username: 'ada', password: PASSWORD })
    const json = { password: `${NEW_PASSWORD}!`, current_password: PASSWORD }
    assert.equal((await server.call('PATCH', '/api/v1/users/me', { json, token })).status, 200)
    assertProblem(await reset(next.token), { status: 400, code: 'email_token_invalid' })
    await mailing.deliver()

    const last = await ask(mailing, ada.email)
    await server.context.db.updateTable('users').set({ is_active: false }).execute()
    assertProblem(await reset(last.token), { status: 400, code: 'email_token_invalid' })
    await server.context.db.deleteFrom('users').execute()
    assertProblem(await reset(last.token), { status: 400, code: 'email_token_invalid' })
  })

  it('ends all that had failed: an account that needed a reset is open again', async () => {
    const mailing = await startMailing((overrides) => startLimited(start, overrides), mails())
    const { server } = mailing
    const ada = await server.register({ username: 'ada' })
    await mailing.deliver()
    for (let time = 0; time < 6; time += 1) await guess(server, 'ada', { ip: `192.0.2.${time}` })
    const { token } = await ask(mailing, ada.email)
    assert.equal(
      (await post(server, '/auth/reset-password', { token, new_password: NEW_PASSWORD })).status,
      204,
    )
    assert.deepEqual(await server.context.db.selectFrom('sign_in_failures').selectAll().execute(), [])
  })

  it('somebody who is not there is sent nothing, nor somebody who is disabled', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    await server.context.db.updateTable('users').set({ is_active: false }).execute()
    for (const email of [ada.email, 'nobody@example.com']) {
      assert.equal((await post(server, '/auth/forgot-password', { email })).status, 202)
      assert.deepEqual(await mailing.deliver(), [])
    }
    assert.deepEqual(await server.context.db.selectFrom('outbox').selectAll().execute(), [])
  })

  it('[V6.6.3] [NIST63B-otp] asking is limited: by address, by who is asked for, and for codes by account', async () => {
    const mailing = await startMailing((overrides) => startLimited(start, overrides), mails())
    const { server } = mailing
    const askFrom = (ip: string, email = 'ada@example.com') =>
      post(server, '/auth/forgot-password', { email }, { ip })
    for (let time = 0; time < 5; time += 1) assert.equal((await askFrom('192.0.2.1')).status, 202)
    assertProblem(await askFrom('192.0.2.1'), { status: 429, code: 'too_many_requests' })
    for (let time = 0; time < 15; time += 1) assert.equal((await askFrom(`192.0.2.${10 + time}`)).status, 202)
    assertProblem(await askFrom('192.0.2.99'), { status: 429, code: 'too_many_requests' })
    for (let time = 0; time < 30; time += 1) {
      assert.equal((await askFrom('203.0.113.1', `person${time}@example.com`)).status, 202)
    }
    assertProblem(await askFrom('203.0.113.1', 'one-more@example.com'), {
      status: 429,
      code: 'too_many_requests',
    })
    server.clock.advance(HOUR)
    assert.equal((await askFrom('192.0.2.1')).status, 202)

    const bring = (ip: string) =>
      post(
        server,
        '/auth/reset-password',
        { email: 'ada@example.com', code: '123456', new_password: WRONG },
        { ip },
      )
    for (let time = 0; time < 10; time += 1) assert.equal((await bring(`198.51.100.${time}`)).status, 400)
    assertProblem(await bring('198.51.100.99'), { status: 429, code: 'too_many_requests' })
    server.clock.advance(10 * MINUTE)
    assert.equal((await bring('198.51.100.99')).status, 400)

    server.clock.advance(DAY)
    for (let round = 0; round < 5; round += 1) {
      for (let time = 0; time < 10; time += 1)
        assert.equal((await bring(`192.0.2.${10 * round + time}`)).status, 400)
      server.clock.advance(10 * MINUTE)
    }
    assertProblem(await bring('192.0.2.99'), { status: 429, code: 'too_many_requests' })

    const guessLink = () =>
      post(server, '/auth/verify-email', { token: 'A'.repeat(43) }, { ip: '203.0.113.9' })
    for (let time = 0; time < 30; time += 1) assert.equal((await guessLink()).status, 400)
    assertProblem(await guessLink(), { status: 429, code: 'too_many_requests' })
  })

  it('one address that registers with that of somebody else keeps nobody from registering with it: it takes four', async () => {
    const strict = { REQUIRE_EMAIL_VERIFICATION: 'true' }
    const { server, deliver } = await startMailing(
      (overrides) => startLimited(start, overrides),
      mails(),
      strict,
    )
    let people = 0
    const register = (ip: string) => {
      people += 1
      const json = { username: `person${people}`, email: 'target@example.com', password: PASSWORD }
      return post(server, '/auth/register', json, { ip })
    }
    const refused = { status: 429, code: 'too_many_requests' } as const
    for (let time = 0; time < 5; time += 1) assert.equal((await register('192.0.2.1')).status, 202)
    for (let time = 0; time < 20; time += 1) assertProblem(await register('192.0.2.1'), refused)
    assert.equal((await deliver()).length, 5)
    for (const ip of ['192.0.2.2', '192.0.2.3', '192.0.2.4'])
      for (let time = 0; time < 5; time += 1) assert.equal((await register(ip)).status, 202)
    assertProblem(await register('192.0.2.5'), refused)
  })

  it('registrations and changes of address count by the address that they would be sent to', async () => {
    const mailing = await startMailing((overrides) => startLimited(start, overrides), mails())
    const { server } = mailing
    const { tokens } = await server.register()
    const register = (time: number, email = 'target@example.com') =>
      post(
        server,
        '/auth/register',
        { username: `other${time}`, email, password: PASSWORD },
        { ip: `192.0.2.${time}` },
      )
    await register(0)
    const again = 'again@example.com'
    for (let time = 0; time < 20; time += 1) {
      const reply = await register(100 + time, again)
      assert.equal(reply.status, 200, reply.text)
      const json = { current_password: PASSWORD }
      await server.call('DELETE', '/api/v1/users/me', { json, token: reply.body.access_token })
    }
    assertProblem(await register(120, again), { status: 429, code: 'too_many_requests' })
    // What is refused sends nothing, and counts for nothing.
    for (let time = 1; time < 30; time += 1)
      assertProblem(await register(time), { status: 400, code: 'email_taken' })
    await server.restart({ email: { ...server.settings.email, requireVerification: true } })
    const other = 'other@example.com'
    for (let time = 30; time < 50; time += 1) assert.equal((await register(time, other)).status, 202)
    assertProblem(await register(50, other), { status: 429, code: 'too_many_requests' })
    const change = () =>
      server.call('PATCH', '/api/v1/users/me', {
        json: { email: 'free@example.com' },
        token: tokens.access_token,
      })
    for (let time = 0; time < 5; time += 1) assert.equal((await change()).status, 200)
    assertProblem(await change(), { status: 429, code: 'too_many_requests' })
  })
})
