import assert from 'node:assert/strict'
import { afterEach, it } from 'node:test'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { MAIL_KINDS } from '../../src/core/metrics.ts'
import type { MailKind } from '../../src/features/email/mails.ts'
import { cleanUpOutbox, measureOutbox, queueMail } from '../../src/features/email/outbox.ts'
import { readGauges } from '../../src/features/metrics/gauges.ts'
import { onEachDatabase, type TestServer } from '../kit.ts'
import {
  countMessageIds,
  createTestSender,
  mailSettings,
  PROOF,
  queue,
  RESET,
  sendingBy,
  storedMails,
  TOKEN,
} from '../support/outbox.ts'
import { startMailServer, type TestMailServer } from '../support/smtp.ts'

const OTHER_KEY = 'Zx8cV5bN2mA9sD6fG3hJ0kL7qW4eR1tY-uIoP_aSdF'

onEachDatabase('the outbox', ({ start }) => {
  const mailServers: TestMailServer[] = []
  afterEach(async () => {
    for (const server of mailServers.splice(0)) await server.close()
  })

  const startBoth = async () => {
    const mails = await startMailServer()
    mailServers.push(mails)
    const server = await start(sendingBy(mails.url()))
    return { server, mails, sender: createTestSender(server.context) }
  }

  const only = async (server: TestServer) => {
    const [mail, ...others] = await storedMails(server.context)
    assert.ok(mail && others.length === 0)
    return mail
  }

  /** The time until a mail is tried again, in seconds. */
  const delayOf = async (server: TestServer) =>
    ((await only(server)).next_attempt_at - server.context.clock.now()) / SECOND

  const count = ({ context }: TestServer, outcome: string, kind = 'reset_password') =>
    context.metrics
      .read()
      .find(({ name }) => name === 'postern_mails_total')
      ?.values.find(({ labels }) => labels.kind === kind && labels.outcome === outcome)?.value

  const eventsOf = ({ context }: TestServer) =>
    context.db
      .selectFrom('audit_events')
      .select(['actor', 'user_id', 'detail'])
      .where('type', '=', 'email.gave_up')
      .execute()

  it('a mail is sent once its transaction is committed, and is gone then', async () => {
    const { server, mails, sender } = await startBoth()
    await queue(server.context)
    assert.equal(mails.mails.length, 0)
    await sender.send()
    const [mail] = mails.mails
    assert.equal(mail?.subject, 'reset_password in en')
    assert.ok(mail?.text?.includes(PROOF.url) && mail.html?.includes(PROOF.code))
    assert.deepEqual(mail?.envelopeTo, ['ada@example.com'])
    assert.deepEqual(await storedMails(server.context), [])
    await sender.send()
    assert.equal(mails.mails.length, 1)
    assert.deepEqual([count(server, 'sent'), count(server, 'retried'), count(server, 'gave_up')], [1, 0, 0])
  })

  it('a mail of a transaction that is rolled back is never sent', async () => {
    const { server, mails, sender } = await startBoth()
    const { context } = server
    const failing = context.db.transaction().execute(async (trx) => {
      await queueMail(context, trx, { to: 'ada@example.com', userId: null, locale: 'en', mail: RESET })
      throw new Error('it did not come to that')
    })
    await assert.rejects(failing, /it did not/)
    await sender.send()
    assert.equal(mails.mails.length, 0)
  })

  it('what a mail tells is sealed, in its own row alone', async () => {
    const { server, mails, sender } = await startBoth()
    const { context } = server
    await queue(context)
    await queue(context, { to: 'eve@example.com' })
    const [ada, eve] = await storedMails(context)
    assert.ok(ada && eve)
    const text = JSON.stringify([ada, eve])
    for (const secret of [TOKEN, PROOF.code, 'reset?token']) assert.ok(!text.includes(secret), secret)
    await context.db
      .updateTable('outbox')
      .set({ sealed_data: ada.sealed_data })
      .where('id', '=', eve.id)
      .execute()
    await sender.send()
    assert.deepEqual(
      mails.mails.map(({ envelopeTo }) => envelopeTo),
      [['ada@example.com']],
    )
    assert.equal((await only(server)).last_error, 'SECRET_KEY')
  })

  it('a mail for nobody costs a row like any other, and is dropped', async () => {
    const { server, mails, sender } = await startBoth()
    await queue(server.context)
    await queue(server.context, { to: null })
    const [real, decoy] = await storedMails(server.context)
    const shape = (mail: typeof real) => ({
      ...mail,
      id: '',
      recipient: '',
      created_at: 0,
      next_attempt_at: 0,
      sealed_data: mail?.sealed_data?.length,
    })
    assert.deepEqual(shape(real), shape(decoy))
    assert.equal(decoy?.recipient, null)
    await sender.send()
    assert.deepEqual([mails.mails.length, await storedMails(server.context)], [1, []])
    assert.equal(count(server, 'sent'), 1)
  })

  it('what was queued before SMTP_URL was removed waits, and is given up like any other', async () => {
    const { server } = await startBoth()
    await queue(server.context)
    await server.restart(mailSettings({ HOST: '0.0.0.0' }))
    const sender = createTestSender(server.context)
    await sender.send()
    assert.equal((await only(server)).last_error, 'SMTP_URL')
    server.clock.advance(DAY)
    await sender.send()
    assert.equal((await only(server)).gave_up_at, server.context.clock.now())
  })

  it('what is put off is tried again after 30 seconds, a minute, two ... up to an hour, a fifth more or less', async () => {
    const { server, mails, sender } = await startBoth()
    mails.behave({ recipient: 450 })
    await queue(server.context)
    for (const seconds of [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]) {
      await sender.send()
      const delay = await delayOf(server)
      assert.ok(delay >= 0.8 * seconds && delay <= 1.2 * seconds, `${delay} for ${seconds}`)
      const { last_error, gave_up_at } = await only(server)
      assert.deepEqual([last_error, gave_up_at], ['EENVELOPE 450', null])
      const before = mails.connections()
      server.clock.advance(delay * SECOND - 1)
      await sender.send()
      assert.equal((await only(server)).last_error, last_error)
      assert.equal(mails.connections(), before)
      server.clock.advance(1)
    }
    assert.equal(count(server, 'retried'), 9)
    mails.behave({})
    await sender.send()
    assert.deepEqual([mails.mails.length, await storedMails(server.context)], [1, []])
  })

  it('a mail that is tried again is the same: Message-ID and date', async () => {
    const { server, mails, sender } = await startBoth()
    await queue(server.context)
    // The server has it, and the word of that is lost.
    const lost = Promise.withResolvers<void>()
    mails.behave({ message: lost.promise })
    const sending = sender.send()
    while (mails.reading() === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    mails.hangUp()
    lost.resolve()
    await sending
    mails.behave({})
    server.clock.advance(MINUTE)
    await sender.send()
    const [first, second] = mails.mails
    assert.ok(first?.messageId && first.date)
    assert.deepEqual([second?.messageId, second?.date], [first.messageId, first.date])
    assert.deepEqual([...countMessageIds(mails).values()], [2])
    assert.deepEqual(await storedMails(server.context), [])
  })

  it('after a day it is given up: an event, a line in the log and a count tell of it, and nothing shows what it told', async () => {
    const { server, mails, sender } = await startBoth()
    const { context } = server
    const { tokens } = await server.register()
    const { id: userId } = (await server.me(tokens.access_token)).body
    // What a registration sends.
    await sender.send()
    const before = mails.mails.length
    mails.behave({ message: 451 })
    await queue(context, { userId })
    const { id, created_at } = await only(server)
    let tries = 0
    for (; (await only(server)).gave_up_at === null; tries += 1) {
      await sender.send()
      const { next_attempt_at } = await only(server)
      server.clock.advance(Math.max(0, next_attempt_at - context.clock.now()))
    }
    const mail = await only(server)
    assert.equal(mail.gave_up_at, created_at + DAY)
    assert.deepEqual([mail.sealed_data, mail.last_error], [null, 'EMESSAGE 451'])
    assert.ok(tries > 20 && tries < 40, String(tries))
    const { attempts } = mail
    // The last look gives it up, and does not try it.
    assert.equal(attempts, tries - 1)
    const [event, ...others] = await eventsOf(server)
    assert.deepEqual(others, [])
    assert.deepEqual([event?.actor, event?.user_id], ['server', userId])
    const told = { kind: 'reset_password', attempts, error: 'EMESSAGE 451' }
    assert.deepEqual(JSON.parse(event?.detail ?? ''), { mail: id, ...told })
    assert.deepEqual(
      sender.lines.filter(({ level }) => level === 'warn'),
      [{ level: 'warn', message: 'a mail was given up', mail: id, ...told, user_id: userId }],
    )
    assert.equal(count(server, 'gave_up'), 1)
    for (const secret of [TOKEN, 'ada@example.com', 'canary']) {
      assert.ok(!JSON.stringify([sender.lines, event]).includes(secret), secret)
    }
    server.clock.advance(DAY)
    mails.behave({})
    await sender.send()
    assert.equal(mails.mails.length, before)
  })

  it('what was given up is kept for 30 days, and what waits is not touched', async () => {
    const { server, mails, sender } = await startBoth()
    const { context, clock } = server
    mails.behave({ recipient: (address) => (address === 'ada@example.com' ? 550 : 450) })
    await queue(context)
    await sender.send()
    clock.advance(30 * DAY)
    await queue(context, { to: 'eve@example.com' })
    await sender.send()
    assert.equal(await cleanUpOutbox(context), 0)
    assert.equal((await storedMails(context)).length, 2)
    clock.advance(1)
    assert.equal(await cleanUpOutbox(context), 1)
    assert.equal((await only(server)).recipient, 'eve@example.com')
  })

  it('a recipient or a mail that is refused for good is given up at once', async () => {
    const { server, mails, sender } = await startBoth()
    for (const [behaviour, error] of [
      [{ recipient: 550 }, 'EENVELOPE 550'],
      [{ message: 554 }, 'EMESSAGE 554'],
    ] as const) {
      mails.behave(behaviour)
      await queue(server.context)
      await sender.send()
      const [mail] = (await storedMails(server.context)).slice(-1)
      assert.deepEqual([mail?.last_error, mail?.attempts, mail?.sealed_data], [error, 1, null])
      assert.equal(mail?.gave_up_at, server.context.clock.now())
    }
    assert.equal((await eventsOf(server)).length, 2)
  })

  it('one that is refused keeps no other from being sent', async () => {
    const { server, mails, sender } = await startBoth()
    mails.behave({ recipient: (address) => (address.startsWith('bad') ? 550 : undefined) })
    for (let index = 0; index < 30; index += 1) {
      await queue(server.context, { to: `${index % 3 === 0 ? 'bad' : 'good'}${index}@example.com` })
    }
    await sender.send()
    assert.equal(mails.mails.length, 20)
    assert.ok(mails.mails.every(({ envelopeTo }) => envelopeTo[0]?.startsWith('good')))
    // Whom they were for is nobody's business any more.
    const left = (await storedMails(server.context)).map(({ recipient, sealed_data }) => [
      recipient,
      sealed_data,
    ])
    assert.deepEqual(left, Array(10).fill([null, null]))
  })

  it('one recipient that the server hangs up on keeps no other from being sent at once', async () => {
    const { server, mails, sender } = await startBoth()
    mails.behave({ recipient: (address) => (address.startsWith('bad') ? 'cut' : undefined) })
    await queue(server.context, { to: 'bad@example.com' })
    for (let index = 0; index < 30; index += 1) {
      await queue(server.context, { to: `good${index}@example.com` })
    }
    await sender.send()
    assert.equal(mails.mails.length, 30)
    assert.equal((await only(server)).recipient, 'bad@example.com')
    assert.deepEqual(
      sender.lines.filter(({ level }) => level === 'warn'),
      [],
    )
  })

  it('nor do thirty', async () => {
    const { server, mails, sender } = await startBoth()
    mails.behave({ recipient: (address) => (address.startsWith('bad') ? 'cut' : undefined) })
    for (const kind of ['bad', 'good']) {
      for (let index = 0; index < 30; index += 1) {
        await queue(server.context, { to: `${kind}${index}@example.com` })
      }
      server.clock.advance(1)
    }
    await sender.send()
    assert.equal(mails.mails.length, 30)
    const left = await storedMails(server.context)
    assert.ok(left.length === 30 && left.every(({ last_error }) => last_error === 'ECONNECTION'))
  })

  it('hostile addresses reach nobody', async () => {
    const { server, mails, sender } = await startBoth()
    for (const to of [
      'ada@example.com\r\nBcc: eve@example.net',
      'ada@example.com, eve@example.net',
      '<eve@example.net>',
    ]) {
      await queue(server.context, { to })
    }
    await sender.send()
    assert.equal(mails.connections(), 0)
    for (const { last_error, gave_up_at } of await storedMails(server.context)) {
      assert.equal(last_error, 'ADDRESS')
      assert.ok(gave_up_at !== null)
    }
  })

  it('while the server is down few mails are tried, the others keep their place, and all are sent once it is back', async () => {
    const { server, mails, sender } = await startBoth()
    const { context, clock } = server
    await mails.close()
    for (let index = 0; index < 60; index += 1) {
      clock.advance(1)
      await queue(context, { to: `person${index}@example.com` })
    }
    const tried = async () => (await storedMails(context)).filter(({ attempts }) => attempts > 0)
    await sender.send()
    assert.ok((await tried()).length <= 5)
    // At once again, as each second: the server is left alone.
    await sender.send()
    assert.ok((await tried()).length <= 5)
    for (let minute = 0; minute < 30; minute += 1) {
      clock.advance(MINUTE)
      await sender.send()
    }
    const burned = await tried()
    assert.ok(burned.length <= 20, `${burned.length} of 60 were tried`)
    for (const { last_error } of burned) assert.equal(last_error, 'ESOCKET ECONNREFUSED')
    const waiting = (await storedMails(context)).filter(({ attempts }) => attempts === 0)
    for (const mail of waiting) assert.equal(mail.next_attempt_at, mail.created_at)
    assert.deepEqual(
      sender.lines.filter(({ level }) => level === 'warn').map(({ message, error }) => [message, error]),
      [['the mail server cannot be used; mails wait, and are tried again', 'ESOCKET ECONNREFUSED']],
    )

    const again = await startMailServer({ port: mails.port })
    mailServers.push(again)
    clock.advance(HOUR + 12 * MINUTE)
    await sender.send()
    assert.deepEqual([again.mails.length, await storedMails(context)], [60, []])
  })

  it('a login that is refused gives nothing up', async () => {
    const mails = await startMailServer({ credentials: { name: 'ada', password: 'right' } })
    mailServers.push(mails)
    const server = await start(sendingBy(mails.url({ name: 'ada', password: 'canary' })))
    const sender = createTestSender(server.context)
    await queue(server.context)
    await sender.send()
    const { last_error, gave_up_at } = await only(server)
    assert.deepEqual([last_error, gave_up_at], ['EAUTH 535', null])
    assert.ok(!JSON.stringify(sender.lines).includes('canary'))
  })

  it('after a long outage everything that is too old is given up by one look, and none of it is sent', async () => {
    const { server, mails, sender } = await startBoth()
    for (let index = 0; index < 50; index += 1) await queue(server.context)
    server.clock.advance(DAY)
    await queue(server.context, { to: 'young@example.com' })
    await sender.send()
    assert.deepEqual(
      mails.mails.map(({ envelopeTo }) => envelopeTo),
      [['young@example.com']],
    )
    const stored = await storedMails(server.context)
    assert.deepEqual(new Set(stored.map(({ last_error }) => last_error)), new Set(['EXPIRED']))
    assert.equal((await eventsOf(server)).length, 50)
  })

  it('a mail that was queued before SECRET_KEY was changed is sent while SECRET_KEY_PREVIOUS is set', async () => {
    const { server, mails } = await startBoth()
    const { secretKey } = server.settings
    await queue(server.context)
    await server.restart({ secretKey: OTHER_KEY, secretKeyPrevious: secretKey })
    const sender = createTestSender(server.context)
    await queue(server.context, { to: 'eve@example.com' })
    await sender.send()
    assert.deepEqual(mails.mails.map(({ envelopeTo }) => envelopeTo?.[0]).sort(), [
      'ada@example.com',
      'eve@example.com',
    ])
  })

  it('a node that has another SECRET_KEY leaves a mail to those that can open it', async () => {
    const { server, mails, sender } = await startBoth()
    const { outbox } = server.context
    const stranger = createTestSender({ ...server.context, outbox: { ...outbox, open: () => undefined } })
    await queue(server.context)
    await stranger.send()
    assert.equal((await only(server)).last_error, 'SECRET_KEY')
    server.clock.advance(MINUTE)
    await sender.send()
    assert.equal(mails.mails.length, 1)
  })

  it('a template that fails puts its mails off, and what it was given is told nowhere', async () => {
    const { server, mails, sender } = await startBoth()
    const broken = createTestSender(server.context, (mail) => {
      throw new Error(JSON.stringify(mail))
    })
    await queue(server.context)
    await broken.send()
    assert.equal((await only(server)).last_error, 'TEMPLATE')
    assert.ok(!JSON.stringify(broken.lines).includes(TOKEN))
    server.clock.advance(MINUTE)
    await sender.send()
    assert.equal(mails.mails.length, 1)
  })

  it('a server that never answers holds up nothing but the sending', async () => {
    const { server, mails, sender } = await startBoth()
    mails.behave({ message: 'silence' })
    await queue(server.context)
    const controller = new AbortController()
    const sending = sender.send(controller.signal)
    while (mails.reading() === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    const { tokens } = await server.register()
    const startedAt = performance.now()
    for (let round = 0; round < 20; round += 1) {
      await queue(server.context)
      assert.equal((await server.me(tokens.access_token)).status, 200)
    }
    assert.ok(performance.now() - startedAt < 2000)
    controller.abort()
    await sending
  })

  it('asked to stop, it gives back what it has not begun, and ends what it has within seconds', async () => {
    const { server, mails, sender } = await startBoth()
    for (let index = 0; index < 12; index += 1) await queue(server.context)
    mails.behave({ message: 'silence' })
    const controller = new AbortController()
    const sending = sender.send(controller.signal)
    while (mails.reading() < 5) await new Promise((resolve) => setTimeout(resolve, 5))
    const startedAt = performance.now()
    controller.abort()
    await sending
    const ms = performance.now() - startedAt
    assert.ok(ms > 1500 && ms < 4000, `${ms} ms`)
    const stored = await storedMails(server.context)
    const now = server.context.clock.now()
    assert.equal(
      stored.filter(({ attempts, next_attempt_at }) => attempts === 0 && next_attempt_at <= now).length,
      7,
    )
    assert.equal(stored.filter(({ last_error }) => last_error === 'EABORT').length, 5)
    await sender.send(controller.signal)
    assert.equal(mails.reading(), 5)
  })

  it('what is nearly sent when it is asked to stop is sent, and not again', async () => {
    const { server, mails, sender } = await startBoth()
    await queue(server.context)
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    mails.behave({ message: answered })
    const controller = new AbortController()
    const sending = sender.send(controller.signal)
    while (mails.reading() === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    controller.abort()
    setTimeout(answer, 300)
    await sending
    assert.deepEqual([mails.mails.length, await storedMails(server.context)], [1, []])
  })

  it('a mail that somebody has taken is taken by nobody else, until whoever has it must have crashed', async () => {
    const { server, mails, sender } = await startBoth()
    mails.behave({ message: 'silence' })
    await queue(server.context)
    const controller = new AbortController()
    const first = createTestSender(server.context)
    const sending = first.send(controller.signal)
    while (mails.reading() === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    mails.behave({})
    server.clock.advance(90 * SECOND)
    await sender.send()
    assert.equal(mails.mails.length, 0)
    server.clock.advance(30 * SECOND)
    await sender.send()
    assert.equal(mails.mails.length, 1)
    controller.abort()
    await sending
    assert.deepEqual(await storedMails(server.context), [])
  })

  it('metrics tell how many wait, since when, and how many were given up', async () => {
    const { server, mails, sender } = await startBoth()
    const { context, clock } = server
    const read = () =>
      Object.fromEntries(
        readGauges(context)
          .filter(({ name }) => name.startsWith('postern_outbox'))
          .map(({ name, values: [first] }) => [name.replace('postern_outbox_', ''), first?.value]),
      )
    assert.deepEqual(read(), { mails: 0, oldest_seconds: 0, given_up: 0 })
    mails.behave({ recipient: 550 })
    await queue(context)
    await sender.send()
    await queue(context)
    clock.advance(MINUTE)
    await queue(context)
    await measureOutbox(context)
    clock.advance(MINUTE)
    assert.deepEqual(read(), { mails: 2, oldest_seconds: 120, given_up: 1 })
  })

  it('every kind of mail has its count from the start', () => {
    const every: Record<MailKind, true> = {
      confirm_registration: true,
      verify_email: true,
      already_registered: true,
      reset_password: true,
      confirm_new_email: true,
      email_changed: true,
      email_change_undone: true,
      email_changed_back: true,
      email_restored: true,
      sign_in: true,
      new_sign_in: true,
      password_changed: true,
      username_changed: true,
      refresh_token_reused: true,
      failed_sign_ins: true,
    }
    assert.deepEqual([...MAIL_KINDS].sort(), Object.keys(every).sort())
  })
})
