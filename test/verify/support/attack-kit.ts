import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createVerifier, TokenError, type Verifier } from '../../../packages/verify/src/index.ts'
import {
  ASYMMETRIC,
  AUDIENCE,
  createIssuer,
  createVictims,
  ISSUER,
  NOW,
  type Victim,
} from '../../core/security/token-kit.ts'

// biome-ignore lint/performance/noBarrelFile: it takes the place of the other kit.
export * from '../../core/security/token-kit.ts'

type Forge = (victim: Victim) => Iterable<string> | Promise<Iterable<string>>
type Target = { victim: Victim; verifier: Verifier }

const REFUSALS = ['token_invalid', 'token_expired']
const AT_ONCE = 500

const issuers = await Promise.all(ASYMMETRIC.map(createIssuer))
const targets: Target[] = issuers.flatMap((issuer) =>
  createVictims(issuer)
    .filter(({ kind }) => kind === 'access')
    .map((victim) => ({
      victim,
      verifier: createVerifier({
        issuer: ISSUER,
        audience: AUDIENCE,
        revocations: false,
        fetch: async () => Response.json(issuer.keyring.jwks),
        now: () => NOW,
      }),
    })),
)

/** A test that the package refuses all that is forged from an access token of each algorithm, while it accepts the token itself. */
export function attack(title: string, forge: Forge): void {
  test(`verify: ${title.replaceAll(/\[[^\]]*\] /g, '')}`, async () => {
    for (const target of targets) {
      await assertAccepted(target)
      const forged = [...(await forge(target.victim))]
      for (let at = 0; at < forged.length; at += AT_ONCE) {
        await Promise.all(forged.slice(at, at + AT_ONCE).map((token) => assertRefused(target, token)))
      }
      await assertAccepted(target)
    }
  })
}

async function assertAccepted({ victim, verifier }: Target): Promise<void> {
  assert.deepEqual(await verifier.verify(victim.token), victim.claims)
  const resigned = victim.resign({ payload: { ...victim.claims } })
  assert.deepEqual(await verifier.verify(resigned), victim.claims)
}

async function assertRefused({ victim, verifier }: Target, forged: string): Promise<void> {
  const outcome = await verifier.verify(forged).catch((error: unknown) => error)
  const shown = `from ${victim.name}: ${forged.slice(0, 300)}`
  assert.ok(outcome instanceof TokenError, `accepted, or broke: ${String(outcome)} ${shown}`)
  assert.ok(REFUSALS.includes(outcome.code), `${outcome.code} ${shown}`)
}
