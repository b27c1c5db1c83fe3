import assert from 'node:assert/strict'
import { it } from 'node:test'
import { MINUTE } from '../../src/core/clock.ts'
import { onEachDatabase, PASSWORD } from '../kit.ts'
import { startLimited } from '../support/guesses.ts'
import { deliverOne, post, proofIn, registerVerified, startMailing } from '../support/mails.ts'
import { assertProblem, INVALID_CREDENTIALS } from '../support/replies.ts'
import { shareMailServer } from '../support/smtp.ts'

onEachDatabase('signing in by mail', ({ start }) => {
  const mails = shareMailServer()

  const startWithAda = async () => {
    const mailing = await startMailing(start, mails(), { MAGIC_LINKS: 'true' })
    const ada = await registerVerified(mailing)
    const ask = async (email = ada.email) => {
      const reply = await post(mailing.server, '/auth/sign-in-link', { email })
      assert.equal(reply.status, 202, reply.text)
      const { request_token } = reply.body
      return { request_token, ...proofIn(await deliverOne(mailing, email)) }
    }
    return { ...mailing, ada, ask }
  }
  const redeem = '/auth/sign-in-link/redeem'

  it('by link or by code, on the client that asked', async () => {
    const { server, ada, ask } = await startWithAda()
    for (const by of ['token', 'code'] as const) {
      const { request_token, token, code } = await ask()
      const proof = by === 'token' ? { token } : { email: ada.email, code }
      const reply = await post(server, redeem, { ...proof, request_token })
      assert.equal(reply.status, 200, reply.text)
      const profile = (await server.me(reply.body.access_token)).body
      assert.deepEqual([profile.username, profile.email_verified], ['ada', true])
      assertProblem(await post(server, redeem, { token, request_token }), {
        status: 400,
        code: 'email_token_used',
      })
    }
  })

  it('[V6.6.2] on any other client neither link nor code works, and both go on for the one that asked', async () => {
    const { server, ada, ask } = await startWithAda()
    const { request_token, token, code } = await ask()
    for (const binding of [{}, { request_token: `${request_token}x` }, { request_token: token }]) {
      assertProblem(await post(server, redeem, { token, ...binding }), {
        status: 400,
        code: 'email_token_elsewhere',
      })
      assertProblem(await post(server, redeem, { email: ada.email, code, ...binding }), {
        status: 400,
        code: 'email_token_invalid',
      })
    }
    assert.equal((await post(server, redeem, { token, request_token })).status, 200)
  })

  it('a browser keeps it in a cookie, and gets its tokens there', async () => {
    const { server, ada, deliver } = await startWithAda()
    const asked = await post(server, '/auth/sign-in-link?transport=cookie', { email: ada.email })
    assert.ok(!('request_token' in asked.body))
    const cookie = String(asked.headers['set-cookie']).split(';')[0] ?? ''
    assert.match(cookie, /^__Host-postern_sign_in=/)
    const [mail] = await deliver()
    assert.ok(mail)
    const { token } = proofIn(mail)
    const reply = await post(server, `${redeem}?transport=cookie`, { token }, { headers: { cookie } })
    assert.equal(reply.status, 200, reply.text)
    assert.ok(!('refresh_token' in reply.body))
    assert.match(String(reply.headers['set-cookie']), /__Host-postern_refresh=/)
  })

  it('[V6.5.5] [V6.5.1] [NIST63B-otp] link and code are good for ten minutes, once, and end with newer ones', async () => {
    const { server, ada, ask } = await startWithAda()
    const { request_token, token, code } = await ask()
    assert.match(code, /^\d{6}$/)
    server.clock.advance(10 * MINUTE)
    for (const proof of [{ token }, { email: ada.email, code }]) {
      assertProblem(await post(server, redeem, { ...proof, request_token }), {
        status: 400,
        code: 'email_token_invalid',
      })
    }
    const old = await ask()
    const next = await ask()
    for (const proof of [{ token: old.token }, { email: ada.email, code: old.code }]) {
      const byOld = { ...proof, request_token: old.request_token }
      assertProblem(await post(server, redeem, byOld), { status: 400, code: 'email_token_invalid' })
    }
    const many = Array.from({ length: 8 }, (_, index) => {
      const proof = index % 2 ? { token: next.token } : { email: ada.email, code: next.code }
      return post(server, redeem, { ...proof, request_token: next.request_token })
    })
    const statuses = (await Promise.all(many)).map(({ status }) => status)
    assert.equal(statuses.filter((status) => status === 200).length, 1, String(statuses))
  })

  it('who has been disabled since is refused, and who has no account is sent nothing', async () => {
    const { server, ask, deliver } = await startWithAda()
    const { request_token, token } = await ask()
    await server.context.db.updateTable('users').set({ is_active: false }).execute()
    assertProblem(await post(server, redeem, { token, request_token }), {
      status: 400,
      code: 'inactive_user',
    })
    const reply = await post(server, '/auth/sign-in-link', { email: 'nobody@example.com' })
    assert.equal(reply.status, 202)
    assert.ok(reply.body.request_token)
    assert.deepEqual(await deliver(), [])
  })

  it('[V6.3.6] without MAGIC_LINKS there is no such way in', async () => {
    const { server } = await startMailing(start, mails())
    for (const path of ['/auth/sign-in-link', redeem]) {
      assert.equal((await post(server, path, { email: 'ada@example.com' })).status, 404)
    }
    for (const method of ['GET', 'POST']) {
      assert.equal((await server.call(method, '/email/sign-in?token=x')).status, 404)
    }
  })

  it('the first to an address that was not verified shuts out who may have registered with it, and says so', async () => {
    const mailing = await startMailing(start, mails(), { MAGIC_LINKS: 'true' })
    const { server } = mailing
    const mallory = await server.register({ username: 'mallory', email: 'victim@example.com' })
    await mailing.deliver()
    const { request_token } = (await post(server, '/auth/sign-in-link', { email: mallory.email })).body
    const { token } = proofIn(await deliverOne(mailing, mallory.email))
    const reply = await post(server, redeem, { token, request_token })
    assert.equal(reply.status, 200, reply.text)
    assert.equal((await server.me(reply.body.access_token)).body.email_verified, true)
    assert.equal((await server.me(mallory.tokens.access_token)).status, 401)
    assertProblem(
      await post(server, '/auth/login', { username: 'mallory', password: PASSWORD }),
      INVALID_CREDENTIALS,
    )
    assert.match((await deliverOne(mailing, mallory.email)).subject ?? '', /password/i)
  })

  it('what somebody else asks for, and guesses at, ends neither the link nor the code that one has asked for', async () => {
    const { server, ada, ask, deliver } = await startWithAda()
    for (const by of ['token', 'code'] as const) {
      const mine = await ask()
      const other = { ip: '198.51.100.9' }
      const theirs = await post(server, '/auth/sign-in-link', { email: ada.email }, other)
      assert.equal(theirs.status, 202)
      await deliver()
      for (const binding of [{}, { request_token: theirs.body.request_token }]) {
        for (let time = 0; time < 6; time += 1) {
          const guess = { email: ada.email, code: mine.code === '000000' ? '000001' : '000000', ...binding }
          assertProblem(await post(server, redeem, guess, other), {
            status: 400,
            code: 'email_token_invalid',
          })
        }
      }
      const { token, code, request_token } = mine
      const proof = by === 'token' ? { token } : { email: ada.email, code }
      assert.equal((await post(server, redeem, { ...proof, request_token })).status, 200)
    }
  })

  it('tries at codes that sign in use up those of no other code, and no link', async () => {
    const env = { MAGIC_LINKS: 'true' }
    const mailing = await startMailing((overrides) => startLimited(start, overrides), mails(), env)
    const { server } = mailing
    const ada = await server.register({ username: 'ada' })
    const verify = proofIn(await deliverOne(mailing))
    const { request_token } = (await post(server, '/auth/sign-in-link', { email: ada.email })).body
    const signIn = proofIn(await deliverOne(mailing))
    const guessAt = (time: number) => {
      const json = { email: ada.email, code: '000000', request_token: 'made-up' }
      return post(server, redeem, json, { ip: `192.0.2.${time}` })
    }
    for (let time = 0; time < 10; time += 1) assert.equal((await guessAt(time)).status, 400)
    assertProblem(await guessAt(10), { status: 429, code: 'too_many_requests' })
    const byCode = { email: ada.email, code: verify.code }
    assert.equal((await post(server, '/auth/verify-email', byCode)).status, 200)
    assert.equal((await post(server, redeem, { token: signIn.token, request_token })).status, 200)
  })

  it('[NIST63B-otp] its code dies after five wrong tries of whoever asked for it', async () => {
    const { server, ada, ask } = await startWithAda()
    const { code, request_token } = await ask()
    const bring = (given: string) => post(server, redeem, { email: ada.email, code: given, request_token })
    const wrong = code === '000000' ? '000001' : '000000'
    for (let time = 0; time < 5; time += 1) assert.equal((await bring(wrong)).status, 400)
    assertProblem(await bring(code), { status: 400, code: 'email_token_invalid' })
  })
})
