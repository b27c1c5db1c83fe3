import assert from 'node:assert/strict'
import {
  constants,
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { test } from 'node:test'
import { deriveKey, type KeyLabel } from '../../../src/core/security/secrets.ts'
import { attack, createIssuer, encode, SECRET_KEY, type Victim } from './token-kit.ts'

/** Order of the base point of P-256 (NIST SP 800-186 section 3.2.1.3), and its field. */
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn

/** Order of the base point of Ed25519 (RFC 8032 section 5.1). */
const L = 2n ** 252n + 27742317777372353535851937790883648493n

const input = ({ header, payload }: Victim): string => `${header}.${payload}`

const withSignature = (victim: Victim, signature: Buffer): string => `${input(victim)}.${encode(signature)}`

const raw = ({ signature }: Victim): Buffer => Buffer.from(signature, 'base64url')

const number = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`)

const bytes = (value: bigint, length: number): Buffer =>
  Buffer.from(value.toString(16).padStart(length * 2, '0'), 'hex')

const reversed = (buffer: Buffer): Buffer => Buffer.from(buffer.toReversed())

const pair = (r: bigint, s: bigint, length = 32): Buffer =>
  Buffer.concat([bytes(r, length), bytes(s, length)])

function privateKey({ issuer }: Victim): KeyObject {
  const [stored] = issuer.signingKeys
  assert.ok(stored)
  return createPrivateKey({ key: stored.privateJwk, format: 'jwk' })
}

const signedBy = (algorithm: string, forge: (victim: Victim) => Iterable<string>) => (victim: Victim) =>
  victim.key.algorithm === algorithm ? forge(victim) : []

attack(
  '[V9.1.1] [RFC8725-3.3] a signature that is cut, longer, empty of meaning or of another token is refused',
  (victim) => {
    const signature = raw(victim)
    const other = victim
      .resign({ payload: { ...victim.claims, sub: 'someone else' } })
      .split('.')
      .at(-1)
    return [
      signature.subarray(1),
      signature.subarray(0, -1),
      signature.subarray(0, 16),
      signature.subarray(0, signature.length / 2),
      Buffer.concat([signature, Buffer.alloc(1)]),
      Buffer.concat([Buffer.alloc(1), signature]),
      Buffer.concat([signature, signature]),
      Buffer.alloc(signature.length),
      Buffer.alloc(signature.length, 0xff),
      reversed(signature),
      Buffer.from(other ?? '', 'base64url'),
    ].map((forged) => withSignature(victim, forged))
  },
)

attack('[V9.1.1] [RFC8725-3.3] a signature with a bit changed in any of its bytes is refused', (victim) =>
  Array.from(raw(victim), (byte, at) => {
    const signature = raw(victim)
    signature[at] = byte ^ (1 << (at % 8))
    return withSignature(victim, signature)
  }),
)

attack(
  '[ATK-psychic] an ECDSA signature with r or s of no meaning is refused',
  signedBy('ES256', (victim) => {
    const r = number(raw(victim).subarray(0, 32))
    const s = number(raw(victim).subarray(32))
    const strange = [0n, 1n, N - 1n, N, N + 1n, P, P - 1n, 2n ** 256n - 1n]
    const pairs = strange.flatMap((a) => [...strange.map((b) => pair(a, b)), pair(a, s), pair(r, a)])
    return [...pairs, pair(s, r), pair(N - r, s), pair(P - r, s)].map((forged) =>
      withSignature(victim, forged),
    )
  }),
)

attack(
  '[ATK-psychic] [ATK-ecdsa-der] an ECDSA signature that is not 64 bytes of r and s is refused',
  signedBy('ES256', (victim) => {
    const r = number(raw(victim).subarray(0, 32))
    const s = number(raw(victim).subarray(32))
    const der = sign('sha256', Buffer.from(input(victim)), { key: privateKey(victim), dsaEncoding: 'der' })
    return [
      der,
      pair(r, s, 33),
      pair(r, s, 48),
      pair(r, s, 66),
      bytes(r, 32),
      pair(0n, 0n, 1),
      Buffer.alloc(65),
    ].map((forged) => withSignature(victim, forged))
  }),
)

attack('[ATK-ecdsa-der] [V9.1.2] a signature by a key of another curve or type is refused', (victim) => {
  const keys = [
    generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    generateKeyPairSync('ec', { namedCurve: 'P-521' }),
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
    generateKeyPairSync('rsa', { modulusLength: 1024 }),
  ]
  const data = Buffer.from(input(victim))
  const edwards = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed448')]
  return [
    ...keys.map((key) => sign('sha256', data, { key: key.privateKey, dsaEncoding: 'ieee-p1363' })),
    ...edwards.map((key) => sign(null, data, key.privateKey)),
  ].map((forged) => withSignature(victim, forged))
})

attack(
  '[ATK-psychic] [ATK-b64] an Ed25519 signature with S out of range, or of small order, is refused',
  signedBy('EdDSA', (victim) => {
    const R = raw(victim).subarray(0, 32)
    const S = number(reversed(raw(victim).subarray(32)))
    const littleEndian = (value: bigint): Buffer => reversed(bytes(value, 32))
    const identity = littleEndian(1n)
    return [
      Buffer.concat([R, littleEndian(S + L)]),
      Buffer.concat([R, littleEndian(S + 2n * L)]),
      Buffer.concat([R, littleEndian(L)]),
      Buffer.concat([R, littleEndian(0n)]),
      Buffer.concat([identity, littleEndian(0n)]),
      Buffer.concat([littleEndian(0n), littleEndian(0n)]),
      Buffer.concat([identity, littleEndian(L)]),
    ].map((forged) => withSignature(victim, forged))
  }),
)

attack(
  '[ATK-psychic] [ATK-b64] an RSA signature out of range, or the same number written otherwise, is refused',
  (victim) => {
    const [published] = victim.issuer.keyring.jwks.keys
    if (victim.kind === 'refresh' || !published?.n) return []
    const n = number(Buffer.from(published.n, 'base64url'))
    const s = number(raw(victim))
    const numbers = [0n, 1n, 2n, n - 1n, n, n + 1n, n - s, s + n].filter((value) => value < 2n ** 3072n)
    const sizes = [
      bytes(s, 385),
      bytes(s + n, 385),
      bytes(s, 512),
      Buffer.concat([raw(victim), Buffer.alloc(1)]),
    ]
    return [...numbers.map((value) => bytes(value, 384)), ...sizes].map((forged) =>
      withSignature(victim, forged),
    )
  },
)

attack('[RFC8725-3.1b] an RSA key signs with its own padding, hash and salt length only', (victim) => {
  if (victim.key.algorithm !== 'RS256' && victim.key.algorithm !== 'PS256') return []
  const key = privateKey(victim)
  const pkcs1 = { key, padding: constants.RSA_PKCS1_PADDING }
  const pss = (saltLength: number) => ({ key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength })
  const data = Buffer.from(input(victim))
  const wrongPadding = victim.key.algorithm === 'RS256' ? pss(32) : pkcs1
  return [
    sign('sha256', data, wrongPadding),
    sign('sha256', data, pss(0)),
    sign('sha256', data, pss(20)),
    sign('sha256', data, pss(31)),
    sign('sha256', data, pss(64)),
    sign('sha256', data, pss(constants.RSA_PSS_SALTLEN_MAX_SIGN)),
    ...['sha1', 'sha224', 'sha384', 'sha512', 'md5'].flatMap((hash) => [
      sign(hash, data, pkcs1),
      sign(hash, data, pss(32)),
    ]),
  ].map((forged) => withSignature(victim, forged))
})

attack(
  '[RFC8725-3.1b] a P-256 key signs with SHA-256 only',
  signedBy('ES256', (victim) =>
    ['sha1', 'sha384', 'sha512'].map((hash) =>
      withSignature(
        victim,
        sign(hash, Buffer.from(input(victim)), { key: privateKey(victim), dsaEncoding: 'ieee-p1363' }),
      ),
    ),
  ),
)

attack(
  '[RFC8725-3.1b] [RFC8725-3.12] an HMAC by another hash, or with the key of another purpose, is refused',
  (victim) => {
    const own: KeyLabel = victim.kind === 'access' ? 'access-hs256' : 'refresh-hs256'
    const labels: KeyLabel[] = ['access-hs256', 'refresh-hs256', 'seal-private-keys']
    const mac = (hash: string, label: KeyLabel): Buffer =>
      createHmac(hash, deriveKey(SECRET_KEY, label)).update(input(victim)).digest()
    return [
      ...['sha1', 'sha384', 'sha512', 'sha3-256'].map((hash) => mac(hash, own)),
      ...labels
        .filter((label) => label !== own || victim.key.algorithm !== 'HS256')
        .map((label) => mac('sha256', label)),
      mac('sha256', own).subarray(0, 31),
      mac('sha256', own).subarray(0, 16),
      Buffer.concat([mac('sha256', own), Buffer.alloc(1)]),
    ].map((forged) => withSignature(victim, forged))
  },
)

attack(
  '[ATK-b64] the second signature that any ECDSA signature has (r, n - s) is refused',
  signedBy('ES256', (victim) => {
    const r = number(raw(victim).subarray(0, 32))
    const s = number(raw(victim).subarray(32))
    return [withSignature(victim, pair(r, N - s))]
  }),
)

test('[ATK-b64] of the two equal ECDSA signatures the smaller is written, every time, and others accept it', async () => {
  const { keyring } = await createIssuer('ES256')
  const { current } = keyring.access
  for (let round = 0; round < 64; round += 1) {
    const signature = Buffer.from(current.sign(`input ${round}`), 'base64url')
    assert.ok(number(signature.subarray(32)) <= N / 2n)
    assert.ok(current.verify(`input ${round}`, signature))
  }
})

for (const algorithm of ['RS256', 'PS256'] as const) {
  test(`[ATK-b64] ${algorithm}: a signature without its leading zero is refused`, async () => {
    const { current } = (await createIssuer(algorithm)).keyring.access
    let input = ''
    let signature = Buffer.of(1)
    for (let round = 0; signature[0] !== 0; round += 1) {
      input = `input ${round}`
      signature = Buffer.from(current.sign(input), 'base64url')
    }
    assert.ok(current.verify(input, signature))
    assert.equal(current.verify(input, signature.subarray(1)), false)
    assert.equal(current.verify(input, Buffer.concat([Buffer.of(0), signature])), false)
  })
}
