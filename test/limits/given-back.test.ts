import assert from 'node:assert/strict'
import { it } from 'node:test'
import { MINUTE, SECOND } from '../../src/core/clock.ts'
import { serverBusy } from '../../src/core/problems.ts'
import { claimTry, findFailures, releaseTry } from '../../src/features/passwords/failure-queries.ts'
import { throttledName } from '../../src/features/passwords/throttle.ts'
import { createLimits } from '../../src/http/limits.ts'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import {
  guess,
  nextAddress,
  requestFrom,
  retryAfter,
  signIn,
  startLimited,
  tally,
  WRONG,
} from '../support/guesses.ts'
import { assertProblem, INVALID_CREDENTIALS } from '../support/replies.ts'
import { replaceVerify } from '../support/verifying-passwords.ts'

const BUSY = { status: 503, code: 'server_busy' }
/** After so many in a row the next has to wait. */
const TO_WAIT = 5

/** While `deed` lasts no password is looked at. */
async function whileBusy(server: TestServer, deed: () => Promise<void>): Promise<void> {
  const restore = replaceVerify(server, () => () => Promise.reject(serverBusy()))
  await deed()
  restore()
}

/** As many wrong passwords as a test likes, without the time that they take to hash. */
const hashNothing = (server: TestServer) => replaceVerify(server, () => async () => false)

onEachDatabase('what was not looked at counts for nothing', ({ start }) => {
  it('the one try after a wait', async () => {
    const server = await startLimited(start)
    const tryNow = () => guess(server, 'ada', { ip: nextAddress() })
    for (let count = 0; count < TO_WAIT; count += 1) assertProblem(await tryNow(), INVALID_CREDENTIALS)
    assert.equal(retryAfter(await tryNow()), 1)
    server.clock.advance(SECOND)
    await whileBusy(server, async () => assertProblem(await tryNow(), BUSY))
    assertProblem(await tryNow(), INVALID_CREDENTIALS)
    assert.equal(retryAfter(await tryNow()), 2)
  })

  it('the try at a current password', async () => {
    const server = await startLimited(start)
    const { tokens, email } = await server.register()
    const prove = (current_password: string) => {
      const json = { email: `new.${email}`, current_password }
      return server.call('PATCH', `${API}/users/me`, { json, token: tokens.access_token })
    }
    await whileBusy(server, async () => assertProblem(await prove(PASSWORD), BUSY))
    for (let count = 0; count < TO_WAIT; count += 1) assert.equal((await prove(WRONG)).status, 400)
    assert.equal(retryAfter(await prove(WRONG)), 1)
    server.clock.advance(SECOND)
    await whileBusy(server, async () => assertProblem(await prove(PASSWORD), BUSY))
    assert.equal((await prove(PASSWORD)).status, 200)
  })

  it('the failures of an address: as many as it may have in an hour, and the next is looked at', async () => {
    const server = await startLimited(start)
    hashNothing(server)
    const ip = nextAddress()
    const guessMany = async (count: number, name: string) => {
      const replies = Array.from({ length: count }, (_, index) => guess(server, `${name}${index}`, { ip }))
      return tally(await Promise.all(replies))
    }
    await whileBusy(server, async () => assert.deepEqual(await guessMany(100, 'busy'), { server_busy: 100 }))
    server.clock.advance(MINUTE)
    assert.deepEqual(await guessMany(100, 'nobody'), { invalid_credentials: 100 })
    server.clock.advance(MINUTE)
    assert.deepEqual(await guessMany(1, 'other'), { too_many_requests: 1 })
  })

  it('sign-ins at once with the right password, of which some come too soon', async () => {
    const server = await startLimited(start)
    const { username, password } = await server.register()
    const ip = nextAddress()
    // Until four have been refused, which is when all others are let through.
    const { promise: allAdmitted, resolve } = Promise.withResolvers<void>()
    replaceVerify(server, (verify) => async (...args) => {
      await allAdmitted
      return verify(...args)
    })
    let refused = 0
    const replies = Array.from({ length: 10 }, async () => {
      const reply = await signIn(server, { username, password }, { ip })
      if (reply.status === 429) refused += 1
      if (refused === 4) resolve()
      return reply
    })
    assert.deepEqual(tally(await Promise.all(replies)), { 200: 6, too_many_failures: 4 })
    const limits = createLimits(server.context)
    for (const name of ['failed-login-address', 'failed-accounts-address'] as const) {
      assert.equal(await limits.count(requestFrom(), name, [ip], 0), 0, name)
    }
  })

  it('what is refused for its account takes no failure from its address', async () => {
    const server = await startLimited(start)
    hashNothing(server)
    const ip = nextAddress()
    for (let count = 0; count < 20; count += 1) await guess(server, 'ada', { ip: nextAddress() })
    for (let count = 0; count < 9; count += 1) {
      assert.equal((await guess(server, 'ada', { ip })).body.code, 'too_many_requests')
    }
    server.clock.advance(MINUTE)
    const replies = Array.from({ length: 100 }, (_, index) => guess(server, `nobody${index}`, { ip }))
    assert.deepEqual(tally(await Promise.all(replies)), { invalid_credentials: 100 })
  })

  it('a sign-in of somebody inactive, though its password was right', async () => {
    const server = await startLimited(start)
    const { username, password, email } = await server.register()
    const setActive = (is_active: boolean) =>
      server.context.db.updateTable('users').set({ is_active }).where('email', '=', email).execute()
    const tryNow = () => signIn(server, { username, password }, { ip: nextAddress() })
    for (let count = 0; count < TO_WAIT; count += 1) await guess(server, username, { ip: nextAddress() })
    await setActive(false)
    server.clock.advance(SECOND)
    for (let count = 0; count < 2; count += 1) assert.equal((await tryNow()).body.code, 'inactive_user')
    await setActive(true)
    assert.equal((await tryNow()).status, 200)
  })

  it('a try can be given back by who took it alone', async () => {
    const server = await startLimited(start)
    const { db, clock } = server.context
    const name = throttledName(server.context, 'ada')
    for (let count = 0; count < TO_WAIT; count += 1) await guess(server, 'ada', { ip: nextAddress() })
    const take = () => claimTry(db, { key: name.key, now: clock.now(), most: name.most })
    server.clock.advance(SECOND)
    const first = (await take()) ?? assert.fail('no try')
    assert.equal(await take(), undefined)
    server.clock.advance(MINUTE)
    const second = (await take()) ?? assert.fail('no second try')
    await releaseTry(db, { key: name.key, ...first }, clock.now())
    await releaseTry(db, { key: 'another', ...second }, clock.now())
    assert.equal((await findFailures(db, [name.key]))[0]?.next_try_at, second.next_try_at)
    await releaseTry(db, { key: name.key, ...second }, clock.now())
    assert.ok(await take())
  })
})
