import assert from 'node:assert/strict'
import { it } from 'node:test'
import { issueEmailToken } from '../../src/features/email-tokens/tokens.ts'
import { onSharedServer } from '../kit.ts'
import { post } from '../support/mails.ts'
import { assertProblem } from '../support/replies.ts'

onSharedServer('tokens that are mailed', (server) => {
  it('[V6.5.3] [V6.5.4] each is of 256 random bits, its code of six random digits, and no two are alike', async () => {
    const { context } = server()
    const issued = await context.db.transaction().execute(async (trx) => {
      const all = []
      for (let count = 0; count < 300; count += 1) {
        all.push(
          await issueEmailToken(context, trx, { kind: 'reset_password', email: `${count}@example.com` }),
        )
      }
      return all
    })
    for (const { token, code } of issued) {
      assert.equal(Buffer.from(token, 'base64url').length, 32)
      assert.match(code, /^\d{6}$/)
    }
    assert.equal(new Set(issued.map(({ token }) => token)).size, 300)
    assert.ok(new Set(issued.map(({ code }) => code)).size > 290)
    // Every digit at every place, which 300 codes miss with a chance of one in a trillion.
    for (let place = 0; place < 6; place += 1) {
      assert.equal(new Set(issued.map(({ code }) => code[place])).size, 10)
    }
  })

  it('a code that was made for nobody opens nothing, also when it is right', async () => {
    const { context } = server()
    const email = 'nobody@example.com'
    for (const [kind, path] of [
      ['reset_password', 'reset-password'],
      ['verify_email', 'verify-email'],
      ['register', 'verify-email'],
    ] as const) {
      const issued = await context.db
        .transaction()
        .execute((trx) => issueEmailToken(context, trx, { kind, email }))
      const more = kind === 'reset_password' ? { new_password: 'another horse battery staple' } : {}
      for (const proof of [{ email, code: issued.code }, { token: issued.token }]) {
        assertProblem(await post(server(), `/auth/${path}`, { ...proof, ...more }), {
          status: 400,
          code: 'email_token_invalid',
        })
      }
    }
  })
})
