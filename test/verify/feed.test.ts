import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../support/until.ts'
import { type Issuer, SERVICE_KEY, sendJson, sendProblem, startIssuer } from './support/issuer.ts'
import { movableTime } from './support/movable-time.ts'
import { generateSigningKey, publicJwk, signToken, someClaims } from './support/tokens.ts'
import { isAccepted, openCaughtUp, openVerifier, openWithoutFeed, refusalOf } from './support/verifiers.ts'

test('a session that ends is noticed at once, for tokens seen before and new ones; others go on', async (t) => {
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer)
  const token = issuer.token({ sid: 'ended' })
  const other = issuer.token({ sid: 'alive' })
  await verifier.verify(token)
  await verifier.verify(other)
  connection.endSession('ended', '1.a')
  await until('the session has ended', async () => !(await isAccepted(verifier, token)))
  assert.equal(await refusalOf(verifier, token), 'token_revoked')
  assert.equal(await refusalOf(verifier, issuer.token({ sid: 'ended', jti: 'new' })), 'token_revoked')
  await verifier.verify(other)
  assert.equal(issuer.introspected.length, 0)
  assert.deepEqual(verifier.errors, [])
})

test('the feed is asked for with the key, as events, and without a place the first time', async (t) => {
  const issuer = await startIssuer(t)
  const { connection } = await openCaughtUp(t, issuer)
  const { accept, authorization } = connection.request.headers
  assert.equal(accept, 'text/event-stream')
  assert.equal(authorization, `Bearer ${SERVICE_KEY}`)
  assert.equal(connection.lastEventId, undefined)
})

test('the path of the API may be another one', async (t) => {
  const issuer = await startIssuer(t, '/auth/v2')
  const verifier = openVerifier(t, issuer, { apiPrefix: '/auth/v2' })
  await verifier.verify(issuer.token())
  assert.equal(issuer.introspected.length, 1)
  ;(await issuer.connection(0)).heartbeat('1.a')
  await verifier.ready()
})

test('a stream that is cut is taken up again soon, from the last event on, and nothing is lost meanwhile', async (t) => {
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer)
  connection.endSession('one', '1.a')
  await until('it is known', () => verifier.counts().endedSessions === 1)
  const cutAt = performance.now()
  connection.cut()
  const second = await issuer.connection(1)
  assert.ok(performance.now() - cutAt < 2000)
  assert.equal(second.lastEventId, '1.a')
  second.endSession('two', '2.b')
  second.end()
  const third = await issuer.connection(2)
  assert.equal(third.lastEventId, '2.b')
  assert.equal(await refusalOf(verifier, issuer.token({ sid: 'one' })), 'token_revoked')
  assert.equal(await refusalOf(verifier, issuer.token({ sid: 'two' })), 'token_revoked')
  await verifier.verify(issuer.token())
  assert.equal(issuer.introspected.length, 0)
})

test('an event that was cut off in its middle does not count, nor does its place', async (t) => {
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer)
  connection.endSession('one', '1.a')
  connection.send('event: revocation\nid: 2.b\ndata: {"type":"session","sid":"two","exp":4000000000}\n')
  await until('the first is known', () => verifier.counts().endedSessions === 1)
  connection.cut()
  assert.equal((await issuer.connection(1)).lastEventId, '1.a')
  assert.equal(verifier.counts().endedSessions, 1)
})

test('a snapshot adds to what is known, and takes nothing back', async (t) => {
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer)
  connection.endSession('before', '1.a')
  connection.snapshot()
  connection.endSession('after', '1.z')
  await until('both are known', () => verifier.counts().endedSessions === 2)
  assert.equal(await refusalOf(verifier, issuer.token({ sid: 'before' })), 'token_revoked')
  connection.cut()
  assert.equal((await issuer.connection(1)).lastEventId, '1.z')
})

test('a key that leaked is dropped at once, with the tokens that were seen, and not taken again', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const leaked = await generateSigningKey('EdDSA')
  issuer.jwks.keys.push(publicJwk(leaked))
  const { verifier, connection } = await openCaughtUp(t, issuer)
  const token = signToken(leaked, someClaims(issuer.url))
  await verifier.verify(token)
  connection.revokeKey(leaked.kid, '1.a')
  await until('the key is dropped', async () => !(await isAccepted(verifier, token)))
  assert.equal(await refusalOf(verifier, token), 'token_revoked')
  const unseen = signToken(leaked, someClaims(issuer.url, { jti: 'new' }))
  assert.equal(await refusalOf(verifier, unseen), 'token_invalid')
  await until('the keys were asked for again', () => issuer.keyRequests.length >= 2)
  await issuer.settle()
  time.advance(301_000)
  ;(await issuer.connection(1)).heartbeat('2.a')
  await until('it is up to date', () => verifier.stalenessSeconds() < 20)
  await verifier.verify(issuer.token())
  await until('they were once more', () => issuer.keyRequests.length >= 3)
  await issuer.settle()
  assert.equal(await refusalOf(verifier, unseen), 'token_invalid')
  assert.equal(verifier.counts().keys, 1)
  assert.equal(verifier.counts().revokedKeys, 1)
})

test('when all keys are dropped, the new one is found within seconds of being there, whatever came before it', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer)
  const old = issuer.token()
  await verifier.verify(old)
  const [leaked] = issuer.jwks.keys.splice(0) as { kid?: string }[]
  connection.revokeKey(leaked?.kid ?? assert.fail('no key'), '1.a')
  await until('the key is dropped', async () => !(await isAccepted(verifier, old)))
  await until('the keys were asked for again', () => issuer.keyRequests.length >= 2)
  await issuer.settle()
  assert.equal(await refusalOf(verifier, issuer.token({ jti: 'unseen' })), 'token_invalid')
  const made = await generateSigningKey('ES256')
  issuer.jwks.keys.push(publicJwk(made))
  time.advance(1_000)
  await verifier.verify(signToken(made, someClaims(issuer.url)))
})

test('how old the knowledge is counts from the last heartbeat; a revocation does not make it younger', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openVerifier(t, issuer, { revocations: { key: SERVICE_KEY, onGap: 'reject' } })
  const connection = await issuer.connection(0)
  assert.equal(verifier.stalenessSeconds(), Number.POSITIVE_INFINITY)
  connection.snapshot()
  connection.endSession('one', '1.a')
  await until('it is known', () => verifier.counts().endedSessions === 1)
  assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
  connection.heartbeat('1.a')
  await verifier.ready()
  assert.ok(verifier.stalenessSeconds() < 5)
  time.advance(15_000)
  connection.endSession('two', '2.a')
  await until('it is known', () => verifier.counts().endedSessions === 2)
  assert.ok(verifier.stalenessSeconds() >= 15)
  await verifier.verify(issuer.token())
  time.advance(5_001)
  assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
  connection.heartbeat('2.a')
  await until('it is up to date', () => verifier.stalenessSeconds() < 5)
  await verifier.verify(issuer.token())
})

test('the limit for that may be another one', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const { verifier } = await openCaughtUp(t, issuer, { onGap: 'reject', maxStalenessSeconds: 60 })
  time.advance(50_000)
  await verifier.verify(issuer.token())
  time.advance(11_000)
  assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
})

test('clocks that differ do not matter, but a heartbeat that was held up counts for less', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openVerifier(t, issuer, { revocations: { key: SERVICE_KEY, onGap: 'reject' } })
  const connection = await issuer.connection(0)
  connection.heartbeat('1.a', 5_000)
  await verifier.ready()
  assert.ok(verifier.stalenessSeconds() < 5)
  // The process stood still for a while; what was on its way before comes now.
  time.advance(24_000)
  connection.heartbeat('1.b', 5_001)
  const second = await issuer.connection(1)
  assert.ok(verifier.stalenessSeconds() > 20)
  assert.match(String(verifier.errors.at(-1)), /lags behind/)
  assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
  second.heartbeat('1.c', 5_025)
  await until('it is up to date', () => verifier.stalenessSeconds() < 5)
  await verifier.verify(issuer.token())
})

test('how late the first heartbeat is counts from when the connection began', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openVerifier(t, issuer, { revocations: { key: SERVICE_KEY, onGap: 'reject' } })
  for (const index of [0, 1]) {
    const connection = await issuer.connection(index)
    // Whoever is in between passes each piece on just before the stream would be given up.
    for (const [piece, sid] of ['one', 'two'].entries()) {
      if (piece > 0) time.advance(24_000)
      connection.endSession(`${sid} ${index}`, '1.a')
      await until('it is known', () => verifier.counts().endedSessions === 2 * index + piece + 1)
    }
    time.advance(24_000)
    connection.heartbeat('1.a', 5_000)
    await until('it lags behind', () => verifier.errors.length === index + 1)
    assert.match(String(verifier.errors.at(-1)), /lags behind/)
    assert.ok(verifier.stalenessSeconds() > 40)
    assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
  }
  const honest = await issuer.connection(2)
  honest.endSession('three', '1.a')
  await until('it is known', () => verifier.counts().endedSessions === 5)
  time.advance(4_000)
  honest.heartbeat('1.a', 9_999)
  await until('it is up to date', () => verifier.stalenessSeconds() < 4)
  await verifier.verify(issuer.token())
})

test('how long the key takes that is sent with it is no lateness', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const key = Promise.withResolvers<string>()
  let isAsked = false
  const verifier = openVerifier(t, issuer, {
    revocations: {
      key: () => {
        isAsked = true
        return key.promise
      },
    },
  })
  await until('the key is asked for', () => isAsked)
  time.advance(4_900)
  key.resolve(SERVICE_KEY)
  ;(await issuer.connection(0)).heartbeat('1.a', 5_000)
  await verifier.ready()
  assert.ok(verifier.stalenessSeconds() < 3)
})

test('after sleep nothing counts as new that came before it, whichever clock stood still', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer, { onGap: 'reject' })
  time.sleep(60_000)
  connection.heartbeat('1.a', Math.floor(Date.now() / 1000) - 58)
  const second = await issuer.connection(1)
  assert.match(String(verifier.errors.at(-1)), /lags behind/)
  assert.ok(verifier.stalenessSeconds() > 50)
  assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
  second.heartbeat('1.b')
  await until('it is up to date', () => verifier.stalenessSeconds() < 5)
  await verifier.verify(issuer.token())
})

test('a snapshot proves nothing before old keys are loaded anew: it names no key that leaked long ago', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const leaked = await generateSigningKey('EdDSA')
  issuer.jwks.keys.push(publicJwk(leaked))
  const { verifier, connection } = await openCaughtUp(t, issuer, { onGap: 'reject' })
  const token = signToken(leaked, someClaims(issuer.url, { exp: 4_000_000_000 }))
  await verifier.verify(token)
  const { onKeys } = issuer
  issuer.onKeys = (_request, response) => sendProblem(response, 503, 'server_busy')
  issuer.jwks.keys.pop()
  connection.cut()
  time.advance(63 * 60_000)
  const second = await issuer.connection(1)
  second.snapshot()
  second.endSession('one', '9.a')
  second.heartbeat('9.a')
  await until('it has caught up', () => verifier.counts().endedSessions === 1)
  await issuer.settle()
  assert.equal(verifier.stalenessSeconds(), Number.POSITIVE_INFINITY)
  assert.equal(await refusalOf(verifier, token), 'unavailable')
  assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
  issuer.onKeys = onKeys
  await until('the keys have come', () => verifier.stalenessSeconds() < 20)
  assert.equal(await refusalOf(verifier, token), 'token_invalid')
  await verifier.verify(issuer.token())
})

test('a snapshot with keys at hand that are not old asks for none', async (t) => {
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer)
  connection.snapshot()
  connection.endSession('one', '1.a')
  await until('it is known', () => verifier.counts().endedSessions === 1)
  assert.ok(verifier.stalenessSeconds() < 20)
  assert.equal(issuer.keyRequests.length, 1)
})

test('a stream that is silent for 25 seconds is dead; one that says anything is not', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer)
  time.advance(24_000)
  connection.send(': still here\n\n')
  connection.endSession('one', '1.a')
  await until('it is known', () => verifier.counts().endedSessions === 1)
  time.advance(24_000)
  await issuer.settle()
  assert.ok(connection.isOpen())
  assert.equal(issuer.feedRequests.length, 1)
  time.advance(1_000)
  await until('the old connection is closed', () => !connection.isOpen())
  assert.equal((await issuer.connection(1)).lastEventId, '1.a')
  assert.match(String(verifier.errors.at(-1)), /silent for 25 seconds/)
})

test('a feed that does not begin within 5 seconds is tried again', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const { onFeed } = issuer
  issuer.onFeed = () => {}
  const verifier = openVerifier(t, issuer)
  await until('the feed is asked for', () => issuer.feedRequests.length === 1)
  issuer.onFeed = onFeed
  time.advance(5_000)
  ;(await issuer.connection(0)).heartbeat('1.a')
  await verifier.ready()
  assert.match(String(verifier.errors[0]), /GET http:\S+\/api\/v1\/revocations: no answer within 5 seconds/)
})

const BAD_REPLIES: Record<string, { onFeed: Issuer['onFeed']; message: RegExp }> = {
  'something that is no stream': {
    onFeed: (_request, response) => sendJson(response, { items: [], next: '1.a', snapshot: true }),
    message: /no event stream/,
  },
  'HTML as a stream of another type': {
    onFeed: (_request, response) =>
      void response.setHeader('content-type', 'text/event-streams').end('<html>'),
    message: /no event stream/,
  },
  'an error': {
    onFeed: (_request, response) => sendProblem(response, 503, 'server_busy'),
    message: /answered 503 server_busy$/,
  },
  'an error of something in between': {
    onFeed: (_request, response) => void response.writeHead(502).end('<html>Bad Gateway'),
    message: /answered 502$/,
  },
  'a redirect': {
    onFeed: (_request, response) => void response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end(),
    message: /answered 307$/,
  },
  'nothing at all': {
    onFeed: (_request, response) => void response.destroy(),
    message: /revocations: (UND_ERR_SOCKET|ECONNRESET)$/,
  },
}

for (const [name, { onFeed, message }] of Object.entries(BAD_REPLIES)) {
  test(`${name} instead of the feed is told, and tried again`, async (t) => {
    const issuer = await startIssuer(t)
    const { onFeed: usual } = issuer
    issuer.onFeed = onFeed
    const verifier = openVerifier(t, issuer)
    await until('it was tried again', () => issuer.feedRequests.length === 3)
    assert.match(String(verifier.errors[0]), message)
    issuer.onFeed = usual
    ;(await issuer.connection(0)).heartbeat('1.a')
    await verifier.ready()
  })
}

const BAD_EVENTS: Record<string, { text: string; message: RegExp }> = {
  'a revocation that is no JSON': { text: 'event: revocation\ndata: {\n\n', message: /no JSON/ },
  'a revocation of something unknown': {
    text: 'event: revocation\nid: 9.z\ndata: {"type":"user","sub":"x","exp":4000000000}\n\n',
    message: /no revocation/,
  },
  'a revocation without a name': {
    text: 'event: revocation\ndata: {"type":"session","sid":"","exp":4000000000}\n\n',
    message: /no revocation/,
  },
  'a revocation without an end': {
    text: 'event: revocation\ndata: {"type":"key","kid":"x","exp":"4000000000"}\n\n',
    message: /no revocation/,
  },
  'a revocation that is null': { text: 'event: revocation\ndata: null\n\n', message: /no revocation/ },
  'a heartbeat without a time': {
    text: 'event: heartbeat\ndata: {"at":null}\n\n',
    message: /without a time/,
  },
  'a line of 100 KB': { text: `data: ${'x'.repeat(100_000)}`, message: /larger than 64 KiB/ },
  'an event of 100 KB': { text: `data: ${'x'.repeat(1000)}\n`.repeat(100), message: /larger than 64 KiB/ },
}

for (const [name, { text, message }] of Object.entries(BAD_EVENTS)) {
  test(`${name} ends the connection: what is not understood is not passed over`, async (t) => {
    const issuer = await startIssuer(t)
    const { verifier, connection } = await openCaughtUp(t, issuer)
    connection.send(text)
    const second = await issuer.connection(1)
    assert.equal(second.lastEventId, '0.start')
    assert.match(String(verifier.errors[0]), message)
    await until('the connection is closed', () => !connection.isOpen())
    await verifier.verify(issuer.token())
  })
}

test('events and members that are not known are passed over, and ids that no header can carry', async (t) => {
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer)
  connection.event('weather', { rain: true }, '1.a')
  connection.event('revocation', { type: 'session', sid: 'one', exp: 4_000_000_000, why: 'new' }, '2.ä')
  connection.event('revocation', { type: 'session', sid: 'two', exp: 4_000_000_000 }, '3.c c')
  await until('both are known', () => verifier.counts().endedSessions === 2)
  connection.cut()
  assert.equal((await issuer.connection(1)).lastEventId, '1.a')
})

for (const [status, code] of [
  [401, 'access_token_invalid'],
  [403, 'insufficient_scope'],
] as const) {
  test(`${status}: refused means a gap at once, and another try after 10 seconds`, async (t) => {
    const time = movableTime(t)
    const issuer = await startIssuer(t)
    const { verifier, connection } = await openCaughtUp(t, issuer, { onGap: 'reject' })
    const { onFeed } = issuer
    issuer.onFeed = (_request, response) => sendProblem(response, status, code)
    connection.endSession('one', '1.a')
    connection.end()
    await until('it is told', () => verifier.errors.length === 1)
    assert.match(String(verifier.errors[0]), new RegExp(`revocations: answered ${status} ${code}$`))
    assert.equal(verifier.stalenessSeconds(), Number.POSITIVE_INFINITY)
    assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
    assert.equal(await refusalOf(verifier, issuer.token({ sid: 'one' })), 'token_revoked')
    issuer.onFeed = onFeed
    time.advance(9_000)
    await issuer.settle()
    assert.equal(issuer.feedRequests.length, 2)
    time.advance(1_000)
    ;(await issuer.connection(1)).heartbeat('2.a')
    await until('it is up to date', () => verifier.stalenessSeconds() < 5)
    await verifier.verify(issuer.token())
  })
}

test('429: what was known holds on, and the next try is after 10 seconds', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const { verifier, connection } = await openCaughtUp(t, issuer)
  const { onFeed } = issuer
  issuer.onFeed = (_request, response) => sendProblem(response, 429, 'too_many_requests')
  connection.end()
  await until('it is told', () => verifier.errors.length === 1)
  issuer.onFeed = onFeed
  await verifier.verify(issuer.token())
  time.advance(9_000)
  await issuer.settle()
  assert.equal(issuer.feedRequests.length, 2)
  time.advance(1_000)
  await issuer.connection(1)
})

test('tries go on, never more than 10 seconds apart, while the server is away', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  await issuer.stop()
  const verifier = openVerifier(t, issuer)
  const tries = () => verifier.errors.filter(({ message }) => message.includes('/revocations')).length
  for (let round = 1; round <= 12; round += 1) {
    await until(`try ${round} failed`, () => tries() >= round)
    time.advance(10_000)
  }
  await issuer.restart()
  time.advance(10_000)
  ;(await issuer.connection(0)).heartbeat('1.a')
  await until('it is up to date', () => verifier.stalenessSeconds() < 5)
})

test('a stream that holds for only a moment, again and again, is not asked for ever faster', async (t) => {
  const issuer = await startIssuer(t)
  const times: number[] = []
  issuer.onFeed = (_request, response) => {
    times.push(performance.now())
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(`event: heartbeat\nid: 1.a\ndata: {"at":1}\n\n`)
  }
  openVerifier(t, issuer)
  await until('it was asked for five times', () => times.length >= 5)
  const distance = (index: number) => Number(times[index + 1]) - Number(times[index])
  assert.ok(distance(0) >= 70)
  assert.ok(distance(3) >= 550)
})

test('the key may come from a function, which is asked each time', async (t) => {
  const issuer = await startIssuer(t)
  const keys = [SERVICE_KEY, 'a key that has a newline\n', Promise.resolve(SERVICE_KEY)]
  const verifier = openVerifier(t, issuer, {
    revocations: {
      key: () => {
        const key = keys.shift()
        if (key === undefined) throw new Error('no key left')
        return key
      },
    },
  })
  const first = await issuer.connection(0)
  first.heartbeat('1.a')
  await verifier.ready()
  first.end()
  await issuer.connection(1)
  assert.match(String(verifier.errors[0]), /revocations\.key gave nothing that can be sent as a key/)
  assert.equal(verifier.errors.length, 1)
})

test('without revocations no feed is asked for, and staleness is endless', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  await verifier.ready()
  await verifier.verify(issuer.token())
  assert.equal(verifier.stalenessSeconds(), Number.POSITIVE_INFINITY)
  assert.equal(issuer.feedRequests.length, 0)
})
