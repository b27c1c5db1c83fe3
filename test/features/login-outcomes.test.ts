import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createCaller } from '../../src/core/caller.ts'
import { DAY } from '../../src/core/clock.ts'
import { Problem, serverBusy } from '../../src/core/problems.ts'
import { type Admit, login } from '../../src/features/auth/login.ts'
import { addFailure, findFailures } from '../../src/features/passwords/failure-queries.ts'
import { throttledName } from '../../src/features/passwords/throttle.ts'
import { createLimits } from '../../src/http/limits.ts'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import { guess, nextAddress, requestFrom, startLimited, WRONG } from '../support/guesses.ts'
import { mailSettings } from '../support/outbox.ts'
import { getUser, insertBcryptUser, insertUser, listEvents } from '../support/people.ts'
import { assertProblem, INVALID_CREDENTIALS, problemOf } from '../support/replies.ts'
import { replaceVerify } from '../support/verifying-passwords.ts'

const ADDRESS = '192.0.2.7'
const VERIFIED_FIRST = mailSettings({
  SMTP_URL: 'smtp://127.0.0.1:1',
  SMTP_STARTTLS: 'false',
  EMAIL_FROM: 'no-reply@auth.example.com',
  REQUIRE_EMAIL_VERIFICATION: 'true',
})
const FAILED = 'user.sign_in_failed'

const admitEverybody: Admit = async () => ({
  isSuspicious: false,
  isAlone: false,
  countFailure: async () => {},
  countSuccess: async () => {},
  giveBack: async () => {},
})

/** What a sign-in with the right password is refused with, where a mail would go through `admitMail` first. */
async function refusalOf(
  { context }: TestServer,
  identifier: string,
  admitMail: (email: string) => Promise<void>,
  admit = admitEverybody,
): Promise<unknown> {
  const caller = createCaller(ADDRESS, 'agent', 'request')
  try {
    await login(context, { identifier, password: PASSWORD, caller, admitMail }, admit)
    return undefined
  } catch (error) {
    return error instanceof Problem ? error.code : error
  }
}

const mailsOf = async ({ context }: TestServer) =>
  (await context.db.selectFrom('outbox').select('kind').execute()).map(({ kind }) => kind)

const failuresOf = async (server: TestServer, userId: string | null) =>
  (await listEvents(server, userId)).filter(({ type }) => type === FAILED).map(({ detail }) => detail)

const mailLimit = async () => {
  throw new Problem('too_many_requests')
}

onEachDatabase('what comes of a sign-in', ({ start }) => {
  it('the failure that ends all tries at a name says so in the audit log', async () => {
    const server = await startLimited(start)
    const { context } = server
    const { key, most } = throttledName(context, 'ada')
    for (let count = 0; count < most - 2; count += 1) {
      await addFailure(context.db, { key, now: context.clock.now(), below: most })
    }
    for (let count = 0; count < 2; count += 1) {
      server.clock.advance(DAY)
      assertProblem(await guess(server, 'ada'), INVALID_CREDENTIALS)
    }
    const reason = 'invalid_credentials'
    assert.deepEqual(await failuresOf(server, null), [{ reason }, { reason, blocked: true }])
  })

  it('a try that comes too soon is no failure of the address: no password was looked at', async () => {
    const server = await startLimited(start)
    const limits = createLimits(server.context)
    for (let count = 0; count < 5; count += 1) await guess(server, 'ada', { ip: nextAddress() })
    assert.equal((await guess(server, 'ada', { ip: ADDRESS })).body.code, 'too_many_failures')
    for (const name of ['failed-login-address', 'failed-accounts-address'] as const) {
      assert.equal(await limits.count(requestFrom(), name, [ADDRESS], 0), 0, name)
    }
  })

  it('[NIST63B-rate100] who renames the account while a password is looked at, or just before, has not tried it for nothing', async () => {
    const server = await startLimited(start)
    const { context } = server
    const person = await server.register({ username: 'ada' })
    let names = 0
    const rename = async () => {
      names += 1
      const call = { json: { username: `ada.${names}` }, token: person.tokens.access_token }
      assert.equal((await server.call('PATCH', `${API}/users/me`, call)).status, 200)
    }
    const tryNow = async (identifier: string, isAlone: boolean) => {
      const admit: Admit = async (device) => {
        await rename()
        return { ...(await admitEverybody(device)), isAlone }
      }
      const caller = createCaller(nextAddress(), 'agent', 'request')
      const problem = await problemOf(
        login(context, { identifier, password: WRONG, caller, admitMail: async () => {} }, admit),
      )
      assert.equal(problem?.code, 'invalid_credentials')
    }
    const countAt = async (name: string) => {
      const [found] = await findFailures(context.db, [throttledName(context, name).key])
      return found?.failures
    }
    const restore = replaceVerify(server, (verify) => async (...args) => {
      await rename()
      return verify(...args)
    })
    await tryNow('ada', true)
    assert.equal(await countAt('ada.2'), 1, 'one that took nothing')
    await tryNow('ada.2', false)
    assert.equal(await countAt('ada.4'), 2, 'one that was counted in advance')
    restore()
    await tryNow(person.email, true)
    assert.deepEqual([await countAt('ada.5'), await countAt(person.email)], [2, 1])
  })

  it('a try that was counted in advance is given back whatever becomes of the other counters, and says what went wrong first', async () => {
    const server = await startLimited(start)
    const { context } = server
    replaceVerify(server, () => () => Promise.reject(serverBusy()))
    const admit: Admit = async (device) => ({
      ...(await admitEverybody(device)),
      giveBack: () => Promise.reject(new Error('no counters')),
    })
    assert.equal(await refusalOf(server, 'ada', mailLimit, admit), 'server_busy')
    assert.deepEqual(await findFailures(context.db, [throttledName(context, 'ada').key]), [])
  })

  it('whose hash is replaced each time their password has been verified, is told to come again after three', async () => {
    const server = await start()
    const { passwords, db } = server.context
    const { username, password } = await server.register()
    const hashes = await Promise.all(Array.from({ length: 5 }, () => passwords.hash(password)))
    let verified = 0
    const restore = replaceVerify(server, (verify) => async (...args) => {
      const matches = await verify(...args)
      const password_hash = hashes[verified] ?? assert.fail('verified too often')
      verified += 1
      await db.updateTable('users').set({ password_hash }).where('username', '=', username).execute()
      return matches
    })
    const form = { username, password }
    assertProblem(await server.call('POST', `${API}/auth/login`, { form }), {
      status: 503,
      code: 'server_busy',
    })
    assert.equal(verified, 3)
    restore()
    await server.login({ username, password })
  })

  it('a bcrypt hash becomes one of argon2id by one sign-in, and stays it', async () => {
    const server = await start()
    let verified = 0
    replaceVerify(server, (verify) => (...args) => {
      verified += 1
      return verify(...args)
    })
    await insertBcryptUser(server, 'imported', PASSWORD)
    await server.login({ username: 'imported', password: PASSWORD })
    assert.equal(verified, 1)
    const { password_hash } = await getUser(server, 'imported')
    assert.match(password_hash ?? '', /^\$argon2id\$/)
    await server.login({ username: 'imported', password: PASSWORD })
    assert.equal((await getUser(server, 'imported')).password_hash, password_hash)
  })
})

onEachDatabase('a sign-in to an address that is not verified', ({ start }) => {
  const startVerifying = () => start(VERIFIED_FIRST)

  async function insertUnverified(server: TestServer) {
    const password_hash = await server.context.passwords.hash(PASSWORD)
    return insertUser(server, { username: 'ada', password_hash })
  }
  async function register(server: TestServer): Promise<void> {
    const json = { username: 'ada', email: 'ada@example.com', password: PASSWORD }
    assert.equal((await server.call('POST', `${API}/auth/register`, { json })).status, 202)
    await server.context.db.deleteFrom('outbox').execute()
  }

  const cases = [
    { what: 'an account', prepare: insertUnverified, kind: 'verify_email' },
    { what: 'a registration', prepare: register, kind: 'confirm_registration' },
  ]
  for (const { what, prepare, kind } of cases) {
    it(`of ${what}: the mail is sent again, but beyond the limit of mails, and the answer is the same`, async () => {
      const server = await startVerifying()
      await prepare(server)
      assert.equal(await refusalOf(server, 'ada', mailLimit), 'email_not_verified')
      assert.deepEqual(await mailsOf(server), [])
      assert.equal(await refusalOf(server, 'ada', async () => {}), 'email_not_verified')
      assert.deepEqual(await mailsOf(server), [kind])
    })

    it(`of ${what}: what else keeps a mail from being counted is not hidden`, async () => {
      const server = await startVerifying()
      await prepare(server)
      const away = new Error('the counters are away')
      assert.equal(await refusalOf(server, 'ada', () => Promise.reject(away)), away)
      const busy = () => Promise.reject(new Problem('server_busy'))
      assert.equal(await refusalOf(server, 'ada', busy), 'server_busy')
      const odd = Object.assign(new Error('odd'), { code: 'too_many_requests' })
      assert.equal(await refusalOf(server, 'ada', () => Promise.reject(odd)), odd)
    })
  }

  it('is written down with its reason', async () => {
    const server = await startVerifying()
    const { id } = await insertUnverified(server)
    await refusalOf(server, 'ada', async () => {})
    assert.deepEqual(await failuresOf(server, id), [{ reason: 'email_not_verified' }])
  })

  it('of somebody whose address changes meanwhile, or who goes: no mail is sent', async () => {
    const server = await startVerifying()
    const { id } = await insertUnverified(server)
    const { db } = server.context
    const change = async () => {
      const address = { email: 'new@example.com', email_key: 'new@example.com' }
      await db.updateTable('users').set(address).where('id', '=', id).execute()
      // The old one is somebody else's now.
      await insertUser(server, { username: 'other', email: 'ada@example.com', email_key: 'ada@example.com' })
    }
    assert.equal(await refusalOf(server, 'ada', change), 'email_not_verified')
    const leave = async () => {
      await db.deleteFrom('users').where('id', '=', id).execute()
    }
    assert.equal(await refusalOf(server, 'ada', leave), 'email_not_verified')
    assert.deepEqual(await mailsOf(server), [])
  })
})
