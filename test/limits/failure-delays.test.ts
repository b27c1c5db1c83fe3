import assert from 'node:assert/strict'
import { it } from 'node:test'
import { SECOND } from '../../src/core/clock.ts'
import {
  addFailure,
  type Claim,
  claimTry,
  delayAfter,
  deleteFailures,
  FREE_FAILURES,
  findFailures,
  releaseTry,
} from '../../src/features/passwords/failure-queries.ts'
import {
  admitTry,
  countFailure,
  forgetFailures,
  forgetGuesses,
  type Try,
  throttledDevices,
  throttledName,
  throttledReauthentication,
} from '../../src/features/passwords/throttle.ts'
import { tryPassword } from '../../src/features/passwords/try-password.ts'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import { guess, startLimited } from '../support/guesses.ts'
import { problemOf } from '../support/replies.ts'

const FREE = [0, 0, 0, 0, 0]
const DOUBLING = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
const SECONDS = [...FREE, ...DOUBLING, 900, 900, 900]
const MOST = 30
const NAME = { key: 'a name', most: MOST }
const FREE_TRY = { throttled: NAME, claim: undefined }
const CLAIMED_TRY = { throttled: NAME, claim: { key: NAME.key, next_try_at: 0 } }
const FAILURE = { type: 'user.reauthentication_failed' } as const

const fail = ({ context }: TestServer, key = NAME.key) =>
  addFailure(context.db, { key, now: context.clock.now(), below: MOST })

const failuresOf = async ({ context }: TestServer, key = NAME.key) =>
  (await findFailures(context.db, [key]))[0]

/** What a try is refused with; undefined when it is let through. */
const refusalOf = async (server: TestServer) =>
  problemOf(admitTry(server.context, NAME, await failuresOf(server), true))

it('[V6.3.1] after four failures in a row each wait is twice the one before, to 15 minutes', () => {
  assert.deepEqual(
    SECONDS.map((_, failures) => delayAfter(failures)),
    SECONDS.map((seconds) => seconds * SECOND),
  )
})

onEachDatabase('delays after failures in a row', ({ start }) => {
  it('a database makes the same of them, and counts each name by itself', async () => {
    const server = await startLimited(start)
    const { db, clock } = server.context
    const now = clock.now()
    assert.equal(await fail(server, 'another'), 1)
    for (const [failures, seconds] of SECONDS.entries()) {
      if (failures === 0) continue
      assert.equal(await addFailure(db, { key: NAME.key, now: now + failures, below: MOST }), failures)
      assert.deepEqual(await failuresOf(server), {
        key: NAME.key,
        failures,
        next_try_at: now + failures + seconds * SECOND,
        failed_at: now + failures,
      })
    }
    assert.equal((await failuresOf(server, 'another'))?.failures, 1)
    assert.equal(await deleteFailures(db, [NAME.key, 'nobody']), 1)
    assert.equal(await failuresOf(server), undefined)
  })

  it('a try that is taken sets the wait of one more failure, and there is none after the last failure', async () => {
    const server = await startLimited(start)
    const { db, clock } = server.context
    const take = (most = MOST) => claimTry(db, { key: NAME.key, now: clock.now(), most })
    for (let count = 0; count < 5; count += 1) await fail(server)
    assert.equal(await take(), undefined)
    server.clock.advance(SECOND)
    assert.equal(await take(5), undefined, 'as many as there may be')
    assert.deepEqual(await take(6), { next_try_at: clock.now() + 2 * SECOND })
    assert.equal(await take(), undefined, 'taken')
  })

  it('who is refused is told how long to wait, where waiting helps', async () => {
    const server = await startLimited(start)
    const { context } = server
    const count = (tried: Try) => countFailure(context, context.db, tried)
    for (let failures = 1; failures <= 4; failures += 1) {
      assert.equal(await refusalOf(server), undefined)
      assert.deepEqual(await count(FREE_TRY), { failures, isLast: false })
    }
    assert.equal(await refusalOf(server), undefined, 'four of them cost no wait')
    assert.equal((await refusalOf(server))?.retryAfterSeconds, 1, 'which has been taken')
    await count(CLAIMED_TRY)
    server.clock.advance(1)
    assert.equal((await refusalOf(server))?.retryAfterSeconds, 1)
    server.clock.advance(SECOND - 1)
    const stale = await failuresOf(server)
    assert.equal(await refusalOf(server), undefined)
    const late = await problemOf(admitTry(context, NAME, stale))
    assert.equal(late?.retryAfterSeconds, 2, 'another has taken the try since the failures were read')
    for (let failures = 6; failures <= MOST; failures += 1) {
      assert.deepEqual(await count(CLAIMED_TRY), { failures, isLast: failures === MOST })
    }
    server.clock.advance(1000 * SECOND)
    const last = await refusalOf(server)
    assert.deepEqual([last?.code, last?.retryAfterSeconds], ['too_many_failures', undefined])
    assert.deepEqual(await count(CLAIMED_TRY), { failures: MOST, isLast: false }, 'the last is told once')
    assert.equal((await failuresOf(server))?.failures, MOST)
  })

  it('of tries at once, before there is any wait, four are counted in advance, one takes the first wait, and what is given back may be taken again', async () => {
    const server = await startLimited(start)
    const { context } = server
    const { clock } = context
    const admit = (isAlone = false) => admitTry(context, NAME, undefined, isAlone)
    const claims: (Claim | undefined)[] = []
    for (let time = 0; time < FREE_FAILURES; time += 1) claims.push(await admit())
    const counted = [1, 2, 3, 4].map((failures) => ({ key: NAME.key, failures }))
    assert.deepEqual(claims, counted)
    assert.deepEqual(await admit(), { key: NAME.key, next_try_at: clock.now() + SECOND })
    const late = await problemOf(admit())
    assert.deepEqual([late?.code, late?.retryAfterSeconds], ['too_many_failures', 1])

    const count = (claim: Claim | undefined) => countFailure(context, context.db, { throttled: NAME, claim })
    for (const claim of counted) {
      assert.deepEqual(await count(claim), { failures: claim.failures, isLast: false })
    }
    assert.equal((await failuresOf(server))?.failures, FREE_FAILURES, 'each once')
    await Promise.all(counted.map((claim) => releaseTry(context.db, claim, clock.now())))
    assert.equal(await failuresOf(server), undefined)
    assert.deepEqual(await admit(), counted[0])
    await releaseTry(context.db, { key: NAME.key, failures: 1 }, clock.now())

    assert.equal(await admit(true), undefined, 'who is alone takes nothing')
    assert.equal(await failuresOf(server), undefined)
    assert.deepEqual(await count(undefined), { failures: 1, isLast: false })
  })

  it('a right password ends the row, a wrong one is counted and written down', async () => {
    const server = await startLimited(start)
    const { context } = server
    const hash = await context.passwords.hash(PASSWORD)
    const attempt = (password: string) => tryPassword(context, { throttled: NAME, hash, password }, FAILURE)
    assert.equal(await attempt('another'), false)
    assert.equal((await failuresOf(server))?.failures, 1)
    const events = await context.db.selectFrom('audit_events').select('type').execute()
    assert.ok(events.some(({ type }) => type === FAILURE.type))
    assert.equal(await attempt(PASSWORD), true)
    assert.equal(await failuresOf(server), undefined)
  })

  it('a current password is looked at when its time has come, and never again after the last failure; with the limits off nothing changes', async () => {
    const server = await startLimited(start)
    const { context, settings } = server
    const hash = await context.passwords.hash(PASSWORD)
    const attempt = (by: typeof context = context) =>
      tryPassword(by, { throttled: NAME, hash, password: PASSWORD }, FAILURE)
    for (let time = 0; time < 6; time += 1) await fail(server)
    const early = await problemOf(attempt())
    assert.deepEqual([early?.code, early?.retryAfterSeconds], ['too_many_failures', 2])
    for (let time = 6; time < MOST; time += 1) await fail(server)
    server.clock.advance(1000 * SECOND)
    const last = await problemOf(attempt())
    assert.deepEqual([last?.code, last?.retryAfterSeconds], ['too_many_failures', undefined])

    const unlimited = { ...context, settings: { ...settings, rateLimits: false } }
    assert.equal(await attempt(unlimited), true)
    assert.equal((await failuresOf(server))?.failures, MOST)
    const busy = {
      ...unlimited,
      passwords: { ...context.passwords, verify: async () => assert.fail('busy') },
    }
    await assert.rejects(attempt(busy), /busy/)
  })

  it('forgotten are those of an account: at both names, on its devices, and of who is signed in', async () => {
    const server = await startLimited(start)
    const { context } = server
    const { db } = context
    const account = { id: 'id', username_key: 'ada', email_key: 'ada@example.com' }
    const throttled = [
      throttledName(context, 'Ada'),
      throttledName(context, 'ada@example.com'),
      throttledDevices(context, account.id),
      throttledReauthentication(context, account.id),
    ]
    for (const { key } of [...throttled, NAME]) await fail(server, key)
    assert.equal(await forgetFailures(context, db, account), throttled.length)
    const left = await db.selectFrom('sign_in_failures').select('key').execute()
    assert.deepEqual(left, [{ key: NAME.key }])
  })

  it('guesses are forgotten of names that somebody takes, and of no other', async () => {
    const server = await startLimited(start)
    const { context } = server
    const { db } = context
    const keyOf = (name: string) => throttledName(context, name).key
    for (const name of ['ada', 'ada@example.com', 'bob']) await fail(server, keyOf(name))
    await forgetGuesses(context, db, ['ada', 'ada@example.com'])
    const left = await db.selectFrom('sign_in_failures').select('key').execute()
    assert.deepEqual(left, [{ key: keyOf('bob') }])
  })

  it('a name that is changed without the password takes its failures along; with it they are forgotten', async () => {
    const server = await startLimited(start)
    const { tokens } = await server.register({ username: 'ada', email: 'ada@example.com' })
    for (let time = 0; time < FREE_FAILURES; time += 1) {
      await guess(server, 'ada')
      await guess(server, 'ada@example.com')
    }
    const failuresAt = async (name: string) =>
      (await findFailures(server.context.db, [throttledName(server.context, name).key]))[0]?.failures
    const change = (json: object) =>
      server.call('PATCH', `${API}/users/me`, { json, token: tokens.access_token })
    assert.equal((await change({ username: 'lovelace', email: 'l@example.com' })).status, 200)
    for (const name of ['ada', 'ada@example.com']) assert.equal(await failuresAt(name), undefined)
    for (const name of ['lovelace', 'l@example.com']) assert.equal(await failuresAt(name), FREE_FAILURES)
    assert.equal((await change({ username: 'LOVELACE' })).status, 200)
    assert.equal(await failuresAt('lovelace'), FREE_FAILURES, 'it is the same name')
    await fail(server, throttledName(server.context, 'byron').key)
    assert.equal((await change({ username: 'byron' })).status, 200)
    assert.equal(await failuresAt('byron'), FREE_FAILURES, 'not that of who had none')
    assert.equal((await change({ username: 'king', current_password: PASSWORD })).status, 200)
    assert.equal(await failuresAt('king'), undefined)
  })

  it('RATE_LIMITS=false counts none, and keeps nobody waiting', async () => {
    const server = await startLimited(start)
    const { context, settings } = server
    const unlimited = { ...context, settings: { ...settings, rateLimits: false } }
    for (let count = 0; count < MOST; count += 1) await fail(server)
    assert.equal(await admitTry(unlimited, NAME, await failuresOf(server)), undefined)
    assert.deepEqual(await countFailure(unlimited, context.db, FREE_TRY), { failures: 0, isLast: false })
    assert.equal((await failuresOf(server))?.failures, MOST)
  })
})
