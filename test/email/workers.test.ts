import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Context, createContext } from '../../src/context.ts'
import { loadSettings } from '../../src/core/settings.ts'
import { startServer } from '../kit.ts'
import { createTestDatabase, DATABASES, type DatabaseKind } from '../support/databases.ts'
import { countMessageIds, createTestSender, queue, sendingBy, storedMails } from '../support/outbox.ts'
import { scale } from '../support/scale.ts'
import { SECRET_KEY } from '../support/secret-key.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { createSecondNode } from '../support/sessions.ts'
import { startMailServer } from '../support/smtp.ts'

const MANY = scale(300, 1000)
const LONGEST_MS = 120_000

describe('several workers on one outbox', () => {
  it(`two nodes on PostgreSQL send ${MANY} mails: none is lost, and none is sent twice`, {
    timeout: LONGEST_MS,
  }, async (t) => {
    const mails = await startMailServer()
    t.after(() => mails.close())
    const server = await startServer('postgres', sendingBy(mails.url()))
    const second = await createSecondNode(server)
    t.after(async () => {
      await second.close()
      await server.close()
    })
    const senders = [server.context, second.context].flatMap((context) =>
      Array.from({ length: 3 }, () => createTestSender(context)),
    )
    // While some are sent, more are queued.
    const queueing = Promise.all(
      Array.from({ length: 4 }, async (_, lane) => {
        for (let index = lane; index < MANY; index += 4) {
          await queue(server.context, { to: `person${index}@example.com` })
        }
      }),
    )
    const isDone = async () => (await storedMails(server.context)).length === 0
    let isQueued = false
    void queueing.then(() => {
      isQueued = true
    })
    while (!isQueued || !(await isDone())) {
      await Promise.all(senders.map((sender) => sender.send()))
      await sleep(5)
    }
    const recipients = mails.mails.map(({ envelopeTo }) => envelopeTo.join())
    assert.deepEqual([recipients.length, new Set(recipients).size], [MANY, MANY])
    assert.equal(countMessageIds(mails).size, MANY)
  })

  it('many at once on one node, each with a batch of its own: none is sent twice', async (t) => {
    for (const kind of DATABASES) {
      const mails = await startMailServer()
      t.after(() => mails.close())
      const server = await startServer(kind, sendingBy(mails.url()))
      t.after(() => server.close())
      for (let index = 0; index < 60; index += 1) await queue(server.context)
      await Promise.all(Array.from({ length: 6 }, () => createTestSender(server.context).send()))
      assert.deepEqual([mails.mails.length, countMessageIds(mails).size], [60, 60])
      assert.deepEqual(await storedMails(server.context), [])
    }
  })
})

for (const kind of DATABASES) {
  describe(`servers that send (${kind})`, () => {
    it('killed with a mail on its way: the next server sends it, when whoever took it must have crashed', {
      timeout: LONGEST_MS,
    }, async (t) => {
      const mails = await startMailServer()
      t.after(() => mails.close())
      const { context, start } = await prepare(t, kind, mails.url())
      const server = await start()
      mails.behave({ message: 'silence' })
      await queue(context)
      while (mails.reading() === 0) await sleep(10)
      await server.kill()
      mails.behave({})
      const [mail] = await storedMails(context)
      assert.ok(mail && mail.attempts === 1 && mail.next_attempt_at > Date.now() + 60_000)
      // As if that time had passed.
      await context.db.updateTable('outbox').set({ next_attempt_at: Date.now() }).execute()
      await start()
      await mails.received(1)
      while ((await storedMails(context)).length > 0) await sleep(10)
      assert.equal(mails.mails[0]?.messageId, `<${mail.id}@auth.example.com>`)
      assert.equal(mails.mails.length, 1)
    })

    it('asked to stop while the mail server does not answer, it stops within seconds, and the mail waits', {
      timeout: LONGEST_MS,
    }, async (t) => {
      const mails = await startMailServer()
      t.after(() => mails.close())
      const { context, start } = await prepare(t, kind, mails.url())
      const server = await start()
      mails.behave({ sender: 'silence' })
      await queue(context)
      while (mails.connections() === 0) await sleep(10)
      const startedAt = performance.now()
      assert.deepEqual(await server.stop(), { code: 0, signal: null })
      assert.ok(performance.now() - startedAt < 6000)
      const [mail] = await storedMails(context)
      assert.deepEqual([mail?.last_error, mail?.gave_up_at], ['EABORT', null])
    })

    it('what is queued leaves within seconds, in the language that was asked for, and the log shows nothing of it', {
      timeout: LONGEST_MS,
    }, async (t) => {
      const mails = await startMailServer()
      t.after(() => mails.close())
      const { context, start } = await prepare(t, kind, mails.url())
      const server = await start()
      await queue(context, { to: 'canary@example.com', locale: 'de' })
      await mails.received(1)
      assert.match(mails.mails[0]?.html ?? '', /lang="de"/)
      await server.stop()
      assert.doesNotMatch(server.stdout() + server.stderr(), /canary/)
    })
  })
}

/** A database and servers on it; the context is what queues mails, as a request would. */
async function prepare(t: TestContext, kind: DatabaseKind, smtpUrl: string) {
  const database = await createTestDatabase(kind)
  t.after(() => database.drop())
  const folder = await mkdtemp(join(tmpdir(), 'postern-mail-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const env = {
    DATABASE_URL: database.url,
    SECRET_KEY,
    SMTP_URL: smtpUrl,
    SMTP_STARTTLS: 'false',
    EMAIL_FROM: 'Postern <no-reply@auth.example.com>',
  }
  const context: Context = await createContext(loadSettings({ env, directory: folder }).settings)
  t.after(() => context.close())
  const start = async (): Promise<ServerProcess> => {
    const server = await startServerProcess(env, { folder })
    t.after(() => server.kill())
    return server
  }
  return { context, start }
}
