import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { until } from '../support/until.ts'
import { SERVICE_KEY, sendJson, sendProblem, startIssuer } from './support/issuer.ts'
import { movableTime } from './support/movable-time.ts'
import { isAccepted, openCaughtUp, openVerifier, refusalOf } from './support/verifiers.ts'

const withKey = (onGap: 'introspect' | 'reject' | 'accept') => ({ revocations: { key: SERVICE_KEY, onGap } })

test('by default the server is asked in a gap, about tokens that are good as far as is known', async (t) => {
  const issuer = await startIssuer(t)
  issuer.onIntrospect = (token, response) => sendJson(response, { active: token !== ended })
  const ended = issuer.token({ sid: 'ended' })
  const verifier = openVerifier(t, issuer)
  const good = issuer.token()
  const claims = await verifier.verify(good)
  assert.equal(claims.sid, '01992c2e-0000-7000-8000-00000000000b')
  assert.equal(await refusalOf(verifier, ended), 'token_revoked')
  assert.equal(await refusalOf(verifier, `${good}x`), 'token_invalid')
  assert.equal(await refusalOf(verifier, issuer.token({ exp: 1 })), 'token_expired')
  assert.deepEqual(issuer.introspected, [good, ended])
})

test('what the feed has told holds in a gap, without a question', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  for (const onGap of ['introspect', 'reject', 'accept'] as const) {
    const before = issuer.feedRequests.length
    const verifier = openVerifier(t, issuer, withKey(onGap))
    const connection = await issuer.connection(before)
    connection.endSession('ended', '1.a')
    connection.heartbeat('1.a')
    await verifier.ready()
    time.advance(21_000)
    assert.equal(await refusalOf(verifier, issuer.token({ sid: 'ended' })), 'token_revoked')
    verifier.close()
  }
  assert.deepEqual(issuer.introspected, [])
})

test('reject: in a gap nobody is let in, accept: everybody whose token is good by itself', async (t) => {
  const issuer = await startIssuer(t)
  const rejecting = openVerifier(t, issuer, withKey('reject'))
  const accepting = openVerifier(t, issuer, withKey('accept'))
  assert.equal(await refusalOf(rejecting, issuer.token()), 'unavailable')
  await accepting.verify(issuer.token())
  assert.equal(await refusalOf(accepting, issuer.token({ exp: 1 })), 'token_expired')
  assert.deepEqual(issuer.introspected, [])
})

test('a burst of one token asks once, and again after a second', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openVerifier(t, issuer)
  const token = issuer.token()
  await Promise.all(Array.from({ length: 100 }, () => verifier.verify(token)))
  await verifier.verify(token)
  assert.equal(issuer.introspected.length, 1)
  time.advance(1_000)
  issuer.onIntrospect = (_token, response) => sendJson(response, { active: false })
  assert.equal(await refusalOf(verifier, token), 'token_revoked')
  assert.equal(issuer.introspected.length, 2)
})

test('an answer that takes longer than a second is not shared with those who come later', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const waiting: ServerResponse[] = []
  issuer.onIntrospect = (_token, response) => void waiting.push(response)
  const verifier = openVerifier(t, issuer)
  const token = issuer.token()
  const first = verifier.verify(token)
  await until('it is asked', () => waiting.length === 1)
  time.advance(1_000)
  const second = refusalOf(verifier, token)
  await until('it is asked again', () => waiting.length === 2)
  const [one, other] = waiting as [ServerResponse, ServerResponse]
  sendJson(other, { active: false })
  sendJson(one, { active: true })
  await first
  assert.equal(await second, 'token_revoked')
})

test('no more than 32 questions are open at once, and none for longer than 2 seconds', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const { onIntrospect } = issuer
  issuer.onIntrospect = () => {}
  const verifier = openVerifier(t, issuer)
  const tokens = Array.from({ length: 40 }, (_, n) => issuer.token({ jti: `${n}` }))
  const refusals = Promise.all(tokens.map((token) => refusalOf(verifier, token)))
  await until('32 are asked', () => issuer.introspected.length === 32)
  await issuer.settle()
  time.advance(1_000)
  assert.equal(verifier.errors.length, 0)
  time.advance(1_001)
  assert.deepEqual(new Set(await refusals), new Set(['unavailable']))
  assert.equal(issuer.introspected.length, 32)
  assert.match(String(verifier.errors[0]), /POST http:\S+\/auth\/introspect: no answer within 2 seconds/)
  issuer.onIntrospect = onIntrospect
  await Promise.all(tokens.map((token) => verifier.verify(token)))
})

test('those who wait are answered as places become free', async (t) => {
  const issuer = await startIssuer(t)
  const waiting: ServerResponse[] = []
  issuer.onIntrospect = (_token, response) => void waiting.push(response)
  const verifier = openVerifier(t, issuer)
  const tokens = Array.from({ length: 100 }, (_, n) => issuer.token({ jti: `${n}` }))
  const all = Promise.all(tokens.map((token) => verifier.verify(token)))
  let answered = 0
  while (answered < tokens.length) {
    await until('somebody waits', () => waiting.length > 0)
    assert.ok(waiting.length <= 32)
    const response = waiting.shift()
    if (response) sendJson(response, { active: true })
    answered += 1
  }
  await all
})

test('when very many wait already, others are told at once that it cannot be told', async (t) => {
  const issuer = await startIssuer(t)
  issuer.onIntrospect = () => {}
  const verifier = openVerifier(t, issuer)
  let unavailable = 0
  for (let n = 0; n < 1_100; n += 1) {
    void refusalOf(verifier, issuer.token({ jti: `${n}` })).then(() => {
      unavailable += 1
    })
  }
  await until('some are refused', () => unavailable > 0)
  assert.match(String(verifier.errors[0]), /too many wait/)
})

const NO_ANSWERS: Record<string, (response: ServerResponse) => void> = {
  'an error': (response) => sendProblem(response, 503, 'database_unavailable'),
  'a refusal of the key': (response) => sendProblem(response, 403, 'insufficient_scope'),
  'too many requests': (response) => sendProblem(response, 429, 'too_many_requests'),
  HTML: (response) => void response.end('<html>'),
  'JSON of another kind': (response) => sendJson(response, { active: 'true' }),
  null: (response) => sendJson(response, null),
  'a redirect': (response) => void response.writeHead(302, { location: '/' }).end(),
  '304': (response) => void response.writeHead(304).end(),
  nothing: (response) => void response.destroy(),
  'more than 1 MiB': (response) => sendJson(response, { active: true, pad: 'x'.repeat(2 ** 20) }),
}

for (const [name, answer] of Object.entries(NO_ANSWERS)) {
  test(`${name} as the answer is none: the token is refused as unavailable`, async (t) => {
    const issuer = await startIssuer(t)
    issuer.onIntrospect = (_token, response) => answer(response)
    const verifier = openVerifier(t, issuer)
    assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
    assert.match(String(verifier.errors[0]), /POST http:\S+\/api\/v1\/auth\/introspect: /)
  })
}

test('once the feed has caught up the server is not asked any more', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openVerifier(t, issuer)
  await verifier.verify(issuer.token())
  ;(await issuer.connection(0)).heartbeat('1.a')
  await verifier.ready()
  await verifier.verify(issuer.token({ jti: 'new' }))
  assert.equal(issuer.introspected.length, 1)
})

test('a session whose end is told while the server is asked has ended', async (t) => {
  const issuer = await startIssuer(t)
  const waiting: ServerResponse[] = []
  issuer.onIntrospect = (_token, response) => void waiting.push(response)
  const verifier = openVerifier(t, issuer)
  const refusal = refusalOf(verifier, issuer.token({ sid: 'ended' }))
  await until('it is asked', () => waiting.length === 1)
  ;(await issuer.connection(0)).endSession('ended', '1.a')
  await until('it is known', () => verifier.counts().endedSessions === 1)
  for (const response of waiting) sendJson(response, { active: true })
  assert.equal(await refusal, 'token_revoked')
})

test('after the server went away, sessions are believed for 20 seconds, then nobody without a word of it', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const { verifier } = await openCaughtUp(t, issuer)
  const token = issuer.token()
  await verifier.verify(token)
  await issuer.stop()
  time.advance(15_000)
  await verifier.verify(token)
  time.advance(6_000)
  assert.equal(await refusalOf(verifier, token), 'unavailable')
  await issuer.restart()
  time.advance(1_000)
  await until('the server answers', () => isAccepted(verifier, token))
})
