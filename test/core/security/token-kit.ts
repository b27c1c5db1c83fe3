import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AsymmetricAlgorithm, TokenAlgorithm } from '../../../src/core/security/algorithms.ts'
import {
  createKeyring,
  generateSigningKey,
  type Keyring,
  type KeySet,
  type SigningKey,
  type TokenKey,
} from '../../../src/core/security/keyring.ts'
import {
  type AccessClaims,
  createTokens,
  type DeviceClaims,
  type RefreshClaims,
  type Tokens,
} from '../../../src/core/security/tokens.ts'

/** Enough for every token of a test. */
export const CACHE_BYTES = 2 ** 20

export const NOW_SECONDS = 1_767_323_045
export const NOW = NOW_SECONDS * 1000 + 678
export const ISSUER = 'https://auth.example.org'
export const AUDIENCE = 'https://api.example.org'
export const SECRET_KEY = 'a root secret for tests: 7h5nW2kq'
export const ASYMMETRIC = ['ES256', 'EdDSA', 'RS256', 'PS256'] as const satisfies AsymmetricAlgorithm[]
export const EVERY_ALGORITHM = [...ASYMMETRIC, 'HS256'] as const satisfies TokenAlgorithm[]

/** Its keys, with the clock standing at `NOW` until it is moved. */
export type Issuer = {
  algorithm: TokenAlgorithm
  signingKeys: SigningKey[]
  keyring: Keyring
  clock: { time: number; now(): number }
  tokens: Tokens
}

/** A token that our server has issued and would accept, and the means to forge others from it. */
export type Victim = {
  name: string
  issuer: Issuer
  kind: 'access' | 'refresh' | 'device'
  keys: KeySet
  key: TokenKey
  token: string
  header: string
  payload: string
  signature: string
  headerJson: Record<string, unknown>
  claims: AccessClaims | RefreshClaims | DeviceClaims
  /** A token signed with the right key; what is not given is as in the victim's. Text and bytes are taken as they are. */
  resign(parts: { header?: unknown; payload?: unknown }): string
}

export const accessClaims = (changes: Partial<AccessClaims> = {}): AccessClaims => ({
  iss: ISSUER,
  aud: AUDIENCE,
  sub: '01992c2e-0000-7000-8000-00000000000a',
  sid: '01992c2e-0000-7000-8000-00000000000b',
  jti: 'Y2hpbGxpbmc',
  iat: NOW_SECONDS - 10,
  exp: NOW_SECONDS + 1790,
  auth_time: NOW_SECONDS - 900,
  amr: ['pwd', 'otp'],
  client_id: 'default',
  scope: 'openid profile',
  type: 'access',
  ...changes,
})

export const refreshClaims = (changes: Partial<RefreshClaims> = {}): RefreshClaims => ({
  sub: '01992c2e-0000-7000-8000-00000000000a',
  sid: '01992c2e-0000-7000-8000-00000000000b',
  gen: 3,
  iat: NOW_SECONDS - 10,
  exp: NOW_SECONDS + 600_000,
  type: 'refresh',
  ...changes,
})

export const deviceClaims = (changes: Partial<DeviceClaims> = {}): DeviceClaims => ({
  sub: '01992c2e-0000-7000-8000-00000000000a',
  jti: 'Y2hpbGxpbmc',
  iat: NOW_SECONDS - 10,
  exp: NOW_SECONDS + 600_000,
  type: 'device',
  ...changes,
})

export async function createIssuer(algorithm: TokenAlgorithm): Promise<Issuer> {
  const signingKeys = algorithm === 'HS256' ? [] : [await generateSigningKey(algorithm)]
  const keyring = createKeyring({ algorithm, secretKey: SECRET_KEY, signingKeys })
  const clock = {
    time: NOW,
    now() {
      return this.time
    },
  }
  const tokens = createTokens({
    keyring: () => keyring,
    clock,
    issuer: ISSUER,
    audience: AUDIENCE,
    cacheBytes: CACHE_BYTES,
  })
  return { algorithm, signingKeys, keyring, clock, tokens }
}

/** Base64url of text or bytes as they are, of anything else as JSON. */
export function encode(part: unknown): string {
  const bytes = typeof part === 'string' || Buffer.isBuffer(part) ? part : JSON.stringify(part)
  return Buffer.from(bytes).toString('base64url')
}

export const decode = (part: string): string => Buffer.from(part, 'base64url').toString()

/** The three parts of a token, or what there is of them. */
export function split(token: string): { header: string; payload: string; signature: string } {
  const [header = '', payload = '', signature = ''] = token.split('.')
  return { header, payload, signature }
}

export function createVictims(issuer: Issuer): Victim[] {
  const { tokens, keyring } = issuer
  const access = accessClaims()
  const refresh = refreshClaims()
  const device = deviceClaims()
  return [
    victim(issuer, 'access', keyring.access, access, tokens.signAccess(access)),
    victim(issuer, 'refresh', keyring.refresh, refresh, tokens.signRefresh(refresh)),
    victim(issuer, 'device', keyring.device, device, tokens.signDevice(device)),
  ]
}

function victim(
  issuer: Issuer,
  kind: Victim['kind'],
  keys: KeySet,
  claims: Victim['claims'],
  token: string,
): Victim {
  const parts = split(token)
  const key = keys.current
  return {
    name: `${issuer.algorithm} issuer's ${kind} token`,
    issuer,
    kind,
    keys,
    key,
    token,
    ...parts,
    headerJson: JSON.parse(decode(parts.header)),
    claims,
    resign(changes) {
      const header = 'header' in changes ? encode(changes.header) : parts.header
      const payload = 'payload' in changes ? encode(changes.payload) : parts.payload
      return `${header}.${payload}.${key.sign(`${header}.${payload}`)}`
    },
  }
}

/** The claims, by the verifier that the victim's token is for. */
export function readBack({ kind, issuer: { tokens } }: Victim, token: string): Victim['claims'] | undefined {
  if (kind === 'access') return tokens.verifyAccess(token)
  return kind === 'refresh' ? tokens.verifyRefresh(token) : tokens.verifyDevice(token)
}

export function assertRefused({ name, issuer: { tokens } }: Victim, forged: string): void {
  const shown = `from ${name}: ${forged.slice(0, 300)}`
  assert.equal(tokens.verifyAccess(forged), undefined, `accepted as access token, ${shown}`)
  assert.equal(tokens.verifyRefresh(forged), undefined, `accepted as refresh token, ${shown}`)
  assert.equal(tokens.verifyDevice(forged), undefined, `accepted as device token, ${shown}`)
}

type Forge = (victim: Victim) => Iterable<string> | Promise<Iterable<string>>

const issuers = await Promise.all(EVERY_ALGORITHM.map(createIssuer))
const victims = issuers.flatMap(createVictims)

/** A test that all that is forged from a token of each kind, of each algorithm, is refused, before and after the token was used. */
export function attack(title: string, forge: Forge): void {
  test(title, async () => {
    let forgeries = 0
    for (const victim of victims) {
      for (const forged of await forge(victim)) {
        assert.notEqual(forged, victim.token)
        assertRefused(victim, forged)
        forgeries += 1
      }
      assert.deepEqual(readBack(victim, victim.token), victim.claims)
      assert.deepEqual(readBack(victim, victim.resign({ payload: { ...victim.claims } })), victim.claims)
    }
    assert.ok(forgeries > 0)
  })
}
