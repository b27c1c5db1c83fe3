import assert from 'node:assert/strict'
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type JWTPayload, type JWTVerifyOptions, jwtVerify, SignJWT } from 'jose'
import { ALGORITHMS } from '../../../src/core/security/algorithms.ts'
import { deriveKey } from '../../../src/core/security/secrets.ts'
import {
  AUDIENCE,
  createIssuer,
  createVictims,
  EVERY_ALGORITHM,
  ISSUER,
  NOW,
  NOW_SECONDS,
  readBack,
  SECRET_KEY,
  type Victim,
} from './token-kit.ts'

const issuers = await Promise.all(EVERY_ALGORITHM.map(createIssuer))
const victims = issuers.flatMap(createVictims)

/** What jose needs to judge a token of the victim's kind. */
function joseKey({ kind, issuer }: Victim): KeyObject {
  const [jwk] = issuer.keyring.jwks.keys
  if (kind === 'access' && jwk) return createPublicKey({ key: jwk, format: 'jwk' })
  return createSecretKey(deriveKey(SECRET_KEY, `${kind}-hs256`))
}

function joseOptions({ kind, key }: Victim, now: number): JWTVerifyOptions {
  const options = {
    algorithms: [key.algorithm],
    currentDate: new Date(now),
    requiredClaims: ['exp', 'iat', 'sub'],
  }
  const typ = { access: 'at+jwt', refresh: 'rt+jwt', device: 'dt+jwt' }[kind]
  return kind === 'access' ? { ...options, typ, issuer: ISSUER, audience: AUDIENCE } : { ...options, typ }
}

/** What jose says of a token; it throws if it refuses. */
async function askJose(victim: Victim, token: string, now: number): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, joseKey(victim), joseOptions(victim, now))
  return payload
}

const weird = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(undefined, -1, 0, 1.5, 2 ** 53, Number.NaN, '', '1767323046', [], {}, null),
)
const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 5 }))
const nearNow = fc.integer({ min: NOW_SECONDS - 2, max: NOW_SECONDS + 4 })
const mostly = <T>(usual: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: weird })

const changedClaims = fc.record(
  {
    exp: mostly(fc.integer({ min: NOW_SECONDS - 1, max: NOW_SECONDS + 9 })),
    nbf: mostly(nearNow),
    iat: mostly(nearNow),
    gen: mostly(fc.nat()),
    auth_time: mostly(nearNow),
    sub: mostly(text),
    sid: mostly(text),
    amr: mostly(fc.array(text)),
    scope: mostly(text),
    iss: mostly(fc.constant(ISSUER)),
    aud: mostly(fc.constantFrom(AUDIENCE, AUDIENCE, AUDIENCE, [AUDIENCE])),
    extra: fc.jsonValue(),
  },
  { requiredKeys: [] },
)

const edit = fc.record({
  at: fc.nat(),
  remove: fc.nat({ max: 2 }),
  insert: fc.oneof(
    fc.constantFrom('', ' ', '\n', '=', '.', ',', '"', '{', '}', 'A', '0', 'e', '\\u0061'),
    text,
  ),
})
type Edit = { at: number; remove: number; insert: string }

function applyEdits(original: string, edits: Edit[]): string {
  return edits.reduce((edited, { at, remove, insert }) => {
    const start = at % (edited.length + 1)
    return edited.slice(0, start) + insert + edited.slice(start + remove)
  }, original)
}

const edits = fc.array(edit, { minLength: 1, maxLength: 3 })
const mutation = fc.oneof(
  { weight: 6, arbitrary: changedClaims.map((changes) => (victim: Victim) => resignClaims(victim, changes)) },
  { weight: 2, arbitrary: edits.map((list) => (victim: Victim) => resignPayload(victim, list)) },
  { weight: 1, arbitrary: edits.map((list) => (victim: Victim) => resignHeader(victim, list)) },
  { weight: 2, arbitrary: edits.map((list) => (victim: Victim) => applyEdits(victim.token, list)) },
  { weight: 1, arbitrary: fc.constant((victim: Victim) => victim.token) },
)

const resignClaims = (victim: Victim, changes: object): string =>
  victim.resign({ payload: { ...victim.claims, ...changes } })

const resignPayload = (victim: Victim, list: Edit[]): string =>
  victim.resign({ payload: applyEdits(JSON.stringify(victim.claims), list) })

const resignHeader = (victim: Victim, list: Edit[]): string =>
  victim.resign({ header: applyEdits(JSON.stringify(victim.headerJson), list) })

test('[V9.1.1] whatever we accept, jose accepts with the same claims (4000 mutated tokens)', async () => {
  let accepted = 0
  let refused = 0
  const secondsLater = fc.integer({ min: -2, max: 6 })
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...victims), mutation, secondsLater, async (victim, mutate, seconds) => {
      const now = NOW + seconds * 1000
      victim.issuer.clock.time = now
      const token = mutate(victim)
      const claims = readBack(victim, token)
      if (!claims) {
        refused += 1
        return
      }
      accepted += 1
      const payload = await askJose(victim, token, now)
      assert.deepEqual({ ...payload, ...claims }, payload)
    }),
    { numRuns: 4000 },
  )
  assert.ok(accepted > 300 && refused > 300, `accepted ${accepted}, refused ${refused}`)
})

for (const victim of victims) {
  test(`${victim.name} is accepted by jose with the same claims`, async () => {
    assert.deepEqual(await askJose(victim, victim.token, NOW), victim.claims)
  })
}

for (const issuer of issuers) {
  test(`${issuer.algorithm}: what jose signs with our key verifies by our table of algorithms`, async () => {
    const { algorithm, signingKeys } = issuer
    const key = signingKeys[0]?.privateJwk ?? deriveKey(SECRET_KEY, 'access-hs256')
    const jws = await new SignJWT({ sub: 'x' }).setProtectedHeader({ alg: algorithm }).sign(key)
    const input = jws.slice(0, jws.lastIndexOf('.'))
    const [access] = createVictims(issuer)
    assert.ok(access)
    const signature = Buffer.from(jws.slice(input.length + 1), 'base64url')
    assert.ok(ALGORITHMS[algorithm].verify(input, joseKey(access), signature))
  })
}
