import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { DAY } from '../../src/core/clock.ts'
import { findFailures } from '../../src/features/passwords/failure-queries.ts'
import { throttledName } from '../../src/features/passwords/throttle.ts'
import { endUserSessions } from '../../src/features/sessions/end-sessions.ts'
import { disableUser } from '../../src/features/users/set-active.ts'
import { API, onEachDatabase, PASSWORD, type Reply, type TestServer } from '../kit.ts'
import { guess, startLimited } from '../support/guesses.ts'
import { deliverOne, type Mailing, post, proofIn, registerVerified, startMailing } from '../support/mails.ts'
import { assertProblem, INVALID_CREDENTIALS } from '../support/replies.ts'
import { type ReceivedMail, shareMailServer } from '../support/smtp.ts'

const NEW_PASSWORD = 'another horse battery staple'

onEachDatabase('a change of address', ({ start }) => {
  const mails = shareMailServer()

  const startWithAda = async (env: Record<string, string> = {}) => {
    const mailing = await startMailing(start, mails(), env)
    const ada = await registerVerified(mailing)
    return { ...mailing, ada, token: ada.tokens.access_token }
  }
  const change = (server: TestServer, token: string, email: string) =>
    server.call('PATCH', `${API}/users/me`, { json: { email }, token })
  const confirmBy = (server: TestServer, token: string) =>
    post(server, '/auth/verify-email', { token, password: PASSWORD })
  /** Changes the address and confirms it; gives the mail to the old one. */
  const moveTo = async (mailing: Mailing, token: string, address: string) => {
    await change(mailing.server, token, address)
    const confirm = proofIn(await deliverOne(mailing, address))
    assert.equal((await confirmBy(mailing.server, confirm.token)).status, 200)
    return deliverOne(mailing)
  }
  const emailOf = async (server: TestServer) =>
    (
      await server.context.db
        .selectFrom('users')
        .select('email')
        .where('username', '=', 'ada')
        .executeTakeFirstOrThrow()
    ).email
  /** Those to one address. */
  const to = (all: ReceivedMail[], address: string) => {
    const [mail, ...others] = all.filter(({ envelopeTo }) => envelopeTo.includes(address))
    assert.ok(mail && others.length === 0)
    return mail
  }

  it('[V6.3.7] counts once the new address has confirmed it; the old one is told, and may undo it for seven days', async () => {
    const mailing = await startWithAda()
    const { server, ada, token } = mailing
    const reply = await change(server, token, 'ada@example.org')
    assert.deepEqual(
      [reply.status, reply.body.email, reply.body.pending_email],
      [200, ada.email, 'ada@example.org'],
    )
    const confirm = proofIn(await deliverOne(mailing, 'ada@example.org'))
    const confirmed = await confirmBy(server, confirm.token)
    assert.deepEqual(confirmed.body, { email: 'ada@example.org', purpose: 'change_email' })
    const profile = (await server.me(token)).body
    assert.deepEqual([profile.email, profile.email_verified], ['ada@example.org', true])

    const undo = proofIn(await deliverOne(mailing, ada.email))
    server.clock.advance(7 * DAY - 1)
    assert.equal((await post(server, '/auth/undo-email-change', { token: undo.token })).status, 204)
    assert.equal(await emailOf(server), ada.email)
    assert.equal((await server.me(token)).status, 401)
    const told = await mailing.deliver()
    // Nothing of who undid it: one of the two is a thief.
    const lost = to(told, 'ada@example.org')
    assert.match(lost.subject ?? '', /was undone/)
    assert.ok(!/127\.0\.0\.1|https?:/.test(lost.text ?? ''), lost.text ?? '')
    const old = { username: 'ada', password: PASSWORD }
    assertProblem(await post(server, '/auth/login', old), INVALID_CREDENTIALS)
    const reset = proofIn(to(told, ada.email))
    const json = { token: reset.token, new_password: NEW_PASSWORD }
    assert.equal((await post(server, '/auth/reset-password', json)).status, 204)
    assert.equal((await post(server, '/auth/login', { username: 'ada', password: NEW_PASSWORD })).status, 200)
  })

  it('after seven days nothing is undone', async () => {
    const mailing = await startWithAda()
    const { server, ada, token } = mailing
    await change(server, token, 'ada@example.org')
    await confirmBy(server, proofIn(await deliverOne(mailing)).token)
    const undo = proofIn(await deliverOne(mailing, ada.email))
    server.clock.advance(7 * DAY)
    assertProblem(await post(server, '/auth/undo-email-change', { token: undo.token }), {
      status: 400,
      code: 'email_token_invalid',
    })
    assert.equal(await emailOf(server), 'ada@example.org')
  })

  it('a thief who changes it twice does not shake the owner off, nor come back by the second way', async () => {
    const mailing = await startWithAda()
    const { server, ada, token } = mailing
    const owners = proofIn(await moveTo(mailing, token, 'thief@example.org'))
    const thiefs = proofIn(await moveTo(mailing, token, 'thief@example.net'))
    assert.equal((await post(server, '/auth/undo-email-change', { token: owners.token })).status, 204)
    assert.equal(await emailOf(server), ada.email)
    assertProblem(await post(server, '/auth/undo-email-change', { token: thiefs.token }), {
      status: 400,
      code: 'email_token_invalid',
    })
  })

  it('a thief keeps no way back either when the address is changed back instead of undone', async () => {
    const mailing = await startWithAda()
    const { server, ada, token } = mailing
    const owners = proofIn(await moveTo(mailing, token, 'thief@example.org'))
    const thiefs = proofIn(await moveTo(mailing, token, 'thief@example.net'))
    const told = await moveTo(mailing, token, ada.email)
    assert.deepEqual(told.envelopeTo, ['thief@example.net'])
    assert.match(told.subject ?? '', /was changed back/)
    // Nothing of who did it, and nothing to undo it with.
    assert.ok(!/127\.0\.0\.1|https?:/.test(told.text ?? ''), told.text ?? '')
    assertProblem(await post(server, '/auth/undo-email-change', { token: thiefs.token }), {
      status: 400,
      code: 'email_token_invalid',
    })
    assert.equal(await emailOf(server), ada.email)
    assert.equal((await post(server, '/auth/undo-email-change', { token: owners.token })).status, 204)
  })

  it('changed back when the way back has ended, the address in between has its own', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    await moveTo(mailing, mailing.token, 'ada@example.org')
    server.clock.advance(7 * DAY)
    const token = (await post(server, '/auth/login', { username: 'ada', password: PASSWORD })).body
      .access_token
    const undo = proofIn(await moveTo(mailing, token, ada.email))
    assert.equal((await post(server, '/auth/undo-email-change', { token: undo.token })).status, 204)
    assert.equal(await emailOf(server), 'ada@example.org')
  })

  it('what was sent to the old address opens nothing any more', async () => {
    const mailing = await startWithAda()
    const { server, ada, token } = mailing
    await post(server, '/auth/forgot-password', { email: ada.email })
    const reset = proofIn(await deliverOne(mailing, ada.email))
    await change(server, token, 'ada@example.org')
    await confirmBy(server, proofIn(await deliverOne(mailing)).token)
    const json = { token: reset.token, new_password: NEW_PASSWORD }
    assertProblem(await post(server, '/auth/reset-password', json), {
      status: 400,
      code: 'email_token_invalid',
    })
  })

  it('a change of password ends a change of address that was not confirmed', async () => {
    const mailing = await startWithAda()
    const { server, token } = mailing
    await change(server, token, 'thief@example.org')
    const confirm = proofIn(await deliverOne(mailing))
    const json = { password: NEW_PASSWORD, current_password: PASSWORD }
    assert.equal((await server.call('PATCH', `${API}/users/me`, { json, token })).status, 200)
    assertProblem(await confirmBy(server, confirm.token), {
      status: 400,
      code: 'email_token_invalid',
    })
  })

  it('who names the address that they have takes back a change to another, which was mistyped', async () => {
    const mailing = await startWithAda()
    const { server, ada, token } = mailing
    for (const current of [ada.email, ada.email.toUpperCase()]) {
      await change(server, token, 'mistyped@example.org')
      const confirm = proofIn(await deliverOne(mailing))
      // Whatever else is changed takes nothing back.
      await server.call('PATCH', `${API}/users/me`, { json: { locale: 'de' }, token })
      assert.equal((await server.context.db.selectFrom('email_tokens').selectAll().execute()).length, 2)
      const reply = await change(server, token, current)
      assert.deepEqual([reply.status, reply.body.pending_email], [200, undefined])
      const late = await confirmBy(server, confirm.token)
      assertProblem(late, { status: 400, code: 'email_token_invalid' })
      assert.equal(await emailOf(server), current)
    }
  })

  it('an address that somebody else has: told as ever, or not at all where addresses are verified', async () => {
    const mailing = await startWithAda()
    const { server, token } = mailing
    await server.register({ username: 'bob' })
    await mailing.deliver()
    assertProblem(await change(server, token, 'bob@example.com'), { status: 400, code: 'email_taken' })
    await server.restart({ email: { ...server.settings.email, requireVerification: true } })
    const reply = await change(server, token, 'bob@example.com')
    assert.deepEqual([reply.status, reply.body.pending_email], [200, 'bob@example.com'])
    const mail = await deliverOne(mailing, 'bob@example.com')
    assert.equal(proofIn(mail).token, '')
  })

  it('who confirms an address that has been taken meanwhile is told so', async () => {
    const mailing = await startWithAda()
    const { server, token } = mailing
    await change(server, token, 'shared@example.org')
    const confirm = proofIn(await deliverOne(mailing))
    await server.register({ username: 'bob', email: 'shared@example.org' })
    assertProblem(await confirmBy(server, confirm.token), {
      status: 400,
      code: 'email_taken',
    })
  })

  it('other letters, same address: at once, and still verified', async () => {
    const mailing = await startWithAda()
    const { server, token, ada } = mailing
    await server.context.db.updateTable('users').set({ email_verified_at: 1 }).execute()
    const reply = await change(server, token, ada.email.toUpperCase())
    assert.deepEqual([reply.body.email, reply.body.email_verified], [ada.email.toUpperCase(), true])
    assert.deepEqual(await mailing.deliver(), [])
  })

  it('name and address may change together: the name at once', async () => {
    const mailing = await startWithAda()
    const { server, token } = mailing
    const json = { username: 'lovelace', email: 'ada@example.org' }
    const reply = await server.call('PUT', `${API}/users/me`, { json, token })
    assert.deepEqual([reply.body.username, reply.body.pending_email], ['lovelace', 'ada@example.org'])
    assert.ok(to(await mailing.deliver(), 'ada@example.org'))
  })

  it("an address that was never verified is told nothing, and has no way back: it may be a stranger's", async () => {
    const mailing = await startMailing(start, mails())
    const { server } = mailing
    const { tokens } = await server.register({ username: 'ada', email: 'mistyped@example.com' })
    await mailing.deliver()
    await change(server, tokens.access_token, 'ada@example.org')
    const confirm = proofIn(await deliverOne(mailing, 'ada@example.org'))
    assert.equal((await confirmBy(server, confirm.token)).status, 200)
    assert.deepEqual(await mailing.deliver(), [])
  })

  it('while there is a way back to an address, nobody else comes to have it', async () => {
    const mailing = await startWithAda()
    const { server, ada, token } = mailing
    await change(server, token, 'thief@example.org')
    await confirmBy(server, proofIn(await deliverOne(mailing)).token)
    const undo = proofIn(await deliverOne(mailing, ada.email))
    const junk = { username: 'junk', email: ada.email.toUpperCase(), password: PASSWORD }
    assertProblem(await post(server, '/auth/register', junk), { status: 400, code: 'email_taken' })
    const bob = await server.register({ username: 'bob' })
    await mailing.deliver()
    const taken = { status: 400, code: 'email_taken' } as const
    assertProblem(await change(server, bob.tokens.access_token, ada.email), taken)
    // Where nobody is told who has an address, who shows that it is theirs is told that somebody wants it back.
    await server.restart({ email: { ...server.settings.email, requireVerification: true } })
    await change(server, bob.tokens.access_token, ada.email)
    const confirm = proofIn(await deliverOne(mailing, ada.email))
    assertProblem(await confirmBy(server, confirm.token), taken)
    assert.equal((await post(server, '/auth/undo-email-change', { token: undo.token })).status, 204)
    assert.equal(await emailOf(server), ada.email)
  })

  it('nor by registering with it where addresses are verified, or at the moment of the change', async () => {
    const mailing = await startWithAda()
    const { server, ada, token } = mailing
    await change(server, token, 'thief@example.org')
    const confirm = proofIn(await deliverOne(mailing)).token
    const junk = { username: 'junk', email: ada.email, password: PASSWORD }
    const [, registered] = await Promise.all([
      confirmBy(server, confirm),
      post(server, '/auth/register', junk),
    ])
    assertProblem(registered, { status: 400, code: 'email_taken' })
    await mailing.deliver()
    await server.restart({ email: { ...server.settings.email, requireVerification: true } })
    assert.equal((await post(server, '/auth/register', junk)).status, 202)
    const proof = { token: proofIn(await deliverOne(mailing, ada.email)).token, password: PASSWORD }
    assertProblem(await post(server, '/auth/verify-email', proof), { status: 400, code: 'email_taken' })
  })

  it('without the notice there is no way back, and the old address is free', async () => {
    const mailing = await startWithAda({ EMAIL_NOTICES: 'none' })
    const { server, ada, token } = mailing
    await change(server, token, 'ada@example.org')
    await confirmBy(server, proofIn(await deliverOne(mailing)).token)
    assert.deepEqual(await mailing.deliver(), [])
    assert.equal((await server.register({ username: 'bob', email: ada.email })).email, ada.email)
  })

  it('another spelling of the same address is confirmed like any other', async () => {
    const mailing = await startWithAda()
    const { server, token } = mailing
    for (const address of ['strasse@example.org', 'straße@example.org']) {
      await change(server, token, address)
      const confirm = proofIn(
        (await mailing.deliver()).find(({ envelopeTo }) => envelopeTo.includes(address)) ??
          assert.fail(address),
      )
      assert.equal((await confirmBy(server, confirm.token)).status, 200)
      assert.equal(await emailOf(server), address)
      await mailing.deliver()
    }
  })

  it('failures at the old address go on at the new one, in place of guesses at it', async () => {
    const mailing = await startMailing((overrides) => startLimited(start, overrides), mails())
    const { server } = mailing
    const { email, tokens } = await registerVerified(mailing)
    const failuresAt = async (name: string) => {
      const rows = await findFailures(server.context.db, [throttledName(server.context, name).key])
      return rows[0]?.failures
    }
    const next = 'ada@example.org'
    assert.equal((await change(server, tokens.access_token, next)).status, 200)
    const { token } = proofIn(await deliverOne(mailing, next))
    for (const _ of [1, 2, 3]) await guess(server, email)
    await guess(server, next)
    const confirmed = await post(server, '/auth/verify-email', { token }, { token: tokens.access_token })
    assert.equal(confirmed.status, 200, confirmed.text)
    assert.deepEqual([await failuresAt(email), await failuresAt(next)], [undefined, 3])
  })

  it('mails to new addresses are limited by who asks, whoever they are for', async () => {
    const mailing = await startMailing((overrides) => startLimited(start, overrides), mails())
    const { server } = mailing
    const { tokens } = await server.register({ username: 'eve' })
    const ask = (time: number) =>
      server.call('PATCH', `${API}/users/me`, {
        json: { email: `victim${time}@example.com`, current_password: PASSWORD },
        token: tokens.access_token,
        ip: `192.0.2.${time}`,
      })
    for (let time = 0; time < 10; time += 1) assert.equal((await ask(time)).status, 200)
    assertProblem(await ask(10), { status: 429, code: 'too_many_requests' })
  })

  it('whose session ends while the change waits for that changes nothing', async () => {
    const mailing = await startWithAda()
    const { server, token } = mailing
    const { context } = server
    const { id: userId } = (await server.me(token)).body
    let changing: Promise<Reply> | undefined
    await context.db.transaction().execute(async (trx) => {
      await endUserSessions(context, trx, { userId, reason: 'password_reset' })
      changing = change(server, token, 'thief@example.org')
      await setTimeout(300)
    })
    assert.equal((await changing)?.status, 401)
    assert.deepEqual(await mailing.deliver(), [])
  })

  it('who takes their own old address back needs no undo for it', async () => {
    const mailing = await startWithAda()
    const { server, ada, token } = mailing
    for (const address of ['ada@example.org', ada.email]) {
      await change(server, token, address)
      const confirm = proofIn(
        (await mailing.deliver()).findLast(({ envelopeTo }) => envelopeTo.includes(address)) ?? assert.fail(),
      )
      assert.equal((await confirmBy(server, confirm.token)).status, 200)
    }
    assert.equal(await emailOf(server), ada.email)
  })

  it('where addresses are verified, asking for one that is taken ends what was asked for before, as for any other', async () => {
    const mailing = await startWithAda({ REQUIRE_EMAIL_VERIFICATION: 'false' })
    const { server, token } = mailing
    await server.register({ username: 'bob' })
    await mailing.deliver()
    await server.restart({ email: { ...server.settings.email, requireVerification: true } })
    for (const target of ['bob@example.com', 'nobody@example.com']) {
      await change(server, token, 'mine@example.org')
      const mine = (await mailing.deliver()).find(({ envelopeTo }) => envelopeTo.includes('mine@example.org'))
      await change(server, token, target)
      await mailing.deliver()
      const proof = proofIn(mine ?? assert.fail())
      assertProblem(await confirmBy(server, proof.token), {
        status: 400,
        code: 'email_token_invalid',
      })
    }
  })

  it('nobody who is disabled changes their address, and what was sent to them ends', async () => {
    const mailing = await startWithAda()
    const { server, ada, token } = mailing
    await change(server, token, 'thief@example.org')
    const confirm = proofIn(await deliverOne(mailing))
    const { id } = await server.context.db.selectFrom('users').select('id').executeTakeFirstOrThrow()
    await server.context.db.updateTable('users').set({ is_active: false }).execute()
    assertProblem(await confirmBy(server, confirm.token), {
      status: 400,
      code: 'email_token_invalid',
    })
    await server.context.db.updateTable('users').set({ is_active: true }).execute()
    await disableUser(server.context, id)
    await server.context.db.updateTable('users').set({ is_active: true }).execute()
    assertProblem(await confirmBy(server, confirm.token), {
      status: 400,
      code: 'email_token_invalid',
    })
    assert.equal(await emailOf(server), ada.email)
  })

  it('an address that only looks alike has to be confirmed', async () => {
    const mailing = await startMailing(start, mails())
    const { server } = mailing
    const { tokens } = await server.register({ username: 'ada', email: 'strasse@example.com' })
    await server.context.db.updateTable('users').set({ email_verified_at: 1 }).execute()
    await mailing.deliver()
    const reply = await change(server, tokens.access_token, 'straße@example.com')
    assert.deepEqual(
      [reply.body.email, reply.body.pending_email],
      ['strasse@example.com', 'straße@example.com'],
    )
  })
})
