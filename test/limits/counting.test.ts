import assert from 'node:assert/strict'
import { it } from 'node:test'
import { SECOND } from '../../src/core/clock.ts'
import { createLimits, LIMITS, type Limited, type LimitName, type Limits } from '../../src/http/limits.ts'
import { admitMail, admitPasswordOf, admitProof } from '../../src/http/mail-limits.ts'
import { admitBy } from '../../src/http/sign-in-limits.ts'
import { onEachDatabase, type TestServer } from '../kit.ts'
import { requestFrom, startLimited } from '../support/guesses.ts'
import { problemOf } from '../support/replies.ts'

type MailKind = Parameters<typeof admitMail>[2]

/** Refused once 10 have been counted. */
const SMALL = 'login-address-account'
const SUBJECT = ['one']
const { most } = LIMITS[SMALL]

/** How often in a row something is let through. */
async function countPasses(deed: () => Promise<unknown>): Promise<number> {
  let passes = 0
  while (passes < 200 && (await problemOf(deed())) === undefined) passes += 1
  return passes
}

const reachedOf = async ({ context }: TestServer) =>
  (
    await context.db.selectFrom('audit_events').select('detail').where('type', '=', 'limit.reached').execute()
  ).map(({ detail }) => JSON.parse(detail ?? '').limit)

onEachDatabase('how limits count', ({ start }) => {
  it('what protects a secret is counted for all nodes, what protects a node from work on it', async () => {
    const { context } = await startLimited(start)
    const asked: string[] = []
    const storeOf = (store: string) => ({
      add: async () => {
        asked.push(store)
        return { count: 1, msLeft: 1 }
      },
    })
    const counters = { ...context.counters, shared: storeOf('all nodes'), local: storeOf('each process') }
    const limits = createLimits({ ...context, counters })
    const names = Object.keys(LIMITS) as LimitName[]
    for (const name of names) await limits.take(requestFrom(), name, SUBJECT)
    assert.deepEqual(
      asked,
      names.map((name) => LIMITS[name].countedBy),
    )
  })

  it('a refusal tells the log which limit it was, and the metrics as well', async () => {
    const { context } = await startLimited(start)
    const refused: string[] = []
    const limited = (labels?: Readonly<Record<string, string>>) => () =>
      void refused.push(labels?.limit ?? '')
    const limits = createLimits({ ...context, metrics: { ...context.metrics, limited } })
    await limits.count(requestFrom(), SMALL, SUBJECT, most)
    const taken = await problemOf(limits.take(requestFrom(), SMALL, SUBJECT))
    const asked = await problemOf(limits.requireRoom(requestFrom(), SMALL, SUBJECT))
    assert.deepEqual([taken?.context, asked?.context], [{ limit: SMALL }, { limit: SMALL }])
    assert.deepEqual(refused, [SMALL, SMALL])
  })

  it('the first refusal of a window is recorded, and so is the last that was counted where nothing is refused', async () => {
    const server = await startLimited(start)
    const limits = createLimits(server.context)
    const take = (subject: string) => problemOf(limits.take(requestFrom(), SMALL, [subject]))
    const count = (points?: number) => limits.count(requestFrom(), SMALL, ['other'], points)
    for (let time = 0; time < most; time += 1) await take('one')
    assert.deepEqual(await reachedOf(server), [])
    await take('one')
    await take('one')
    assert.deepEqual(await reachedOf(server), [SMALL])

    for (let time = 1; time < most; time += 1) assert.equal(await count(), time)
    assert.equal((await reachedOf(server)).length, 1)
    assert.equal(await count(), most)
    assert.equal((await reachedOf(server)).length, 2)
    await count()
    assert.equal(await count(-1), most)
    assert.equal(await count(0), most)
    assert.equal((await reachedOf(server)).length, 2, 'by what is taken back it is not reached')
  })

  it('an address that may be that of many may have 50 times as much, counted apart from who comes without a proxy; the account may not', async () => {
    const { context } = await startLimited(start)
    const limits = createLimits(context)
    const proxy = () => requestFrom('10.0.0.1', true)
    await limits.count(requestFrom('10.0.0.1'), SMALL, SUBJECT, most)
    const passes = 150
    await limits.count(proxy(), SMALL, SUBJECT, 50 * most - passes)
    assert.equal(await problemOf(limits.requireRoom(proxy(), SMALL, SUBJECT)), undefined)
    assert.equal(await countPasses(() => limits.take(proxy(), SMALL, SUBJECT)), passes)
    const refused = await problemOf(limits.requireRoom(proxy(), SMALL, SUBJECT))
    assert.equal(refused?.code, 'too_many_requests')
    const mixed = await limits.count(requestFrom('10.0.0.1'), SMALL, SUBJECT, 0)
    assert.equal(mixed, most)
    assert.equal(await problemOf(limits.take(proxy(), SMALL, ['another'])), undefined)
    assert.equal(await countPasses(() => limits.take(proxy(), 'login-account', SUBJECT)), 20)
  })

  it('RATE_LIMITS=false: nothing is counted, nothing refused', async () => {
    const { context } = await start({ rateLimits: false })
    const limits = createLimits(context)
    assert.equal(await limits.count(requestFrom(), SMALL, SUBJECT, most), 0)
    assert.equal(await limits.take(requestFrom(), SMALL, SUBJECT), 0)
    assert.equal(await problemOf(limits.requireRoom(requestFrom(), SMALL, SUBJECT)), undefined)
    const limited = createLimits({ ...context, settings: { ...context.settings, rateLimits: true } })
    assert.equal(await limited.count(requestFrom(), SMALL, SUBJECT, 0), 0)
    await limited.count(requestFrom(), SMALL, SUBJECT, most)
    assert.equal(await problemOf(limits.requireRoom(requestFrom(), SMALL, SUBJECT)), undefined)
  })
})

onEachDatabase('whose limits are whose', ({ start }) => {
  const startLimits = async () => createLimits((await startLimited(start)).context)

  it('codes: of one account by whoever brings them, apart from those that sign in, and from those of others', async () => {
    const limits = await startLimits()
    const bring = (kind: 'sign-in' | 'account', email: string) =>
      admitProof(limits, requestFrom(), kind, { email })
    const limited = requestFrom()
    const bringHere = () => admitProof(limits, limited, 'account', { email: 'ada@example.com' })
    assert.equal(await countPasses(bringHere), 5, 'one address uses up no more')
    assert.equal(await countPasses(() => bring('account', 'ada@example.com')), 5)
    assert.equal(await countPasses(() => bring('account', 'ADA@example.com')), 0)
    assert.equal(await countPasses(() => bring('sign-in', 'ada@example.com')), 10)
    assert.equal(await countPasses(() => bring('account', 'bob@example.com')), 10)
  })

  it('codes within a day: apart for each account as well', async () => {
    const server = await startLimited(start)
    const limits = createLimits(server.context)
    const bring = (email: string) => admitProof(limits, requestFrom(), 'account', { email })
    let passes = 0
    for (let window = 0; window < 7; window += 1) {
      passes += await countPasses(() => bring('ada@example.com'))
      server.clock.advance(LIMITS['code-account'].windowMs)
    }
    assert.equal(passes, 50)
    assert.equal(await countPasses(() => bring('bob@example.com')), 10)
  })

  it('links: by the address that brings them, however many; an account has no part in it', async () => {
    const server = await startLimited(start)
    const limits = createLimits(server.context)
    const email = 'ada@example.com'
    for (const proof of [{ token: 'long' }, { token: 'long', email }]) {
      assert.equal(await countPasses(() => admitProof(limits, requestFrom(), 'account', proof)), 200)
      // A server takes no more within a second.
      server.clock.advance(SECOND)
      const limited = requestFrom()
      assert.equal(await countPasses(() => admitProof(limits, limited, 'account', proof)), 30)
      server.clock.advance(SECOND)
    }
    assert.equal(await countPasses(() => admitProof(limits, requestFrom(), 'account', { email })), 10)
  })

  it('mails: of one kind to one account, by one address and by all together', async () => {
    for (const kind of ['reset', 'register'] as const) {
      const limits = await startLimits()
      const ask = (limited: Limited, kind: MailKind, email: string) =>
        countPasses(() => admitMail(limits, limited, kind, email))
      const limited = requestFrom()
      assert.equal(await ask(limited, kind, 'ada@example.com'), 5)
      assert.equal(await ask(limited, 'verify', 'ada@example.com'), 5)
      assert.equal(await ask(limited, kind, 'bob@example.com'), 5)
      const elsewhere = () => admitMail(limits, requestFrom(), kind, 'Ada@example.com')
      assert.equal(await countPasses(elsewhere), 15)
      assert.equal(await ask(requestFrom(), kind, 'bob@example.com'), 5)
    }
  })

  it('mails: of all kinds to whomever, by one address that asks for them', async () => {
    const limits = await startLimits()
    let people = 0
    const ask = (limited: Limited, kind: MailKind) =>
      countPasses(() => admitMail(limits, limited, kind, `p${people++}`))
    assert.equal(await ask(requestFrom(), 'reset'), 30)
    const limited = requestFrom()
    assert.equal(await ask(limited, 'verify'), 30)
    assert.equal(await ask(limited, 'register'), 200, 'they have limits of their own')
  })

  it('mails: as many as may leave a server within a second, whoever asks', async () => {
    const server = await startLimited(start)
    const limits = createLimits(server.context)
    let people = 0
    const ask = (kind: MailKind) => countPasses(() => admitMail(limits, requestFrom(), kind, `p${people++}`))
    assert.equal(await ask('sign-in'), 100)
    assert.equal(await ask('verify'), 0)
    assert.equal(await ask('register'), 200)
    server.clock.advance(SECOND)
    assert.equal(await ask('verify'), 100)
  })

  it('passwords that come with a mail: of one account by whoever brings them, with those of who is signed in', async () => {
    const limits = await startLimits()
    const bring = (owner: string) => () => admitPasswordOf(limits, requestFrom())(owner)
    await limits.count(requestFrom(), 'reauthentication-account', ['ada'], 5)
    assert.equal(await countPasses(bring('ada')), 15)
    assert.equal(await countPasses(bring('bob')), 20)
  })

  it('sign-ins: one address uses up nothing of another, one device nothing of another user', async () => {
    const limits = await startLimits()
    let accounts = 0
    const signIn = async (limited: Limited) => {
      const admission = await admitBy(limits, limited, `account${accounts++}`)(undefined)
      await admission.countSuccess()
    }
    const limited = requestFrom()
    for (let time = 0; time < 3; time += 1)
      await limits.count(limited, 'login-address', [limited.caller.ip], 99)
    assert.equal(await countPasses(() => signIn(limited)), 3)
    assert.equal(await problemOf(signIn(requestFrom())), undefined)

    let devices = 0
    const onDevices = (sub: string) =>
      countPasses(() => admitBy(limits, requestFrom(), 'ada')({ sub, jti: `device${devices++}` } as never))
    assert.equal(await onDevices('ada'), 60)
    assert.equal(await onDevices('bob'), 60)
  })

  it('behind a proxy nearby that nobody has named failures make suspicious, at 50 times as many, and refuse nobody', async () => {
    const limits = await startLimits()
    const proxy = requestFrom('10.0.0.1', true)
    const address = [proxy.caller.ip]
    await limits.count(proxy, 'failed-accounts-address', address, 50 * LIMITS['failed-accounts-address'].most)
    const admit = async () => {
      const { isSuspicious } = await admitBy(limits, proxy, 'ada')(undefined)
      return isSuspicious
    }
    await limits.count(proxy, 'failed-login-address', address, 498)
    assert.deepEqual([await admit(), await admit(), await admit()], [false, false, true])
    await limits.count(proxy, 'failed-login-address', address, 50 * LIMITS['failed-login-address'].most)
    assert.equal(await admit(), true)
  })

  it('[V6.3.1] accounts that failed: each once, and no fewer for signing in to one that did not', async () => {
    const limits = await startLimits()
    const limited = requestFrom()
    const failed = () => limits.count(limited, 'failed-accounts-address', [limited.caller.ip], 0)
    await failAt(limits, limited, 'ada', 3)
    await failAt(limits, limited, 'bob', 1)
    assert.equal(await failed(), 2)
    for (let time = 0; time < 3; time += 1) {
      await (await admitBy(limits, limited, 'mallory')(undefined)).countSuccess()
    }
    assert.equal(await failed(), 2)
    for (let time = 0; time < 2; time += 1) {
      await (await admitBy(limits, limited, 'ada')(undefined)).countSuccess()
    }
    assert.equal(await failed(), 1)
    await failAt(limits, limited, 'ada', 1)
    assert.equal(await failed(), 2)
  })
})

async function failAt(limits: Limits, limited: Limited, account: string, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    await (await admitBy(limits, limited, account)(undefined)).countFailure()
  }
}
