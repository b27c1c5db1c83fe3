import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import type { Keyring, TokenKey } from '../../../src/core/security/keyring.ts'
import { createKeyring } from '../../../src/core/security/keyring.ts'
import { createTokens } from '../../../src/core/security/tokens.ts'
import {
  AUDIENCE,
  accessClaims,
  CACHE_BYTES,
  createIssuer,
  createVictims,
  decode,
  deviceClaims,
  EVERY_ALGORITHM,
  ISSUER,
  NOW,
  NOW_SECONDS,
  readBack,
  refreshClaims,
  SECRET_KEY,
  split,
  type Victim,
} from './token-kit.ts'

const SECOND = 1000

const issuers = await Promise.all(EVERY_ALGORITHM.map(createIssuer))
const es256 = await createIssuer('ES256')

beforeEach(() => {
  for (const issuer of [...issuers, es256]) issuer.clock.time = NOW
})

function onlyAccess(victims: Victim[]): Victim {
  const access = victims.find(({ kind }) => kind === 'access')
  assert.ok(access)
  return access
}

/** The same keyring, and how often its keys have checked a signature. */
function counted(keyring: Keyring): { keyring: Keyring; checks(): number } {
  let checks = 0
  const countKey = (key: TokenKey): TokenKey => ({
    ...key,
    verify(input, signature) {
      checks += 1
      return key.verify(input, signature)
    },
  })
  const count = ({ current, byHeader }: Keyring['access']) => ({
    current,
    byHeader: new Map([...byHeader].map(([header, key]) => [header, countKey(key)])),
  })
  return {
    keyring: { ...keyring, access: count(keyring.access), refresh: count(keyring.refresh) },
    checks: () => checks,
  }
}

function countedTokens(keyring: Keyring) {
  const clock = { time: NOW, now: () => clock.time }
  const { keyring: countedKeyring, checks } = counted(keyring)
  return {
    tokens: createTokens({
      keyring: () => countedKeyring,
      clock,
      issuer: ISSUER,
      audience: AUDIENCE,
      cacheBytes: CACHE_BYTES,
    }),
    clock,
    checks,
  }
}

for (const { algorithm, tokens } of issuers) {
  test(`${algorithm}: what was signed verifies to the same claims`, () => {
    assert.deepEqual(tokens.verifyAccess(tokens.signAccess(accessClaims())), accessClaims())
    assert.deepEqual(tokens.verifyRefresh(tokens.signRefresh(refreshClaims())), refreshClaims())
    assert.deepEqual(tokens.verifyDevice(tokens.signDevice(deviceClaims())), deviceClaims())
  })
}

test('any text in a claim comes back as it was signed', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 30 }),
    fc.constantFrom('\ud800', '\0'),
  )
  fc.assert(
    fc.property(text, text, fc.array(text, { maxLength: 3 }), text, (sub, sid, amr, scope) => {
      const claims = accessClaims({ sub, sid, amr, scope })
      assert.deepEqual(es256.tokens.verifyAccess(es256.tokens.signAccess(claims)), claims)
    }),
  )
})

test('the same refresh claims give the same token byte for byte, in whatever order they are given', () => {
  const { type, exp, iat, gen, sid, sub } = refreshClaims()
  const token = es256.tokens.signRefresh(refreshClaims())
  assert.equal(es256.tokens.signRefresh({ type, exp, iat, gen, sid, sub }), token)
  const sameKeys = createKeyring({
    algorithm: 'ES256',
    secretKey: SECRET_KEY,
    signingKeys: es256.signingKeys,
  })
  const again = createTokens({
    keyring: () => sameKeys,
    clock: { now: () => NOW + 5 * SECOND },
    issuer: 'https://moved.example.org',
    audience: AUDIENCE,
    cacheBytes: CACHE_BYTES,
  })
  assert.equal(again.signRefresh(refreshClaims()), token)
  assert.deepEqual(again.verifyRefresh(token), refreshClaims())
})

test('where no key can sign, tokens can be asked before anything is written, and refuse for now', () => {
  const verifying = createKeyring({
    algorithm: undefined,
    secretKey: SECRET_KEY,
    signingKeys: es256.signingKeys,
  })
  const keyrings = [es256.keyring, verifying]
  const [signing, refusing] = keyrings.map((keyring) => countedTokens(keyring).tokens)
  assert.equal(signing?.requireSigner(), undefined)
  assert.throws(() => refusing?.requireSigner(), {
    code: 'server_busy',
    context: { reason: 'no key can sign' },
  })
  const token = es256.tokens.signAccess(accessClaims())
  assert.deepEqual(refusing?.verifyAccess(token), accessClaims())
})

test('the payload says exactly the claims, in a fixed order', () => {
  const withMore = { ...accessClaims(), email: 'someone@example.org' }
  assert.equal(decode(split(es256.tokens.signAccess(withMore)).payload), JSON.stringify(accessClaims()))
  const refreshWithMore = { ...refreshClaims(), iss: ISSUER }
  assert.equal(
    decode(split(es256.tokens.signRefresh(refreshWithMore)).payload),
    JSON.stringify(refreshClaims()),
  )
})

test('claims that a newer release adds are no obstacle, and are not handed on', () => {
  for (const victim of createVictims(es256)) {
    const token = victim.resign({ payload: { ...victim.claims, roles: ['admin'], nbf: NOW_SECONDS } })
    assert.deepEqual(readBack(victim, token), victim.claims)
  }
})

test('[V9.2.1] [RFC9068-4b] a token holds until the second of its exp, without leeway', () => {
  const { tokens, clock } = es256
  const access = tokens.signAccess(accessClaims({ exp: NOW_SECONDS + 60 }))
  const refresh = tokens.signRefresh(refreshClaims({ exp: NOW_SECONDS + 60 }))
  const device = tokens.signDevice(deviceClaims({ exp: NOW_SECONDS + 60 }))
  clock.time = (NOW_SECONDS + 60) * SECOND - 1
  assert.ok(tokens.verifyAccess(access))
  assert.ok(tokens.verifyRefresh(refresh))
  assert.ok(tokens.verifyDevice(device))
  clock.time += 1
  assert.equal(tokens.verifyAccess(access), undefined)
  assert.equal(tokens.verifyRefresh(refresh), undefined)
  assert.equal(tokens.verifyDevice(device), undefined)
})

test('[V9.2.1] a token holds from the second of its nbf, also when it was looked at before', () => {
  for (const victim of createVictims(es256)) {
    const { clock } = victim.issuer
    const token = victim.resign({ payload: { ...victim.claims, nbf: NOW_SECONDS + 60 } })
    const verify = () => readBack(victim, token)
    clock.time = (NOW_SECONDS + 60) * SECOND - 1
    assert.equal(verify(), undefined)
    clock.time += 1
    assert.deepEqual(verify(), victim.claims)
    clock.time -= 1
    assert.equal(verify(), undefined)
  }
})

test('[ATK-time] an iat in the future is accepted: another node of ours may have begun a second earlier', () => {
  const { tokens } = es256
  assert.ok(tokens.verifyAccess(tokens.signAccess(accessClaims({ iat: NOW_SECONDS + 1 }))))
  assert.ok(tokens.verifyRefresh(tokens.signRefresh(refreshClaims({ iat: NOW_SECONDS + 1 }))))
})

test('[RFC8725-3.12] no header is known to two verifiers', () => {
  for (const { keyring } of issuers) {
    const sets = [keyring.access, keyring.refresh, keyring.device]
    const headers = sets.flatMap(({ byHeader }) => [...byHeader.keys()])
    assert.equal(new Set(headers).size, headers.length)
  }
})

test('[V9.2.3] tokens for another audience are signed, and refused here', () => {
  const other = es256.tokens.signAccess(accessClaims({ aud: 'https://other.example.org' }))
  assert.equal(es256.tokens.verifyAccess(other), undefined)
})

test('tokens signed before the secret or the key changed go on, by the key their header names', () => {
  const before = { algorithm: 'HS256', secretKey: SECRET_KEY, signingKeys: [] } as const
  const after = { ...before, secretKey: 'n'.repeat(32), secretKeyPrevious: SECRET_KEY }
  const clock = { now: () => NOW }
  const inputs = [before, after, { ...before, secretKey: after.secretKey }]
  const [old, swapped, done] = inputs.map(createKeyring).map((keyring) =>
    createTokens({
      keyring: () => keyring,
      clock,
      issuer: ISSUER,
      audience: AUDIENCE,
      cacheBytes: CACHE_BYTES,
    }),
  )
  assert.ok(old && swapped && done)
  const access = old.signAccess(accessClaims())
  const refresh = old.signRefresh(refreshClaims())
  assert.deepEqual(swapped.verifyAccess(access), accessClaims())
  assert.deepEqual(swapped.verifyRefresh(refresh), refreshClaims())
  assert.equal(done.verifyAccess(access), undefined)
  assert.equal(done.verifyRefresh(refresh), undefined)
  assert.deepEqual(done.verifyAccess(swapped.signAccess(accessClaims())), accessClaims())
})

test('the signature of an access token is checked once', () => {
  const { tokens, checks } = countedTokens(es256.keyring)
  const token = tokens.signAccess(accessClaims())
  const first = tokens.verifyAccess(token)
  assert.deepEqual(first, accessClaims())
  for (let use = 0; use < 10; use += 1) assert.equal(tokens.verifyAccess(token), first)
  assert.equal(checks(), 1)
})

test('the signature of a refresh token is checked every time', () => {
  const { tokens, checks } = countedTokens(es256.keyring)
  const token = tokens.signRefresh(refreshClaims())
  for (let use = 0; use < 3; use += 1) assert.ok(tokens.verifyRefresh(token))
  assert.equal(checks(), 3)
})

test('[V9.2.1] a remembered access token expires like any other', () => {
  const { tokens, clock, checks } = countedTokens(es256.keyring)
  const token = tokens.signAccess(accessClaims({ exp: NOW_SECONDS + 2 }))
  assert.ok(tokens.verifyAccess(token))
  clock.time = (NOW_SECONDS + 2) * SECOND
  assert.equal(tokens.verifyAccess(token), undefined)
  clock.time -= 1
  assert.ok(tokens.verifyAccess(token))
  assert.equal(checks(), 1)
})

test('a remembered access token is looked at anew by the keys as they are now, and forgotten when its own is gone', () => {
  const former = createKeyring({ algorithm: 'HS256', secretKey: SECRET_KEY, signingKeys: [] })
  const other = createKeyring({ algorithm: 'HS256', secretKey: 'n'.repeat(32), signingKeys: [] })
  let keyring = former
  const tokens = createTokens({
    keyring: () => keyring,
    clock: { now: () => NOW },
    issuer: ISSUER,
    audience: AUDIENCE,
    cacheBytes: CACHE_BYTES,
  })
  const token = tokens.signAccess(accessClaims())
  assert.ok(tokens.verifyAccess(token))
  keyring = { ...former }
  assert.ok(tokens.verifyAccess(token), 'its key is still among them')
  assert.equal(tokens.cached().entries, 1)
  keyring = other
  assert.equal(tokens.verifyAccess(token), undefined)
  assert.equal(tokens.cached().entries, 0)
})

test('a refused token is never remembered, nor does it make its like accepted', () => {
  const { tokens, checks } = countedTokens(es256.keyring)
  const token = tokens.signAccess(accessClaims())
  const forged = token.replace(/..$/, (end) => (end === 'AA' ? 'gA' : 'AA'))
  const elsewhere = tokens.signAccess(accessClaims({ aud: 'https://other.example.org' }))
  for (const refused of [forged, elsewhere, forged, elsewhere])
    assert.equal(tokens.verifyAccess(refused), undefined)
  assert.equal(checks(), 4)
  assert.ok(tokens.verifyAccess(token))
  assert.equal(tokens.verifyAccess(forged), undefined)
})

test('what is remembered is bounded in bytes: the token used least recently goes first', () => {
  const { keyring } = onlyAccess(createVictims(issuers.at(-1) ?? es256)).issuer
  const { tokens, checks } = countedTokens(keyring)
  const signed = Array.from({ length: 1000 }, (_, index) =>
    tokens.signAccess(accessClaims({ jti: String(index).padStart(4, '0') })),
  )
  for (const token of signed) tokens.verifyAccess(token)
  assert.equal(checks(), 1000)
  const { entries, bytes } = tokens.cached()
  assert.ok(entries > 100 && entries < 1000, `${entries} entries`)
  assert.ok(bytes <= CACHE_BYTES && bytes > CACHE_BYTES * 0.99, `${bytes} bytes`)

  const [kept = '', next = ''] = signed.slice(-entries)
  for (const token of [kept, ...signed.slice(0, 1)]) tokens.verifyAccess(token)
  assert.equal(checks(), 1001)
  tokens.verifyAccess(kept)
  assert.equal(checks(), 1001)
  tokens.verifyAccess(next)
  assert.equal(checks(), 1002)
})

test('what is remembered takes no more memory than is counted, whatever the line was that a token came in', () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const { tokens } = countedTokens(es256.keyring)
  const lines = Array.from({ length: 500 }, (_, index) => {
    const token = tokens.signAccess(accessClaims({ jti: String(index) }))
    return Buffer.from(`Bearer ${' '.repeat(15_000)}${token}`)
  })
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (const line of lines) {
    const [, token = ''] = /^Bearer +(.*)$/.exec(line.toString('latin1')) ?? []
    assert.ok(tokens.verifyAccess(token))
  }
  collectGarbage()
  const grown = process.memoryUsage().heapUsed - before
  const { entries, bytes } = tokens.cached()
  assert.equal(entries, 500)
  assert.ok(grown < bytes, `${grown} bytes for ${bytes} counted`)
})

test('verified claims cannot be altered, so one request cannot change what the next one reads', () => {
  const { tokens } = es256
  const access = tokens.verifyAccess(tokens.signAccess(accessClaims()))
  const refresh = tokens.verifyRefresh(tokens.signRefresh(refreshClaims()))
  assert.ok(Object.isFrozen(access) && Object.isFrozen(access?.amr) && Object.isFrozen(refresh))
})

test('[RFC8725-3.10] no text makes a verification throw', () => {
  const victims = createVictims(es256)
  const parts = victims.flatMap(({ header, payload, signature }) => [header, payload, signature])
  const part = fc.oneof(
    fc.constantFrom(...parts),
    fc.string({ unit: 'binary' }),
    fc.base64String(),
    fc.json(),
  )
  const hostile = fc.array(part, { maxLength: 6 }).map((chosen) => chosen.join('.'))
  const known = new Set(victims.map(({ token }) => token))
  fc.assert(
    fc.property(hostile, (text) => {
      fc.pre(!known.has(text))
      assert.equal(es256.tokens.verifyAccess(text), undefined)
      assert.equal(es256.tokens.verifyRefresh(text), undefined)
    }),
    { numRuns: 1000 },
  )
})

test('a refresh token is read beyond its expiry by the leeway given, an access token never', async () => {
  const { keyring, clock } = await createIssuer('ES256')
  const tokens = createTokens({
    keyring: () => keyring,
    clock,
    issuer: ISSUER,
    audience: AUDIENCE,
    cacheBytes: CACHE_BYTES,
    refreshLeewayMs: 60_000,
  })
  const refresh = tokens.signRefresh(refreshClaims({ exp: NOW_SECONDS + 10 }))
  const access = tokens.signAccess(accessClaims({ exp: NOW_SECONDS + 10 }))
  clock.time = (NOW_SECONDS + 10) * 1000
  assert.equal(tokens.verifyAccess(access), undefined)
  assert.ok(tokens.verifyRefresh(refresh))
  clock.time += 59_999
  assert.ok(tokens.verifyRefresh(refresh))
  clock.time += 1
  assert.equal(tokens.verifyRefresh(refresh), undefined)
})
