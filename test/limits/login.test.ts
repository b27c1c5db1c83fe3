import assert from 'node:assert/strict'
import { it } from 'node:test'
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/clock.ts'
import { cleanUpFailures } from '../../src/features/passwords/clean-up-failures.ts'
import { deleteOldFailures } from '../../src/features/passwords/failure-queries.ts'
import { API, onEachDatabase, PASSWORD, type Reply } from '../kit.ts'
import {
  deviceTokenOf,
  guess,
  nextAddress,
  retryAfter,
  signIn,
  signInFromElsewhere,
  signInOnDevice,
  startLimited,
  tally,
  times,
  WRONG,
} from '../support/guesses.ts'
import { replaceVerify } from '../support/verifying-passwords.ts'

onEachDatabase('limits of sign-ins', ({ start }) => {
  it('[V6.3.1] [V6.1.1] 200 guesses at one account at once, each from an address of its own: 20 are let through, and a handful tell whether they were right', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const replies = await Promise.all(
      times(200).map(() => guess(server, person.username, { ip: nextAddress() })),
    )
    assertHandful(replies, 20)
    const [row] = await server.context.db.selectFrom('sign_in_failures').select('failures').execute()
    assert.equal(
      row?.failures,
      tally(replies).invalid_credentials,
      'all that were looked at have been counted',
    )
    const waits = { invalid_credentials: undefined, too_many_failures: 1, too_many_requests: 60 }
    for (const reply of replies) {
      assert.equal(retryAfter(reply), waits[reply.body.code as keyof typeof waits])
    }
    assert.equal((await signInOnDevice(server, person)).status, 200)
  })

  it('[V6.3.1] [V6.1.1] 200 guesses at one account at once from one address: 10 are let through, a handful tell whether they were right, and others have their tries', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const ip = nextAddress()
    const replies = await Promise.all(times(200).map(() => guess(server, person.username, { ip })))
    assertHandful(replies, 10)
    server.clock.advance(MINUTE)
    assert.equal((await signInFromElsewhere(server, person)).status, 200)
    assert.equal((await signInOnDevice(server, person, { ip })).status, 200)
  })

  it('[V6.3.1] [V6.1.1] 200 accounts tried at once from one address: 100 are looked at', async () => {
    const server = await startLimited(start)
    const ip = nextAddress()
    const replies = await Promise.all(times(200).map((n) => guess(server, `nobody${n}`, { ip })))
    assert.deepEqual(tally(replies), { invalid_credentials: 100, too_many_requests: 100 })
  })

  it('[V6.3.1] one address that tries other accounts, however slowly, is cut off after 100 in a day', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const ip = nextAddress()
    const replies: Reply[] = []
    for (const n of times(102)) {
      replies.push(await guess(server, `nobody${n}`, { ip }))
      server.clock.advance(14 * MINUTE)
    }
    assert.deepEqual(tally(replies), { invalid_credentials: 100, too_many_requests: 2 })
    const { username, password } = person
    assert.equal((await signIn(server, { username, password }, { ip })).status, 429)
    assert.equal(
      (await signInOnDevice(server, person, { ip })).status,
      200,
      'a known device at the same address',
    )
    server.clock.advance(DAY)
    assert.equal((await signIn(server, { username, password }, { ip })).status, 200)
  })

  it('an account that signs in after all is not one of those that failed', async () => {
    const server = await startLimited(start)
    const ip = nextAddress()
    const person = await server.register()
    const { username, password } = person
    const guessNext = (n: number) => {
      server.clock.advance(2 * MINUTE)
      return guess(server, `nobody${n}`, { ip })
    }
    for (const n of times(98)) await guessNext(n)
    for (const _ of times(3)) {
      assert.equal((await guess(server, username, { ip })).status, 401)
      assert.equal((await signIn(server, { username, password }, { ip })).status, 200)
    }
    const replies = [await guessNext(98), await guessNext(99), await guessNext(100)]
    assert.deepEqual(tally(replies), { invalid_credentials: 2, too_many_requests: 1 })
  })

  it('successful sign-ins count against nobody: 150 people within the hour from one address', async () => {
    const server = await startLimited(start)
    const ip = nextAddress()
    const person = await server.register()
    const { username, password } = person
    for (const n of times(150)) {
      const reply = await signIn(server, { username, password }, { ip })
      assert.equal(reply.status, 200, `sign-in ${n}: ${reply.text}`)
      if (n % 10 === 9) server.clock.advance(MINUTE)
    }
    assert.equal((await guess(server, username, { ip })).body.code, 'invalid_credentials')
  })

  it('[V6.3.1] an IPv6 address counts by its /64, so that nothing is won by using all of it', async () => {
    const server = await startLimited(start)
    const ips = times(200).map((n) => `2001:db8:0:7:${n.toString(16)}::${(n * 7 + 1).toString(16)}`)
    const replies = await Promise.all(ips.map((ip, n) => guess(server, `nobody${n}`, { ip })))
    assert.deepEqual(tally(replies), { invalid_credentials: 100, too_many_requests: 100 })
    assert.equal((await guess(server, 'nobody', { ip: '2001:db8:0:8::1' })).body.code, 'invalid_credentials')
  })

  it('a refusal is recorded once for each window, with the limit', async () => {
    const server = await startLimited(start)
    const ip = nextAddress()
    const storm = () => Promise.all(times(14).map(() => guess(server, 'ada', { ip })))
    await storm()
    await storm()
    server.clock.advance(MINUTE)
    await storm()
    const events = await server.context.db
      .selectFrom('audit_events')
      .select(['ip', 'detail'])
      .where('type', '=', 'limit.reached')
      .execute()
    assert.deepEqual(
      events,
      times(2).map(() => ({ ip, detail: '{"limit":"login-address-account"}' })),
    )
  })

  it('[RFC9457-3] a refusal is a problem with Retry-After; what is told of limits is told of the address alone', async () => {
    const server = await startLimited(start)
    const ip = nextAddress()
    const first = await guess(server, 'ada', { ip })
    assert.equal(first.headers['ratelimit-policy'], '"login-address";q=300;w=60')
    assert.equal(first.headers.ratelimit, '"login-address";r=299;t=60')
    for (const _ of times(10)) await guess(server, 'ada', { ip })
    const refused = await guess(server, 'ada', { ip })
    assert.equal(refused.status, 429)
    assert.equal(refused.body.code, 'too_many_requests')
    assert.equal(retryAfter(refused), 60)
    assert.equal(refused.headers.ratelimit, '"login-address";r=288;t=60')
  })

  it('RATE_LIMITS=false limits nothing', async () => {
    const server = await startLimited(start, { rateLimits: false })
    const replies = await Promise.all(times(30).map(() => guess(server, 'ada')))
    assert.deepEqual(tally(replies), { invalid_credentials: 30 })
    assert.equal(replies[0]?.headers.ratelimit, undefined)
  })

  it('RATE_LIMITS=false leaves the failures in a row as they are, for when it is set again', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    for (const _ of times(5)) await guess(server, person.username, { ip: nextAddress() })
    const failures = () => server.context.db.selectFrom('sign_in_failures').selectAll().execute()
    const before = await failures()
    await server.restart({ rateLimits: false })
    assert.equal((await signInFromElsewhere(server, person)).status, 200)
    assert.equal((await guess(server, person.username)).status, 401)
    assert.deepEqual(await failures(), before)
  })
})

onEachDatabase('failures in a row', ({ start }) => {
  it('[V6.3.1] after four each costs a longer wait, to 15 minutes; after 30 there is no further try for that name', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const waits: number[] = []
    for (let failures = 0; failures < 30; ) {
      const reply = await guess(server, person.username, { ip: nextAddress() })
      if (reply.status === 401) {
        failures += 1
        continue
      }
      assert.equal(reply.body.code, 'too_many_failures')
      const wait = retryAfter(reply) ?? assert.fail('no Retry-After')
      waits.push(wait)
      if (wait > 60) {
        server.clock.advance(SECOND * wait - 1)
        const early = await guess(server, person.username, { ip: nextAddress() })
        assert.equal(early.body.code, 'too_many_failures', 'a millisecond early')
        server.clock.advance(1)
      } else server.clock.advance(SECOND * wait)
    }
    const doubling = times(10).map((n) => 2 ** n)
    assert.deepEqual(waits, [...doubling, ...times(15).map(() => 900)])
    server.clock.advance(365 * DAY)
    const refused = await signInFromElsewhere(server, person)
    assert.deepEqual([refused.status, refused.body.code], [429, 'too_many_failures'])
    assert.equal(retryAfter(refused), undefined)
    assert.equal((await signInOnDevice(server, person)).status, 200)
  })

  it('the first sign-in of a minute counts nothing in advance, for a name and on a device; the next ones do, and take it back', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const failures = () => server.context.db.selectFrom('sign_in_failures').select('failures').execute()
    const counted: number[] = []
    replaceVerify(server, (verify) => async (...given) => {
      counted.push((await failures()).length)
      return verify(...given)
    })
    const { username, password } = person
    for (const attempt of [
      () => signIn(server, { username, password }, { ip: nextAddress() }),
      () => signInOnDevice(server, person),
    ]) {
      for (const _ of times(3)) assert.equal((await attempt()).status, 200)
    }
    assert.deepEqual(counted, [0, 1, 1, 0, 1, 1])
    assert.deepEqual(await failures(), [])
  })

  it('[V6.3.1] of 200 at once when a wait is over, one is looked at', async () => {
    const server = await startLimited(start)
    for (const _ of times(5)) await guess(server, 'ada', { ip: nextAddress() })
    server.clock.advance(MINUTE)
    const replies = await Promise.all(times(200).map(() => guess(server, 'ada', { ip: nextAddress() })))
    const { invalid_credentials, ...refused } = tally(replies)
    assert.equal(invalid_credentials, 1)
    assert.deepEqual(refused, { too_many_requests: 180, too_many_failures: 19 })
  })

  it('[NIST63B-rate100] an account has 100 at most: 30 for each of its names, 20 for its devices and 20 for who is signed in, however slowly and from wherever', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const device_token = deviceTokenOf(person.tokens)
    let failures = 0
    for (const username of [person.username, person.email]) {
      for (const _ of times(35)) {
        const reply = await guess(server, username, { ip: nextAddress() })
        if (reply.status === 401) failures += 1
        server.clock.advance(HOUR)
      }
    }
    for (const _ of times(25)) {
      const form = { username: person.username, password: WRONG, device_token }
      const reply = await signIn(server, form, { ip: nextAddress() })
      if (reply.status === 401) failures += 1
      server.clock.advance(HOUR)
    }
    let { tokens } = person
    for (const _ of times(25)) {
      tokens = (await server.refresh(tokens.refresh_token)).body
      const json = { current_password: WRONG, username: 'other' }
      const reply = await server.call('PATCH', `${API}/users/me`, { json, token: tokens.access_token })
      if (reply.body.code === 'current_password_incorrect') failures += 1
      server.clock.advance(HOUR)
    }
    assert.equal(failures, 100)
    for (const username of [person.username, person.email]) {
      const form = { username, password: person.password, device_token }
      assert.equal((await signIn(server, form, { ip: nextAddress() })).body.code, 'too_many_failures')
    }
  })

  it('[NIST63B-rate100] a success ends the row', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    for (const _ of times(3)) {
      for (const _ of times(4)) {
        assert.equal((await guess(server, person.username, { ip: nextAddress() })).status, 401)
      }
      assert.equal((await signInFromElsewhere(server, person)).status, 200)
      server.clock.advance(MINUTE)
    }
  })

  it('[V6.3.8] a name that nobody has is treated like one that somebody has', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const seen: Record<string, unknown[]> = {}
    for (const username of [person.username, 'nobody.at.all']) {
      const replies: unknown[] = []
      for (const n of times(60)) {
        const { status, body, headers } = await guess(server, username, { ip: nextAddress() })
        replies.push([status, body.code, headers['retry-after'], headers.ratelimit])
        server.clock.advance(n * n * SECOND)
      }
      seen[username] = replies
    }
    assert.deepEqual(seen[person.username], seen['nobody.at.all'])
  })

  it('who registers a name, or changes to it, starts without the guesses of others at it', async () => {
    const server = await startLimited(start)
    const guessMuch = async (username: string) => {
      for (const _ of times(10)) {
        await guess(server, username, { ip: nextAddress() })
        server.clock.advance(HOUR)
      }
      // After this one the next would have to wait.
      await guess(server, username, { ip: nextAddress() })
    }
    await guessMuch('wanted')
    const person = await server.register({ username: 'wanted' })
    assert.equal((await signInFromElsewhere(server, person)).status, 200)
    await guessMuch('better')
    const changes = {
      json: { username: 'better' },
      token: (await server.login(person, { ip: nextAddress() })).access_token,
    }
    assert.equal((await server.call('PATCH', `${API}/users/me`, changes)).status, 200)
    assert.equal((await signInFromElsewhere(server, { ...person, username: 'better' })).status, 200)
  })

  it('they outlive a restart', async () => {
    const server = await startLimited(start)
    for (const _ of times(5)) await guess(server, 'ada', { ip: nextAddress() })
    await server.restart()
    const reply = await guess(server, 'ada', { ip: nextAddress() })
    assert.equal(reply.body.code, 'too_many_failures')
    server.clock.advance(MINUTE)
    assert.equal((await guess(server, 'ada', { ip: nextAddress() })).status, 401)
  })

  it('they are forgotten after a year, in small batches', async () => {
    const server = await startLimited(start)
    const { db, clock } = server.context
    for (const n of times(3)) await guess(server, `nobody${n}`, { ip: nextAddress() })
    server.clock.advance(366 * DAY)
    await guess(server, 'nobody0', { ip: nextAddress() })
    server.clock.advance(1)
    assert.equal(await deleteOldFailures(db, clock.now() - 366 * DAY, 1), 1)
    assert.equal(await cleanUpFailures(server.context), 1)
    assert.equal((await db.selectFrom('sign_in_failures').select('key').execute()).length, 1)
  })

  it('no name and no address is stored with them', async () => {
    const server = await startLimited(start)
    await guess(server, 'my password by mistake', { ip: '203.0.113.77' })
    const { db } = server.context
    const failures = await db.selectFrom('sign_in_failures').selectAll().execute()
    assert.equal(failures.length, 1)
    assert.match(failures[0]?.key ?? '', /^[\w-]{22}$/)
  })
})

onEachDatabase('known devices', ({ start }) => {
  it('[V6.3.1] the owner signs in from the device they know while the account is under attack, also from the attacked address', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const ip = nextAddress()
    for (const _ of times(60)) {
      const attack = [
        guess(server, person.username, { ip }),
        guess(server, person.email, { ip: nextAddress() }),
      ]
      const [owner] = await Promise.all([signInOnDevice(server, person, { ip }), ...attack])
      assert.equal(owner?.status, 200, owner?.text)
      server.clock.advance(20 * MINUTE)
    }
  })

  it('a new device of the owner waits while the attack lasts, and no longer than until they sign in on one that is known', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    for (const _ of times(45)) {
      await guess(server, person.username, { ip: nextAddress() })
      server.clock.advance(HOUR)
    }
    assert.equal((await signInFromElsewhere(server, person)).body.code, 'too_many_failures')
    assert.equal((await signInOnDevice(server, person)).status, 200)
    assert.equal((await signInFromElsewhere(server, person)).status, 200)
  })

  it('[NIST63B-rate100] who makes themselves many devices while they know the password has no more guesses after it has changed', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const tokens: string[] = []
    for (const _ of times(15)) {
      tokens.push(deviceTokenOf((await signInFromElsewhere(server, person)).body))
      server.clock.advance(MINUTE)
    }
    const guesses = tokens.flatMap((device_token) =>
      times(10).map(() =>
        signIn(server, { username: person.username, password: WRONG, device_token }, { ip: nextAddress() }),
      ),
    )
    // A slow machine has no room for all that the limit lets through.
    const { invalid_credentials = 0, too_many_requests, ...others } = tally(await Promise.all(guesses))
    const { too_many_failures = 0, server_busy = 0 } = others
    assert.equal(too_many_requests, 90, 'the limit of all devices of an account')
    assert.equal(invalid_credentials + too_many_failures + server_busy, 60)
    assert.ok(invalid_credentials <= 6, `${invalid_credentials} were told`)
    for (const _ of times(20)) {
      server.clock.advance(HOUR)
      const form = { username: person.username, password: WRONG, device_token: tokens[0] ?? '' }
      await signIn(server, form, { ip: nextAddress() })
    }
    server.clock.advance(DAY)
    for (const device_token of tokens) {
      const form = { username: person.username, password: WRONG, device_token }
      const reply = await signIn(server, form, { ip: nextAddress() })
      assert.equal(reply.headers['ratelimit-policy'], '"login-address";q=300;w=60', 'they count as strangers')
    }
  })

  it('a device keeps what it is known by: body or cookie, across sign-outs and new sign-ins', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const first = await signInOnDevice(server, person)
    const idOf = (token: string) => server.context.tokens.verifyDevice(token)?.jti
    assert.equal(idOf(deviceTokenOf(first.body)), idOf(deviceTokenOf(person.tokens)))
    const elsewhere = await signInFromElsewhere(server, person)
    assert.notEqual(idOf(deviceTokenOf(elsewhere.body)), idOf(deviceTokenOf(person.tokens)))

    const { username, password } = person
    const form = { username, password }
    const path = `${API}/auth/login?transport=cookie`
    const byCookie = await server.call('POST', path, { form, ip: nextAddress() })
    const cookie = deviceCookieOf(byCookie)
    assert.equal(byCookie.body.device_token, undefined)
    await server.call('POST', `${API}/auth/logout`, { token: byCookie.body.access_token })
    for (const _ of times(50)) await guess(server, username, { ip: nextAddress() })
    const again = await server.call('POST', path, { form, headers: { cookie } })
    assert.equal(again.status, 200, again.text)
    assert.equal(idOf(deviceCookieOf(again).split('=')[1] ?? ''), idOf(cookie.split('=')[1] ?? ''))
  })

  it('a device token of somebody else, a forged one, an expired one and any other token are worth nothing', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const stranger = await server.register()
    const own = deviceTokenOf(person.tokens)
    for (const _ of times(45)) {
      await guess(server, person.username, { ip: nextAddress() })
      server.clock.advance(HOUR)
    }
    const { username, password } = person
    const { access_token, refresh_token } = person.tokens
    const tokens = [deviceTokenOf(stranger.tokens), `${own.slice(0, -2)}AA`, 'x', access_token, refresh_token]
    for (const device_token of tokens) {
      const reply = await signIn(server, { username, password, device_token }, { ip: nextAddress() })
      assert.equal(reply.body.code, 'too_many_failures', device_token)
    }
    assert.equal((await signInOnDevice(server, person)).status, 200)
    server.clock.advance(400 * DAY)
    assert.equal(server.context.tokens.verifyDevice(own), undefined)
  })

  it('[ATK-typ] [V9.2.2] a device token is no access token and no refresh token', async () => {
    const server = await startLimited(start)
    const token = deviceTokenOf((await server.register()).tokens)
    assert.equal((await server.me(token)).body.code, 'access_token_invalid')
    assert.equal((await server.refresh(token)).body.code, 'refresh_token_invalid')
  })

  it('a device has 20 tries a minute, of which a handful at once tell whether they were right, and after 20 failures in a row it is a stranger', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const device_token = deviceTokenOf(person.tokens)
    const form = { username: person.username, password: WRONG, device_token }
    const replies = await Promise.all(times(200).map(() => signIn(server, form, { ip: nextAddress() })))
    const looked = assertHandful(replies, 20)
    assert.equal(replies[0]?.headers['ratelimit-policy'], '"login-device";q=20;w=60')
    for (const _ of times(20 - looked)) {
      server.clock.advance(HOUR)
      assert.equal((await signIn(server, form, { ip: nextAddress() })).body.code, 'invalid_credentials')
    }
    server.clock.advance(HOUR)
    for (const _ of times(5)) await guess(server, person.username, { ip: nextAddress() })
    assert.equal((await signInOnDevice(server, person)).body.code, 'too_many_failures')
    server.clock.advance(MINUTE)
    assert.equal((await signInOnDevice(server, person)).status, 200, 'by the name, like anybody')
  })
})

/** Of those that are let through the first is looked at, four more are, and one takes the first wait. */
function assertHandful(replies: Reply[], passed: number): number {
  const { invalid_credentials = 0, too_many_failures, too_many_requests, ...others } = tally(replies)
  assert.ok(invalid_credentials === 5 || invalid_credentials === 6, `${invalid_credentials}`)
  assert.deepEqual(others, {})
  assert.deepEqual(
    [too_many_failures, too_many_requests],
    [passed - invalid_credentials, replies.length - passed],
  )
  return invalid_credentials
}

const deviceCookieOf = ({ headers }: Reply): string => {
  const cookies = [headers['set-cookie'] ?? []].flat().map(String)
  return cookies.find((cookie) => cookie.startsWith('__Host-postern_device='))?.split(';', 1)[0] ?? ''
}

onEachDatabase('limits elsewhere', ({ start }) => {
  it('[V6.3.1] current passwords: 20 a minute, of which five at once tell whether they were right, then each failure costs a longer wait; sign-ins of others do not count, and one of the owner ends it', async () => {
    const server = await startLimited(start)
    const person = await server.register()
    const { access_token: token } = person.tokens
    const prove = (current_password: string) =>
      server.call('PATCH', `${API}/users/me`, {
        json: { email: `new.${person.email}`, current_password },
        token,
        ip: nextAddress(),
      })
    const replies = await Promise.all(times(200).map(() => prove(WRONG)))
    assert.deepEqual(tally(replies), {
      current_password_incorrect: 5,
      too_many_failures: 15,
      too_many_requests: 180,
    })
    server.clock.advance(MINUTE)
    assert.equal((await prove(WRONG)).body.code, 'current_password_incorrect')
    const blocked = await prove(PASSWORD)
    assert.deepEqual([blocked.status, blocked.body.code], [429, 'too_many_failures'])
    assert.equal((await signInFromElsewhere(server, person)).status, 200)
    assert.equal((await server.refresh(person.tokens.refresh_token)).status, 200)
    const { tokens } = { tokens: (await signInOnDevice(server, person)).body }
    const changes = {
      json: { email: `new.${person.email}`, current_password: PASSWORD },
      token: tokens.access_token,
    }
    assert.equal((await server.call('PATCH', `${API}/users/me`, changes)).status, 200)
  })

  it('a right current password ends the row of wrong ones', async () => {
    const server = await startLimited(start)
    const { tokens, email } = await server.register()
    const change = (address: string, current_password: string) =>
      server.call('PATCH', `${API}/users/me`, {
        json: { email: address, current_password },
        token: tokens.access_token,
      })
    for (const round of times(3)) {
      for (const _ of times(4)) assert.equal((await change(`x.${email}`, WRONG)).status, 400)
      assert.equal((await change(`${round}.${email}`, PASSWORD)).status, 200)
      server.clock.advance(MINUTE)
    }
  })

  it('a stolen access token that changes the name does not begin the row of wrong current passwords anew', async () => {
    const server = await startLimited(start)
    const { username, tokens } = await server.register()
    const patch = (json: object) =>
      server.call('PATCH', `${API}/users/me`, { json, token: tokens.access_token, ip: nextAddress() })
    let looked = 0
    for (const n of times(12)) {
      const reply = await patch({ email: `x${n}@example.com`, current_password: WRONG })
      if (reply.body.code === 'current_password_incorrect') looked += 1
      if (n % 3 === 2) assert.equal((await patch({ username: `${username}.${n}` })).status, 200)
    }
    assert.equal(looked, 5)
  })

  it('[V6.3.1] changes of an account: 30 an hour', async () => {
    const server = await startLimited(start)
    const { tokens } = await server.register()
    const probe = () =>
      server.call('PATCH', `${API}/users/me`, { json: { username: 'x' }, token: tokens.access_token })
    const replies = await Promise.all(times(200).map(probe))
    assert.deepEqual(tally(replies), { validation_failed: 30, too_many_requests: 170 })
  })

  it('[V6.3.1] registrations: 60 an hour from one address', async () => {
    const server = await startLimited(start)
    const ip = nextAddress()
    const register = (n: number) => {
      const json = { username: `many${n}`, email: 'no address', password: PASSWORD }
      return server.call('POST', `${API}/auth/register`, { json, ip })
    }
    const replies = await Promise.all(times(200).map(register))
    assert.deepEqual(tally(replies), { validation_failed: 60, too_many_requests: 140 })
    assert.equal((await server.register({}, { ip: nextAddress() })).tokens.token_type, 'bearer')
  })

  it('refreshes: 3000 a minute from one address and process', async () => {
    const server = await startLimited(start)
    const ip = nextAddress()
    const refresh = () => server.refresh('x', { ip })
    const replies = await Promise.all(times(3000).map(refresh))
    assert.deepEqual(tally(replies), { refresh_token_invalid: 3000 })
    assert.deepEqual(tally(await Promise.all(times(50).map(refresh))), { too_many_requests: 50 })
    assert.equal((await server.refresh('x', { ip: nextAddress() })).status, 401)
    server.clock.advance(MINUTE)
    assert.equal((await refresh()).status, 401)
  })
})
