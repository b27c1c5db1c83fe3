import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import {
  createVerifier,
  type RevocationOptions,
  TokenError,
  type TokenErrorCode,
  type Verifier,
  type VerifierOptions,
} from '../../../packages/verify/src/index.ts'
import { type Issuer, SERVICE_KEY } from './issuer.ts'

/** A verifier with what it has told `onError`; closed when the test ends. */
export type TestVerifier = Verifier & { errors: Error[] }

export function openVerifier(
  t: TestContext,
  issuer: Pick<Issuer, 'url'>,
  options: Partial<VerifierOptions> = {},
): TestVerifier {
  const errors: Error[] = []
  const verifier = createVerifier({
    issuer: issuer.url,
    revocations: { key: SERVICE_KEY },
    onError: (error) => errors.push(error),
    ...options,
  })
  t.after(() => verifier.close())
  return { ...verifier, errors }
}

/** One that follows no feed. */
export const openWithoutFeed = (
  t: TestContext,
  issuer: Pick<Issuer, 'url'>,
  options: Partial<VerifierOptions> = {},
): TestVerifier => openVerifier(t, issuer, { revocations: false, ...options })

/** One that has caught up with the feed, over the issuer's first connection. */
export async function openCaughtUp(
  t: TestContext,
  issuer: Issuer,
  revocations: Partial<RevocationOptions> = {},
  options: Partial<VerifierOptions> = {},
) {
  const verifier = openVerifier(t, issuer, { ...options, revocations: { key: SERVICE_KEY, ...revocations } })
  const connection = await issuer.connection(0)
  connection.snapshot()
  connection.heartbeat('0.start')
  await verifier.ready()
  return { verifier, connection }
}

/** Why a token is refused; fails when it is not, or by anything but a TokenError. */
export async function refusalOf(verifier: Verifier, token: unknown): Promise<TokenErrorCode> {
  try {
    await verifier.verify(token as string)
  } catch (error) {
    assert.ok(error instanceof TokenError, `threw ${String(error)}`)
    return error.code
  }
  assert.fail(`accepted ${String(token).slice(0, 200)}`)
}

export const isAccepted = (verifier: Verifier, token: string): Promise<boolean> =>
  verifier.verify(token).then(
    () => true,
    () => false,
  )
