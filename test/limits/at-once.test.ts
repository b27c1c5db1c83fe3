import assert from 'node:assert/strict'
import { it } from 'node:test'
import { networkOf } from '../../src/core/caller.ts'
import { DAY, SECOND } from '../../src/core/clock.ts'
import { createLimits, LIMITS } from '../../src/http/limits.ts'
import { onEachDatabase, type Reply, type TestServer } from '../kit.ts'
import { nextAddress, requestFrom, startLimited, tally, times } from '../support/guesses.ts'
import { post } from '../support/mails.ts'
import { mailSettings, storedMails } from '../support/outbox.ts'
import { listEvents } from '../support/people.ts'

const MAILS = { SMTP_URL: 'smtp://127.0.0.1:1', EMAIL_FROM: 'no-reply@auth.example.com', MAGIC_LINKS: 'true' }
const NEW_PASSWORD = 'another horse battery staple'
const MANY = 200
const PATHS = ['/auth/forgot-password', '/auth/sign-in-link', '/auth/verify-email/resend']

/** What was queued for somebody with this address. */
const countMails = async ({ context }: TestServer, email: string) =>
  (await storedMails(context)).filter(({ recipient }) => recipient === email).length

/** What so many at once are answered. */
const atOnce = async (ask: (n: number) => Promise<Reply>) =>
  tally(await Promise.all(times(MANY).map((n) => ask(n))))
const passing = (code: string, most: number) => ({ [code]: most, too_many_requests: MANY - most })

/** One address as it may be written: all of them are that of one account. */
const writings = (email: string) => (n: number) =>
  [...email].map((letter, place) => ((n >> place) & 1 ? letter.toUpperCase() : letter)).join('')
let networks = 0
/** A network of somebody's, in which they have as many addresses as they like. */
const newNetwork = () => {
  networks += 1
  const prefix = `2001:db8:9:${networks.toString(16)}`
  return (n: number) => `${prefix}:${n.toString(16)}::${(n * 7 + 1).toString(16)}`
}

onEachDatabase('200 at once', ({ share }) => {
  const startMailing = async () => {
    const server = await startLimited(share, mailSettings(MAILS))
    // The limits of the whole server begin anew.
    server.clock.advance(SECOND)
    return server
  }

  for (const path of PATHS) {
    const ask = (server: TestServer, email: string, ip: string) => post(server, path, { email }, { ip })

    it(`[V6.3.1] ${path}: for one account from one address, 5 are let through`, async () => {
      const server = await startMailing()
      const { email } = await server.register()
      const before = await countMails(server, email)
      const ip = nextAddress()
      const written = writings(email)
      assert.deepEqual(await atOnce((n) => ask(server, written(n), ip)), passing('202', 5))
      assert.equal((await countMails(server, email)) - before, 5)
      assert.equal((await ask(server, email, nextAddress())).status, 202, 'others may ask')
    })

    it(`[V6.3.1] ${path}: for one account from 200 addresses, 20 are let through, whether anybody has it or not`, async () => {
      const server = await startMailing()
      const { email } = await server.register()
      const before = await countMails(server, email)
      for (const written of [writings(email), writings('nobody@example.com')]) {
        assert.deepEqual(await atOnce((n) => ask(server, written(n), nextAddress())), passing('202', 20))
      }
      assert.equal((await countMails(server, email)) - before, 20)
    })

    it(`[V6.3.1] ${path}: for 200 accounts from one address, 30 are let through`, async () => {
      const server = await startMailing()
      const ip = newNetwork()
      const replies = await atOnce((n) => ask(server, `nobody${n}@example.com`, ip(n)))
      assert.deepEqual(replies, passing('202', 30))
    })

    it(`[V6.3.1] ${path}: beyond the limit of an address no account opens a counter, and one event is written`, async () => {
      const server = await startMailing()
      const limits = createLimits(server.context)
      const ip = nextAddress()
      const email = (n: number) => `nobody${n}@example.com`
      for (const n of times(40)) await ask(server, email(n), ip)
      const countOf = async (n: number) => {
        let all = 0
        for (const kind of ['reset', 'sign-in', 'verify']) {
          all += await limits.count(requestFrom(), 'mail-address-account', [kind, ip, email(n)], 0)
        }
        return all
      }
      assert.deepEqual(await Promise.all([0, 29, 30, 39].map(countOf)), [1, 1, 0, 0])
      const events = await listEvents(server, null)
      const reached = events.filter(({ type, ip: from }) => type === 'limit.reached' && from === ip)
      assert.deepEqual(
        reached.map(({ detail }) => detail),
        [{ limit: 'mail-address' }],
      )
    })

    it(`[V6.3.1] ${path}: who asks again and again for one account uses up nothing of others at the address`, async () => {
      const server = await startMailing()
      const ip = nextAddress()
      const one: Reply[] = []
      for (const _ of times(40))
        one.push(await ask(server, `again@${path.replaceAll('/', '')}.example.com`, ip))
      assert.deepEqual(tally(one), { 202: 5, too_many_requests: 35 })
      for (const n of times(25)) assert.equal((await ask(server, `nobody${n}@example.com`, ip)).status, 202)
      assert.equal((await ask(server, 'another@example.com', ip)).status, 429)
    })

    it(`[V6.3.1] ${path}: for 200 accounts from 200 addresses, a server lets 100 through within a second`, async () => {
      const server = await startMailing()
      const replies = await atOnce((n) => ask(server, `nobody${n}@example.com`, nextAddress()))
      assert.deepEqual(replies, passing('202', 100))
    })
  }

  const bringing = {
    '/auth/verify-email': {},
    '/auth/reset-password': { new_password: NEW_PASSWORD },
    '/auth/sign-in-link/redeem': { request_token: 'x' },
  }
  for (const [path, more] of Object.entries(bringing)) {
    const bring = (server: TestServer, email: string, n: number, ip: string) =>
      post(server, path, { email, code: String(n).padStart(6, '0'), ...more }, { ip })

    it(`[V6.3.1] [V6.6.3] ${path}: of codes for one account from 200 addresses, 10 are looked at; within a day 50`, async () => {
      const server = await startMailing()
      const { email } = await server.register()
      const written = writings(email)
      const storm = () => atOnce((n) => bring(server, written(n), n, nextAddress()))
      const { windowMs } = LIMITS['code-account']
      for (const _ of times(5)) {
        assert.deepEqual(await storm(), passing('email_token_invalid', 10))
        server.clock.advance(windowMs)
      }
      assert.deepEqual(await storm(), { too_many_requests: MANY })
      server.clock.advance(DAY)
      assert.deepEqual(await storm(), passing('email_token_invalid', 10))
    })

    it(`[V6.3.1] [V6.6.3] ${path}: of codes for 200 accounts from one address, 30 are looked at`, async () => {
      const server = await startMailing()
      const ip = newNetwork()
      const replies = await atOnce((n) => bring(server, `nobody${n}@example.com`, n, ip(n)))
      assert.deepEqual(replies, passing('email_token_invalid', 30))
    })
  }

  it('[V6.3.1] [RFC7662-2.1] tokens that are introspected and revoked from one address: together as many as there is room for', async () => {
    const server = await startMailing()
    const { most, windowMs } = LIMITS['introspect-address']
    const ip = newNetwork()
    const address = networkOf(ip(0))
    await createLimits(server.context).count(requestFrom(), 'introspect-address', [address], most - 100)
    const ask = (n: number) => {
      const path = n % 2 ? '/auth/introspect' : '/auth/revoke'
      return post(server, path, { token: `guess${n}` }, { ip: ip(n) })
    }
    const replies = await atOnce(ask)
    const { not_authenticated = 0, 200: revoked = 0, ...refused } = replies
    assert.equal(not_authenticated + revoked, 100)
    assert.deepEqual(refused, { too_many_requests: 100 })
    server.clock.advance(windowMs)
    assert.equal((await ask(0)).status, 200)
  })
})
