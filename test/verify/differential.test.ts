import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createVerifier, TokenError } from '../../packages/verify/src/index.ts'
import {
  AUDIENCE,
  createIssuer,
  createVictims,
  ISSUER,
  NOW,
  NOW_SECONDS,
  readBack,
  type Victim,
} from '../core/security/token-kit.ts'

const issuer = await createIssuer('ES256')
const [victim] = createVictims(issuer) as [Victim]
const verifier = createVerifier({
  issuer: ISSUER,
  audience: AUDIENCE,
  revocations: false,
  fetch: async () => Response.json(issuer.keyring.jwks),
  now: () => NOW,
})

const text = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary', maxLength: 5 }))
const weird = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom(-1, 1.5, 2 ** 53, '', '1767323046', null),
)
const mostly = <T>(usual: fc.Arbitrary<T>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: weird })
const nearNow = fc.integer({ min: NOW_SECONDS - 2, max: NOW_SECONDS + 4 })

const changedClaims = fc.record(
  {
    exp: mostly(nearNow),
    nbf: mostly(nearNow),
    iat: mostly(nearNow),
    sub: mostly(text),
    sid: mostly(text),
    amr: mostly(fc.array(text)),
    scope: mostly(text),
    aud: mostly(fc.constantFrom(AUDIENCE, [AUDIENCE])),
    extra: fc.jsonValue(),
  },
  { requiredKeys: [] },
)
const edit = fc.record({
  at: fc.nat(),
  remove: fc.nat({ max: 2 }),
  insert: fc.oneof(fc.constantFrom('', ' ', '\n', '=', '.', '"', '{', '}', 'A', '0', 'e', '\\u0061'), text),
})

const edited = (whole: string, { at, remove, insert }: { at: number; remove: number; insert: string }) => {
  const from = at % (whole.length + 1)
  return whole.slice(0, from) + insert + whole.slice(from + remove)
}

async function assertAgreed(token: string): Promise<void> {
  const ours = await verifier.verify(token).catch((error: unknown) => {
    assert.ok(error instanceof TokenError)
    return undefined
  })
  assert.deepEqual(ours, readBack(victim, token))
}

test('signed claims of any kind are accepted exactly when the server accepts them, and read alike', async () => {
  const property = fc.asyncProperty(changedClaims, (changes) =>
    assertAgreed(victim.resign({ payload: { ...victim.claims, ...changes } })),
  )
  await fc.assert(property, { numRuns: 1000 })
})

test('signed JSON that was edited anywhere is accepted exactly when the server accepts it', async () => {
  const json = JSON.stringify(victim.claims)
  const property = fc.asyncProperty(edit, (change) =>
    assertAgreed(victim.resign({ payload: edited(json, change) })),
  )
  await fc.assert(property, { numRuns: 1000 })
})

test('a token that was edited anywhere is accepted exactly when the server accepts it', async () => {
  const property = fc.asyncProperty(edit, (change) => assertAgreed(edited(victim.token, change)))
  await fc.assert(property, { numRuns: 1000 })
})
