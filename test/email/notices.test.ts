import assert from 'node:assert/strict'
import { it } from 'node:test'
import { HOUR } from '../../src/core/clock.ts'
import { EMAIL_NOTICES } from '../../src/core/settings/email.ts'
import { API, onEachDatabase, PASSWORD } from '../kit.ts'
import { deviceTokenOf, guess, startLimited, times } from '../support/guesses.ts'
import { deliverOne, proofIn, registerVerified, startMailing } from '../support/mails.ts'
import { shareMailServer } from '../support/smtp.ts'

const NEW_PASSWORD = 'another horse battery staple'

onEachDatabase('notices', ({ start }) => {
  const mails = shareMailServer()

  const startWithAda = async (env: Record<string, string> = {}) => {
    const mailing = await startMailing((overrides) => startLimited(start, overrides), mails(), env)
    const ada = await registerVerified(mailing)
    return { ...mailing, ada }
  }
  const credentials = { username: 'ada', password: PASSWORD }
  const elsewhere = { ip: '198.51.100.7', userAgent: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' }

  it('[V6.3.5] a sign-in from where nobody signed in before is told, with when, where and what; later ones are not', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    await server.login(credentials)
    assert.deepEqual(await mailing.deliver(), [])
    await server.login(credentials, elsewhere)
    const mail = await deliverOne(mailing, ada.email)
    for (const part of ['198.51.100.7', 'Firefox', 'UTC'])
      assert.ok(mail.text?.includes(part), mail.text ?? '')
    await server.login(credentials, { ...elsewhere, ip: '198.51.100.7' })
    assert.deepEqual(await mailing.deliver(), [])
  })

  it('an address that nobody has verified is told nothing: it may be that of a stranger', async () => {
    const mailing = await startMailing((overrides) => startLimited(start, overrides), mails())
    const { server } = mailing
    const eve = await server.register({ username: 'eve', email: 'stranger@example.com' })
    await mailing.deliver()
    await server.login({ username: 'eve', password: PASSWORD }, elsewhere)
    const json = { username: 'mallory', password: NEW_PASSWORD, current_password: PASSWORD }
    const reply = await server.call('PATCH', `${API}/users/me`, { json, token: eve.tokens.access_token })
    assert.equal(reply.status, 200, reply.text)
    assert.deepEqual(await mailing.deliver(), [])
  })

  it('an IPv6 address is known by its network, an IPv4 one by itself', async () => {
    const mailing = await startWithAda()
    const { server } = mailing
    const { userAgent } = elsewhere
    const told = async (ip: string) => {
      await server.login(credentials, { ip, userAgent })
      return (await mailing.deliver()).length
    }
    assert.deepEqual(
      [
        await told('2001:db8::1'),
        await told('2001:db8::ffff:2'),
        await told('2001:db8:0:1::1'),
        await told('192.0.2.1'),
        await told('192.0.2.2'),
      ],
      [1, 0, 1, 1, 1],
    )
  })

  it('a device that carries its token is known wherever it is', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    const form = { ...credentials, device_token: Reflect.get(ada.tokens, 'device_token') }
    await server.call('POST', `${API}/auth/login`, { form, ...elsewhere })
    assert.deepEqual(await mailing.deliver(), [])
  })

  it('[V6.3.7] [NIST63B-notify] a new password is told', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    const json = { password: NEW_PASSWORD, current_password: PASSWORD }
    const reply = await server.call('PATCH', `${API}/users/me`, { json, token: ada.tokens.access_token })
    assert.equal(reply.status, 200, reply.text)
    assert.match((await deliverOne(mailing, ada.email)).subject ?? '', /password/i)
  })

  it('[V6.3.7] a new username is told, under the new one', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    const json = { username: 'lovelace' }
    const reply = await server.call('PATCH', `${API}/users/me`, { json, token: ada.tokens.access_token })
    assert.equal(reply.status, 200, reply.text)
    const mail = await deliverOne(mailing, ada.email)
    assert.match(mail.subject ?? '', /username/i)
    assert.ok(mail.text?.includes('lovelace'), mail.text ?? '')
  })

  it('a session that ended because its token was used twice is told, once', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    const tokens = [ada.tokens.refresh_token ?? '']
    for (let time = 0; time < 3; time += 1) {
      tokens.push((await server.refresh(tokens.at(-1) ?? '')).body.refresh_token)
    }
    await Promise.all([
      server.refresh(tokens[0] ?? '', elsewhere),
      server.refresh(tokens[1] ?? '', elsewhere),
    ])
    const mail = await deliverOne(mailing, ada.email)
    assert.ok(mail.text?.includes('198.51.100.7'), mail.text ?? '')
  })

  it('[V6.3.5] ten failures in a row are told, once, in the language of the owner', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    await server.context.db.updateTable('users').set({ locale: 'de' }).execute()
    for (let time = 0; time < 12; time += 1) {
      await guess(server, 'ada', { ip: `192.0.2.${time}`, headers: { 'accept-language': 'ja' } })
      server.clock.advance(3_600_000)
    }
    const mail = await deliverOne(mailing, ada.email)
    assert.match(mail.html ?? '', /lang="de"/)
    for (const part of ['10 fehlgeschlagene Versuche hintereinander', '192.0.2.9', 'UTC']) {
      assert.ok(mail.text?.includes(part), mail.text ?? '')
    }
  })

  it('[V6.3.5] a sign-in after ten failures in a row is told, wherever it comes from; later ones are not', async () => {
    const mailing = await startWithAda()
    const { server } = mailing
    const failAndSignIn = async (failures: number) => {
      for (const time of times(failures)) {
        await guess(server, 'ada', { ip: `192.0.2.${time}` })
        server.clock.advance(HOUR)
      }
      await server.login(credentials)
      return (await mailing.deliver()).map(({ subject, text }) => `${subject}\n${text}`)
    }
    assert.deepEqual(await failAndSignIn(9), [])
    const [failed, signedIn, ...others] = await failAndSignIn(10)
    assert.match(failed ?? '', /failed/i)
    assert.match(signedIn ?? '', /^New sign-in.*signed in to after 10 failed attempts in a row\./s)
    assert.deepEqual(others, [])
    assert.deepEqual(await failAndSignIn(0), [])
  })

  it('[V6.3.5] failures by either name and on a known device count together for it', async () => {
    const mailing = await startWithAda()
    const { server, ada } = mailing
    const device_token = deviceTokenOf(ada.tokens)
    const wrong = { password: NEW_PASSWORD }
    for (const time of times(4)) {
      const from = { ip: `192.0.2.${time}` }
      for (const form of [
        { ...wrong, username: 'ada' },
        { ...wrong, username: ada.email },
        { ...wrong, username: 'ada', device_token },
      ])
        await server.call('POST', `${API}/auth/login`, { form, ...from })
      server.clock.advance(HOUR)
    }
    await server.login(credentials)
    const mail = await deliverOne(mailing, ada.email)
    assert.ok(mail.text?.includes('after 12 failed attempts in a row'), mail.text ?? '')
  })

  /** Does all that somebody is told of; the subjects of what they were sent. */
  const doAll = async (notices: string) => {
    const mailing = await startWithAda({ EMAIL_NOTICES: notices })
    const { server, ada } = mailing
    const token = ada.tokens.access_token
    await server.context.db.updateTable('users').set({ email_verified_at: 1 }).execute()
    const change = async (json: object) => {
      const reply = await server.call('PATCH', `${API}/users/me`, { json, token })
      assert.equal(reply.status, 200, reply.text)
    }
    await server.login(credentials, elsewhere)
    await change({ username: 'lovelace' })
    await change({ password: NEW_PASSWORD, current_password: PASSWORD })
    await change({ email: 'ada@example.org', current_password: NEW_PASSWORD })
    const all = await mailing.deliver()
    const { token: proof } = proofIn(all.at(-1) ?? assert.fail('no mail'))
    await server.call('POST', `${API}/auth/verify-email`, { json: { token: proof, password: NEW_PASSWORD } })
    const refresh = ada.tokens.refresh_token ?? ''
    for (let time = 0; time < 3; time += 1) await server.refresh(refresh, { ip: `203.0.113.${time}` })
    for (const time of times(10)) {
      await guess(server, 'lovelace', { ip: `192.0.2.${time}` })
      server.clock.advance(HOUR)
    }
    return [...all, ...(await mailing.deliver())].map(({ subject }) => subject)
  }

  it('EMAIL_NOTICES turns each of them off, and no other', async () => {
    const every = await doAll(EMAIL_NOTICES.join(','))
    // One more asks to confirm the new address.
    assert.equal(every.length, EMAIL_NOTICES.length + 1)
    assert.equal((await doAll('none')).length, 1)
    for (const notice of EMAIL_NOTICES) {
      const rest = EMAIL_NOTICES.filter((other) => other !== notice)
      assert.equal((await doAll(rest.join(','))).length, every.length - 1, notice)
    }
  })

  it('mails are in the language of the account, else the one that the browser asks for', async () => {
    const mailing = await startMailing((overrides) => startLimited(start, overrides), mails())
    const { server } = mailing
    const languageOf = async () =>
      /<html[^>]* lang="([\w-]+)"/.exec((await deliverOne(mailing)).html ?? '')?.[1]
    const { tokens, email } = await server.register(
      { username: 'ada' },
      { headers: { 'accept-language': 'fr, ar;q=0.8' } },
    )
    assert.equal(await languageOf(), 'ar')
    const ask = () =>
      server.call('POST', `${API}/auth/forgot-password`, {
        json: { email },
        headers: { 'accept-language': 'ja' },
      })
    await ask()
    assert.equal(await languageOf(), 'ar')
    const json = { locale: 'de-AT' }
    const reply = await server.call('PATCH', `${API}/users/me`, { json, token: tokens.access_token })
    assert.equal(reply.body.locale, 'de-AT')
    await ask()
    assert.equal(await languageOf(), 'de')
    await server.context.db.updateTable('users').set({ locale: null }).execute()
    await ask()
    assert.equal(await languageOf(), 'ja')
  })
})
