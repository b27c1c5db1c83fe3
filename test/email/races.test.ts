import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Db } from '../../src/database/tables.ts'
import { deleteEmailTokens } from '../../src/features/email-tokens/queries.ts'
import { issueEmailToken } from '../../src/features/email-tokens/tokens.ts'
import { lockUserRow, replaceEmail } from '../../src/features/users/email-queries.ts'
import { onEachDatabase, PASSWORD, type Reply, type TestServer } from '../kit.ts'
import { post, startMailing } from '../support/mails.ts'
import { shareMailServer } from '../support/smtp.ts'

const NEW_PASSWORD = 'another horse battery staple'

onEachDatabase('asking for a mail while the account changes', ({ start }) => {
  const mails = shareMailServer()

  const startWithAda = async () => {
    const mailing = await startMailing(start, mails(), { MAGIC_LINKS: 'true' })
    const ada = await mailing.server.register({ username: 'ada' })
    await mailing.deliver()
    return { ...mailing, ada }
  }
  /** What comes of asking while a transaction is open that has done the first, and does the second later. */
  const askDuring = async (
    { context: { db } }: TestServer,
    ask: () => Promise<Reply>,
    first: (trx: Db) => Promise<unknown>,
    later: (trx: Db) => Promise<unknown> = async () => {},
  ): Promise<Reply> => {
    let asking: Promise<Reply> | undefined
    await db.transaction().execute(async (trx) => {
      await first(trx)
      asking = ask()
      await setTimeout(300)
      await later(trx)
    })
    return (await asking) ?? assert.fail()
  }

  for (const path of ['/auth/forgot-password', '/auth/sign-in-link', '/auth/verify-email/resend']) {
    it(`${path}: of an account that is being deleted the answer is that for nobody`, async () => {
      const { server, deliver, ada } = await startWithAda()
      const reply = await askDuring(
        server,
        () => post(server, path, { email: ada.email }),
        (trx) => trx.deleteFrom('users').execute(),
      )
      assert.equal(reply.status, 202, reply.text)
      assert.deepEqual(await deliver(), [])
    })
  }

  it('nor does it fail to sign in to one whose address would have to be verified', async () => {
    const { server, deliver } = await startWithAda()
    await server.restart({ email: { ...server.settings.email, requireVerification: true } })
    const json = { username: 'ada', password: PASSWORD }
    const reply = await askDuring(
      server,
      () => post(server, '/auth/login', json),
      (trx) => trx.deleteFrom('users').execute(),
    )
    assert.ok([401, 403].includes(reply.status), reply.text)
    assert.deepEqual(await deliver(), [])
  })

  it('who asks for a password at the address that an undo takes the account from waits for it, and ends nothing of it', async () => {
    const { server, deliver } = await startWithAda()
    const { context } = server
    const { id, email } = await context.db.selectFrom('users').selectAll().executeTakeFirstOrThrow()
    const old = { email: 'old@example.org', key: 'old@example.org' }
    await post(server, '/auth/forgot-password', { email })
    await deliver()
    let token = ''
    const reply = await askDuring(
      server,
      () => post(server, '/auth/forgot-password', { email }),
      async (trx) => {
        await lockUserRow(trx, id)
        await replaceEmail(trx, { ...old, id, now: context.clock.now() })
      },
      async (trx) => {
        await deleteEmailTokens(trx, id, ['reset_password'])
        const sent = { kind: 'reset_password', email: old.email, userId: id } as const
        ;({ token } = await issueEmailToken(context, trx, sent))
      },
    )
    assert.equal(reply.status, 202, reply.text)
    assert.deepEqual(await deliver(), [])
    const reset = await post(server, '/auth/reset-password', { token, new_password: NEW_PASSWORD })
    assert.equal(reset.status, 204, reset.text)
  })
})
