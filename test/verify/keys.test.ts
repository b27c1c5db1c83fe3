import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { until } from '../support/until.ts'
import { type Issuer, sendJson, sendProblem, startIssuer } from './support/issuer.ts'
import { movableTime } from './support/movable-time.ts'
import { generateSigningKey, publicJwk, signToken, someClaims } from './support/tokens.ts'
import { isAccepted, openWithoutFeed, refusalOf } from './support/verifiers.ts'

const otherKey = await generateSigningKey('ES256')
const otherToken = ({ url }: Issuer, jti = 'x') => signToken(otherKey, someClaims(url, { jti }))

test('the keys are fetched once, when they are first needed, however many tokens come at once', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  assert.equal(issuer.keyRequests.length, 0)
  await Promise.all(Array.from({ length: 50 }, (_, n) => verifier.verify(issuer.token({ jti: `${n}` }))))
  assert.equal(issuer.keyRequests.length, 1)
  assert.deepEqual(verifier.counts(), { endedSessions: 0, revokedKeys: 0, keys: 1, tokens: 50 })
})

test('a new key is found when a token of it comes, by one fetch for all that come at once', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  await verifier.verify(issuer.token())
  issuer.jwks.keys.push(publicJwk(otherKey))
  await Promise.all(Array.from({ length: 20 }, (_, n) => verifier.verify(otherToken(issuer, `${n}`))))
  assert.equal(issuer.keyRequests.length, 2)
})

test('for unknown keys the server is asked once in 30 seconds at most', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  await verifier.verify(issuer.token())
  for (let n = 0; n < 20; n += 1) assert.equal(await refusalOf(verifier, otherToken(issuer)), 'token_invalid')
  assert.equal(issuer.keyRequests.length, 2)
  issuer.jwks.keys.push(publicJwk(otherKey))
  time.advance(29_000)
  assert.equal(await refusalOf(verifier, otherToken(issuer)), 'token_invalid')
  time.advance(1_000)
  await verifier.verify(otherToken(issuer))
  assert.equal(issuer.keyRequests.length, 3)
})

test('keys older than their max-age are asked for again, with their ETag, and only then', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const answered: number[] = []
  issuer.onKeys = ({ headers }, response) => {
    const isKnown = headers['if-none-match'] === '"one"'
    answered.push(isKnown ? 304 : 200)
    // From a cache on the way, which had it for a while.
    const cached = { etag: '"one"', 'cache-control': 'public, max-age=300', age: '100' }
    if (isKnown) response.writeHead(304, cached).end()
    else sendJson(response, issuer.jwks, { etag: '"one"' })
  }
  const verifier = openWithoutFeed(t, issuer)
  const token = issuer.token()
  await verifier.verify(token)
  time.advance(299_000)
  await verifier.verify(token)
  await issuer.settle()
  assert.deepEqual(answered, [200])
  time.advance(2_000)
  await Promise.all([verifier.verify(token), verifier.verify(issuer.token({ jti: 'new' }))])
  assert.deepEqual(answered, [200, 304])
  time.advance(198_000)
  await verifier.verify(token)
  await issuer.settle()
  assert.deepEqual(answered, [200, 304])
  time.advance(3_000)
  await verifier.verify(token)
  assert.deepEqual(answered, [200, 304, 304])
  assert.deepEqual(verifier.errors, [])
})

for (const how of ['advance', 'sleep'] as const) {
  const when = how === 'advance' ? 'once the known ones are old' : 'after the machine slept'
  test(`a key that is no longer published verifies nothing ${when}: no first token, nor one seen before`, async (t) => {
    const time = movableTime(t)
    const issuer = await startIssuer(t)
    issuer.jwks.keys.push(publicJwk(otherKey))
    const verifier = openWithoutFeed(t, issuer)
    await verifier.verify(issuer.token())
    await verifier.verify(otherToken(issuer))
    issuer.jwks.keys.pop()
    time[how](301_000)
    const tokens = [...Array.from({ length: 20 }, (_, n) => otherToken(issuer, `${n}`)), otherToken(issuer)]
    const refusals = await Promise.all(tokens.map((token) => refusalOf(verifier, token)))
    assert.deepEqual(new Set(refusals), new Set(['token_invalid']))
    await verifier.verify(issuer.token())
  })
}

test('a key that is published anew, in other words or after it was gone, goes on with the tokens seen before', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  const token = issuer.token()
  await verifier.verify(token)
  const jwk = publicJwk(issuer.key)
  const others = [
    [Object.fromEntries(Object.entries(jwk).reverse())],
    [{ ...jwk, key_ops: ['verify'] }],
    [publicJwk(otherKey)],
    [jwk],
  ]
  for (const keys of others) {
    issuer.jwks.keys = keys
    time.advance(301_000)
    assert.equal(await isAccepted(verifier, token), keys !== others[2])
  }
  assert.equal(verifier.counts().tokens, 1)
})

test('another key of the same name takes its place', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  const token = issuer.token()
  await verifier.verify(token)
  issuer.jwks.keys = [{ ...publicJwk(otherKey), kid: issuer.key.kid }]
  time.advance(301_000)
  assert.equal(await refusalOf(verifier, token), 'token_invalid')
  await verifier.verify(signToken({ ...otherKey, kid: issuer.key.kid }, someClaims(issuer.url)))
})

test('while the server is away the known keys go on, and new ones are unavailable', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  await verifier.verify(issuer.token())
  await issuer.stop()
  time.advance(301_000)
  await verifier.verify(issuer.token())
  assert.match(
    String(verifier.errors[0]),
    /GET http:\S+\/\.well-known\/jwks\.json: (ECONNREFUSED|UND_ERR_SOCKET|ECONNRESET)$/,
  )
  await verifier.verify(issuer.token({ jti: 'new' }))
  assert.equal(await refusalOf(verifier, otherToken(issuer)), 'unavailable')
  await issuer.restart()
  issuer.jwks.keys.push(publicJwk(otherKey))
  time.advance(31_000)
  await verifier.verify(otherToken(issuer))
})

test('without any keys yet, a token is unavailable, not invalid; a second later they are tried again', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  await issuer.stop()
  const verifier = openWithoutFeed(t, issuer)
  assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
  await issuer.restart()
  assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
  time.advance(1_000)
  await verifier.verify(issuer.token())
})

const BAD_REPLIES: Record<string, Issuer['onKeys']> = {
  'no JSON': (_request, response) => void response.end('<html>'),
  'no JWK set': (_request, response) => sendJson(response, { keys: {} }),
  null: (_request, response) => sendJson(response, null),
  'an error': (_request, response) => sendProblem(response, 503, 'server_busy'),
  'a 304 that was not asked for': (_request, response) => void response.writeHead(304).end(),
  'a redirect': (_request, response) => void response.writeHead(302, { location: '/elsewhere' }).end(),
  'a reply that breaks off': (_request, response) => {
    response.writeHead(200, { 'content-length': 1000 })
    response.write('{"keys":', () => response.destroy())
  },
  'more than 1 MiB': (_request, response) => sendJson(response, { keys: [], pad: 'x'.repeat(2 ** 20) }),
}

for (const [name, onKeys] of Object.entries(BAD_REPLIES)) {
  test(`${name} instead of keys changes nothing, and is told`, async (t) => {
    const time = movableTime(t)
    const issuer = await startIssuer(t)
    const { onKeys: usual } = issuer
    const verifier = openWithoutFeed(t, issuer)
    issuer.onKeys = onKeys
    assert.equal(await refusalOf(verifier, issuer.token()), 'unavailable')
    issuer.onKeys = usual
    time.advance(1_000)
    await verifier.verify(issuer.token())
    issuer.onKeys = onKeys
    time.advance(301_000)
    await verifier.verify(issuer.token())
    assert.equal(verifier.errors.length, 2)
    await verifier.verify(issuer.token())
    for (const error of verifier.errors)
      assert.match(error.message, /^GET http:\S+\/\.well-known\/jwks\.json: .+/)
  })
}

test('keys that do not come within 5 seconds are waited for no longer, however slowly they go on', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  issuer.onKeys = (_request, response) => void response.write('{"keys":[')
  const verifier = openWithoutFeed(t, issuer)
  const refusal = refusalOf(verifier, issuer.token())
  await until('the keys are asked for', () => issuer.keyRequests.length === 1)
  time.advance(4_000)
  assert.deepEqual(verifier.errors, [])
  time.advance(1_000)
  assert.equal(await refusal, 'unavailable')
  assert.match(String(verifier.errors[0]), /no answer within 5 seconds/)
})

test('a server that hangs holds tokens of known keys up for 5 seconds, once; others wait only after a minute without a try', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  const tokens = Array.from({ length: 20 }, (_, n) => issuer.token({ jti: `${n}` }))
  const verifyAll = () => Promise.all(tokens.map((token) => verifier.verify(token)))
  await verifyAll()
  issuer.onKeys = () => {}
  const isTried = (count: number) =>
    until(`the keys are asked for, ${count} times`, () => issuer.keyRequests.length === count)

  time.advance(301_000)
  const first = verifyAll()
  await isTried(2)
  time.advance(5_000)
  await first
  for (const count of [3, 4, 5]) {
    time.advance(9_000)
    await verifyAll()
    await issuer.settle()
    assert.equal(issuer.keyRequests.length, count - 1)
    time.advance(2_000)
    await verifyAll()
    await isTried(count)
    time.advance(5_000)
    await until('it is given up', () => verifier.errors.length === count - 1)
  }

  issuer.onKeys = (_request, response) => sendJson(response, { keys: [publicJwk(otherKey)] })
  time.advance(61_000)
  assert.equal(await refusalOf(verifier, String(tokens[0])), 'token_invalid')
})

/** Passes requests on, or lets them hang until the test answers. */
function hangingNetwork() {
  const hanging: ((response: Response) => void)[] = []
  const network = {
    hanging,
    isHanging: false,
    fetch: async (url: string | URL | Request) => {
      if (!network.isHanging) return fetch(url)
      const { promise, resolve } = Promise.withResolvers<Response>()
      hanging.push(resolve)
      return promise
    },
  }
  return network
}

test('a request for the keys that the runtime drops is made again by whoever waits for it, and by who comes later', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const network = hangingNetwork()
  const { hanging } = network
  const verifier = openWithoutFeed(t, issuer, { fetch: network.fetch })
  network.isHanging = true
  const drop = async (token: string) => {
    const asked = hanging.length
    void verifier.verify(token).catch(() => {})
    await until('the keys are asked for', () => hanging.length > asked)
    time.dropTimers()
  }
  await drop(issuer.token())
  network.isHanging = false
  const waiting = verifier.verify(issuer.token())
  time.advance(6_001)
  await waiting

  const before = issuer.jwks
  network.isHanging = true
  time.advance(301_000)
  await drop(issuer.token())
  issuer.jwks = { keys: [publicJwk(otherKey)] }
  network.isHanging = false
  time.advance(6_001)
  assert.equal(await refusalOf(verifier, issuer.token()), 'token_invalid')
  hanging.at(-1)?.(Response.json(before))
  await issuer.settle()
  assert.equal(await refusalOf(verifier, issuer.token()), 'token_invalid')
  await verifier.verify(otherToken(issuer))
})

test('keys that were asked for before the machine slept count for nobody', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const network = hangingNetwork()
  const { hanging } = network
  const verifier = openWithoutFeed(t, issuer, { fetch: network.fetch })
  await verifier.verify(issuer.token())
  network.isHanging = true
  time.advance(301_000)
  const refusals = [refusalOf(verifier, issuer.token())]
  time.sleep(60_000)
  refusals.push(refusalOf(verifier, issuer.token()))
  await until('the keys are asked for twice', () => hanging.length === 2)
  network.isHanging = false
  hanging[0]?.(Response.json(issuer.jwks))
  await issuer.settle()
  issuer.jwks = { keys: [publicJwk(otherKey)] }
  hanging[1]?.(Response.json(issuer.jwks))
  assert.deepEqual(await Promise.all(refusals), ['token_invalid', 'token_invalid'])
})

test('only keys for signatures, of a known algorithm and fit for it, are taken', async (t) => {
  const issuer = await startIssuer(t)
  const good = publicJwk(issuer.key)
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
  const { x, ...withoutX } = good
  issuer.jwks.keys = [
    ...[null, 1, 'key', [], {}],
    { ...good, kid: 'enc', use: 'enc' },
    { ...good, kid: 'no use', use: undefined },
    { ...good, kid: '' },
    { ...good, kid: 5 },
    { ...good, kid: 'hmac', alg: 'HS256', kty: 'oct', k: 'AAAA' },
    { ...good, kid: 'none', alg: 'none' },
    { ...good, kid: 'proto', alg: '__proto__' },
    { ...good, kid: 'wrong alg', alg: 'RS256' },
    { ...withoutX, kid: 'no x' },
    { ...good, kid: 'no point', x: 'A'.repeat(43) },
    { ...rsa, kid: 'short', alg: 'RS256', use: 'sig' },
    { ...p384, kid: 'curve', alg: 'ES256', use: 'sig' },
    good,
  ]
  const verifier = openWithoutFeed(t, issuer)
  await verifier.verify(issuer.token())
  assert.equal(verifier.counts().keys, 1)
  const told = verifier.errors.map(({ message }) => /published key (.*) is not used/.exec(message)?.[1])
  assert.deepEqual(told, ['wrong alg', 'no x', 'no point', 'short', 'curve'])
})

test('an empty set is a set: what is no longer published is gone', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  await verifier.verify(issuer.token())
  issuer.jwks.keys = []
  time.advance(301_000)
  assert.equal(await refusalOf(verifier, issuer.token()), 'token_invalid')
  assert.equal(verifier.counts().keys, 0)
  assert.match(
    String(verifier.errors[0]),
    /jwks\.json: no key for access tokens; those of ALGORITHM=HS256 have none/,
  )
})

for (const algorithm of ['RS256', 'PS256'] as const) {
  test(`${algorithm}: a signature without its leading zero is refused`, async (t) => {
    const issuer = await startIssuer(t)
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const jwk = publicKey.export({ format: 'jwk' })
    issuer.jwks.keys = [{ ...jwk, kid: 'rsa', alg: algorithm, use: 'sig' }]
    const header = Buffer.from(JSON.stringify({ alg: algorithm, typ: 'at+jwt', kid: 'rsa' })).toString(
      'base64url',
    )
    const padding = algorithm === 'RS256' ? { padding: 1 } : { padding: 6, saltLength: 32 }
    const verifier = openWithoutFeed(t, issuer)
    let input = ''
    let signature = Buffer.of(1)
    for (let jti = 0; signature[0] !== 0; jti += 1) {
      const payload = Buffer.from(JSON.stringify(someClaims(issuer.url, { jti: `${jti}` }))).toString(
        'base64url',
      )
      input = `${header}.${payload}`
      signature = sign('sha256', Buffer.from(input), { key: privateKey, ...padding })
    }
    assert.equal(
      await refusalOf(verifier, `${input}.${signature.subarray(1).toString('base64url')}`),
      'token_invalid',
    )
    await verifier.verify(`${input}.${signature.toString('base64url')}`)
  })
}
