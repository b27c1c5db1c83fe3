import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenError } from '../../packages/verify/src/index.ts'
import { startIssuer } from './support/issuer.ts'
import { generateSigningKey, publicJwk, signToken, someClaims } from './support/tokens.ts'
import { openWithoutFeed, refusalOf } from './support/verifiers.ts'

for (const algorithm of ['ES256', 'EdDSA', 'RS256', 'PS256'] as const) {
  test(`${algorithm}: what the server signs is accepted, with its claims frozen, again and again`, async (t) => {
    const issuer = await startIssuer(t)
    const key = await generateSigningKey(algorithm)
    issuer.jwks = { keys: [publicJwk(key)] }
    const verifier = openWithoutFeed(t, issuer)
    const claims = someClaims(issuer.url)
    const token = signToken(key, claims)
    for (let round = 0; round < 3; round += 1) {
      const read = await verifier.verify(token)
      assert.deepEqual(read, claims)
      assert.ok(Object.isFrozen(read) && Object.isFrozen(read.amr))
    }
    assert.equal(verifier.counts().tokens, 1)
    assert.deepEqual(verifier.errors, [])
  })
}

test('a token is refused from its exp on, also when it was accepted before', async (t) => {
  const issuer = await startIssuer(t)
  const clock = { time: Date.now() }
  const verifier = openWithoutFeed(t, issuer, { now: () => clock.time })
  const exp = Math.floor(clock.time / 1000) + 60
  const token = issuer.token({ exp })
  clock.time = exp * 1000 - 1
  await verifier.verify(token)
  clock.time = exp * 1000
  assert.equal(await refusalOf(verifier, token), 'token_expired')
  assert.equal(await refusalOf(verifier, issuer.token({ exp, jti: 'another' })), 'token_expired')
  clock.time = Number.NaN
  assert.equal(await refusalOf(verifier, token), 'token_expired')
})

test('a token is refused before its nbf, and accepted from then on', async (t) => {
  const issuer = await startIssuer(t)
  const clock = { time: Date.now() }
  const verifier = openWithoutFeed(t, issuer, { now: () => clock.time })
  const nbf = Math.floor(clock.time / 1000) + 60
  const token = issuer.token({ nbf })
  clock.time = nbf * 1000 - 1
  assert.equal(await refusalOf(verifier, token), 'token_invalid')
  clock.time = nbf * 1000
  const claims = await verifier.verify(token)
  assert.ok(!('nbf' in claims))
})

test('the audience is the issuer unless another is set', async (t) => {
  const issuer = await startIssuer(t)
  const api = 'https://api.example.com'
  const byDefault = openWithoutFeed(t, issuer)
  const other = openWithoutFeed(t, issuer, { audience: api })
  await byDefault.verify(issuer.token())
  await other.verify(issuer.token({ aud: api }))
  assert.equal(await refusalOf(byDefault, issuer.token({ aud: api })), 'token_invalid')
  assert.equal(await refusalOf(other, issuer.token()), 'token_invalid')
})

test('a token of 4096 characters is read, a longer one is not', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  const room = 4096 - issuer.token({ scope: '' }).length
  const longest = Array.from({ length: 8 }, (_, less) =>
    issuer.token({ scope: 'x'.repeat(Math.floor((room * 3) / 4) + 4 - less) }),
  )
  const fits = longest.find((token) => token.length === 4096)
  assert.ok(fits)
  await verifier.verify(fits)
  const tooLong = longest.find((token) => token.length > 4096)
  assert.ok(tooLong)
  assert.equal(await refusalOf(verifier, tooLong), 'token_invalid')
})

test('whatever is given for a token, nothing but a TokenError comes of it', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  const strange = [
    undefined,
    null,
    0,
    Number.NaN,
    true,
    {},
    [],
    [issuer.token()],
    () => 'x',
    Symbol('x'),
    10n,
  ]
  const texts = ['', '.', '..', 'a.b.c', '\0', '\ud800', 'ä.ö.ü', '.'.repeat(4096), 'a'.repeat(10 ** 6)]
  for (const value of [...strange, ...texts]) {
    assert.equal(await refusalOf(verifier, value), 'token_invalid')
  }
})

test('each code has its status, and says it in words', async (t) => {
  const issuer = await startIssuer(t)
  const verifier = openWithoutFeed(t, issuer)
  const error = await verifier.verify('x').catch((reason: unknown) => reason)
  assert.ok(error instanceof TokenError && error instanceof Error)
  assert.deepEqual([error.name, error.code, error.status], ['TokenError', 'token_invalid', 401])
  assert.match(error.message, /^The access token is not valid$/)
  assert.equal(new TokenError('token_missing').status, 401)
  assert.equal(new TokenError('token_expired').status, 401)
  assert.equal(new TokenError('token_revoked').status, 401)
  assert.equal(new TokenError('insufficient_scope').status, 403)
  assert.equal(new TokenError('unavailable').status, 503)
})
