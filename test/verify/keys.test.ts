import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { type Issuer, sendJson, sendProblem, startIssuer } from './support/issuer.ts'
import { movableTime } from './support/movable-time.ts'
import { generateSigningKey, publicJwk, signToken, someClaims } from './support/tokens.ts'
import { until } from './support/until.ts'
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

test('keys older than their max-age are asked for again in the background, with their ETag', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const answered: number[] = []
  issuer.onKeys = ({ headers }, response) => {
    const isKnown = headers['if-none-match'] === '"one"'
    answered.push(isKnown ? 304 : 200)
    if (isKnown) response.writeHead(304, { etag: '"one"', 'cache-control': 'public, max-age=300' }).end()
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
  await verifier.verify(token)
  await until('the keys were asked for again', () => answered.length === 2)
  await issuer.settle()
  time.advance(299_000)
  await verifier.verify(token)
  await issuer.settle()
  assert.deepEqual(answered, [200, 304])
  assert.deepEqual(verifier.errors, [])
})

test('a key that is no longer published verifies nothing, not even tokens that were seen before', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  issuer.jwks.keys.push(publicJwk(otherKey))
  const verifier = openWithoutFeed(t, issuer)
  await verifier.verify(issuer.token())
  await verifier.verify(otherToken(issuer))
  issuer.jwks.keys.pop()
  time.advance(301_000)
  await until('the key is gone', async () => !(await isAccepted(verifier, otherToken(issuer))))
  assert.equal(await refusalOf(verifier, otherToken(issuer)), 'token_invalid')
  await verifier.verify(issuer.token())
})

test('another key of the same name takes its place', async (t) => {
  const time = movableTime(t)
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  const token = issuer.token()
  await verifier.verify(token)
  issuer.jwks.keys = [{ ...publicJwk(otherKey), kid: issuer.key.kid }]
  time.advance(301_000)
  await until('the old key is gone', async () => !(await isAccepted(verifier, token)))
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
  await until('the failure is told', () => verifier.errors.length > 0)
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
    await until('the failure is told', () => verifier.errors.length === 2)
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
  await until('the key is gone', async () => !(await isAccepted(verifier, issuer.token())))
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
