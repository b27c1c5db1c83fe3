import assert from 'node:assert/strict'
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import { test } from 'node:test'
import { calculateJwkThumbprint, createLocalJWKSet, type JWK, jwtVerify } from 'jose'
import { StartupError } from '../../../src/core/problems.ts'
import { ALGORITHMS } from '../../../src/core/security/algorithms.ts'
import {
  createKeyring,
  generateSigningKey,
  type KeySet,
  readPrivateKey,
  type SigningKey,
} from '../../../src/core/security/keyring.ts'
import { deriveKey, type KeyLabel } from '../../../src/core/security/secrets.ts'
import { ASYMMETRIC, decode, SECRET_KEY } from './token-kit.ts'

const secretKey = SECRET_KEY
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

const generated = await Promise.all(ASYMMETRIC.map(generateSigningKey))
const [es256, eddsa, rs256, ps256] = generated
assert.ok(es256 && eddsa && rs256 && ps256)

const kids = ({ byHeader }: KeySet): string[] => [...byHeader.values()].map(({ kid }) => kid)

const refuses = (signingKeys: SigningKey[], message: RegExp): void =>
  assert.throws(
    () => createKeyring({ algorithm: 'ES256', secretKey, signingKeys: [es256, ...signingKeys] }),
    (error) => error instanceof StartupError && message.test(error.message),
  )

/** A stored key pair as something other than ourselves could have written it. */
function stored(
  algorithm: SigningKey['algorithm'],
  pair: { publicKey: KeyObject; privateKey: KeyObject },
): SigningKey {
  return {
    kid: 'k',
    algorithm,
    publicJwk: pair.publicKey.export({ format: 'jwk' }),
    privateJwk: pair.privateKey.export({ format: 'jwk' }),
  }
}

for (const [index, algorithm] of ASYMMETRIC.entries()) {
  test(`${algorithm}: a generated key is named by its thumbprint and fits its algorithm`, async () => {
    const key = generated[index]
    assert.ok(key)
    const publicKey = createPublicKey({ key: key.publicJwk, format: 'jwk' })
    assert.equal(key.kid, await calculateJwkThumbprint(key.publicJwk))
    assert.ok(ALGORITHMS[algorithm].fits(publicKey))
    assert.equal(publicKey.asymmetricKeyDetails?.modulusLength, key.publicJwk.n && 3072)
    assert.ok(PRIVATE_MEMBERS.every((name) => !(name in key.publicJwk)))
    assert.ok('d' in key.privateJwk)
  })

  test(`${algorithm}: an access token's header says exactly alg, typ and kid, and its key is the one that signs`, () => {
    const { access } = createKeyring({ algorithm, secretKey, signingKeys: generated })
    const kid = generated[index]?.kid
    assert.equal(decode(access.current.header), `{"alg":"${algorithm}","typ":"at+jwt","kid":"${kid}"}`)
    assert.equal(access.byHeader.get(access.current.header), access.current)
  })

  test(`${algorithm}: others verify with the published keys`, async () => {
    const { access, jwks } = createKeyring({ algorithm, secretKey, signingKeys: generated })
    const input = `${access.current.header}.${Buffer.from('{"sub":"x"}').toString('base64url')}`
    const { payload } = await jwtVerify(`${input}.${access.current.sign(input)}`, createLocalJWKSet(jwks))
    assert.deepEqual(payload, { sub: 'x' })
  })
}

test('[RFC8725-3.1b] the published keys are public, each with its name, one algorithm and its use', () => {
  const { jwks } = createKeyring({ algorithm: 'ES256', secretKey, signingKeys: generated })
  assert.deepEqual(
    jwks.keys.map(({ kid, alg, use }) => ({ kid, alg, use })),
    generated.map(({ kid, algorithm }) => ({ kid, alg: algorithm, use: 'sig' })),
  )
  for (const jwk of jwks.keys) {
    assert.ok(PRIVATE_MEMBERS.every((name) => !(name in jwk)))
  }
})

test('what a stored public key says besides the key itself is not published', () => {
  const chatty: JWK = { ...es256.publicJwk, d: es256.privateJwk.d ?? '', use: 'enc', x5u: 'https://x' }
  const { jwks } = createKeyring({
    algorithm: 'ES256',
    secretKey,
    signingKeys: [{ ...es256, publicJwk: chatty }],
  })
  assert.deepEqual(jwks.keys, [{ ...es256.publicJwk, kid: es256.kid, alg: 'ES256', use: 'sig' }])
})

test('the newest key of the configured algorithm signs, and all stored keys verify', async () => {
  const newer = await generateSigningKey('ES256')
  const { access } = createKeyring({ algorithm: 'ES256', secretKey, signingKeys: [es256, newer, eddsa] })
  assert.equal(access.current.kid, newer.kid)
  assert.deepEqual(kids(access), [es256.kid, newer.kid, eddsa.kid])
})

test('[ATK-cross-tenant] a key that is no longer stored verifies nothing', () => {
  const before = createKeyring({ algorithm: 'ES256', secretKey, signingKeys: [es256] })
  const after = createKeyring({ algorithm: 'EdDSA', secretKey, signingKeys: [eddsa] })
  assert.equal(after.access.byHeader.get(before.access.current.header), undefined)
})

test('[V9.1.2] with public keys no HS256 key is accepted for access tokens', () => {
  const symmetric = createKeyring({ algorithm: 'HS256', secretKey, signingKeys: [] })
  const { access } = createKeyring({
    algorithm: 'ES256',
    secretKey,
    secretKeyPrevious: 'p'.repeat(32),
    signingKeys: [es256],
  })
  assert.deepEqual(kids(access), [es256.kid])
  assert.equal(access.byHeader.has(symmetric.access.current.header), false)
})

test('[V9.1.2] with HS256 the derived key signs, and those that did before go on verifying', () => {
  const alone = createKeyring({ algorithm: 'HS256', secretKey, signingKeys: [] })
  assert.equal(alone.access.byHeader.size, 1)
  assert.equal(alone.access.current.algorithm, 'HS256')
  assert.deepEqual(alone.jwks, { keys: [] })
  const { access, jwks } = createKeyring({ algorithm: 'HS256', secretKey, signingKeys: [es256] })
  assert.equal(access.current.header, alone.access.current.header)
  assert.deepEqual(kids(access).sort(), [es256.kid, alone.access.current.kid].sort())
  assert.deepEqual(
    jwks.keys.map(({ kid }) => kid),
    [es256.kid],
  )
})

test('refresh tokens are HS256 under any algorithm, with a key of their own', () => {
  const symmetric = createKeyring({ algorithm: 'HS256', secretKey, signingKeys: [] })
  const asymmetric = createKeyring({ algorithm: 'ES256', secretKey, signingKeys: [es256] })
  const { kid, header } = symmetric.refresh.current
  assert.equal(decode(header), `{"alg":"HS256","typ":"rt+jwt","kid":"${kid}"}`)
  assert.equal(asymmetric.refresh.current.header, header)
  assert.notEqual(symmetric.access.current.kid, kid)
  assert.notEqual(symmetric.access.current.sign('x'), symmetric.refresh.current.sign('x'))
})

test('the previous secret is accepted, never signs, and is swapped without a gap', () => {
  const first = { algorithm: 'HS256', secretKey, signingKeys: [] } as const
  const announced = createKeyring({ ...first, secretKeyPrevious: 'n'.repeat(32) })
  const swapped = createKeyring({ ...first, secretKey: 'n'.repeat(32), secretKeyPrevious: secretKey })
  const done = createKeyring({ ...first, secretKey: 'n'.repeat(32) })
  for (const kind of ['access', 'refresh'] as const) {
    const old = createKeyring(first)[kind].current.header
    const fresh = done[kind].current.header
    assert.equal(announced[kind].current.header, old)
    assert.equal(swapped[kind].current.header, fresh)
    assert.deepEqual(new Set(announced[kind].byHeader.keys()), new Set([old, fresh]))
    assert.deepEqual(new Set(swapped[kind].byHeader.keys()), new Set([old, fresh]))
    assert.deepEqual([...done[kind].byHeader.keys()], [fresh])
  }
})

test('without a key to sign with, others verify and are published, and signing is refused for now', () => {
  const other = createKeyring({ algorithm: 'ES256', secretKey, signingKeys: [eddsa] })
  assert.throws(() => other.access.current.sign('input'), { code: 'server_busy' })
  const signer = createKeyring({ algorithm: 'ES256', secretKey, signingKeys: [es256] })
  const { access, jwks } = createKeyring({ algorithm: undefined, secretKey, signingKeys: [es256] })
  assert.deepEqual(jwks, signer.jwks)
  const signature = Buffer.from(signer.access.current.sign('input'), 'base64url')
  assert.ok(access.byHeader.get(signer.access.current.header)?.verify('input', signature))
  assert.throws(() => access.current.sign('input'), { code: 'server_busy' })
  assert.equal(access.current.verify('input', signature), false)
  assert.ok(![...access.byHeader.values()].includes(access.current))
})

test('[RFC8725-3.1b] a key is refused for an algorithm that it does not fit', () => {
  refuses([{ ...eddsa, algorithm: 'ES256' }], /does not fit ES256/)
  refuses([{ ...es256, algorithm: 'EdDSA' }], /does not fit EdDSA/)
  refuses([{ ...es256, algorithm: 'RS256' }], /does not fit RS256/)
  refuses([{ ...rs256, algorithm: 'ES256' }], /does not fit ES256/)
  refuses([stored('ES256', generateKeyPairSync('ec', { namedCurve: 'P-384' }))], /does not fit ES256/)
  refuses([stored('ES256', generateKeyPairSync('ec', { namedCurve: 'secp256k1' }))], /does not fit ES256/)
  refuses([stored('EdDSA', generateKeyPairSync('ed448'))], /does not fit EdDSA/)
  refuses([stored('EdDSA', generateKeyPairSync('x25519'))], /does not fit EdDSA/)
})

test('[RFC8725-3.5] [ATK-weakkey] an RSA key below 2048 bits is refused', () => {
  refuses([stored('RS256', generateKeyPairSync('rsa', { modulusLength: 1024 }))], /does not fit RS256/)
  refuses([stored('PS256', generateKeyPairSync('rsa', { modulusLength: 1024 }))], /does not fit PS256/)
})

test('[RFC8725-3.5] an HS256 key is at least 256 bits of secret, and never a public key', () => {
  const { fits } = ALGORITHMS.HS256
  assert.equal(fits(createSecretKey(Buffer.alloc(32))), true)
  assert.equal(fits(createSecretKey(Buffer.alloc(31))), false)
  assert.equal(fits(createPublicKey({ key: rs256.publicJwk, format: 'jwk' })), false)
})

test('a public half that is not the private one’s is refused', async () => {
  const other = await generateSigningKey('ES256')
  refuses([{ ...es256, publicJwk: other.publicJwk }], /do not belong together/)
  refuses([{ ...es256, publicJwk: eddsa.publicJwk }], /do not belong together/)
})

test('[RFC8725-3.4] a key that cannot be read is refused: no point of its curve, a missing half, or nonsense', () => {
  refuses([{ ...es256, publicJwk: { ...es256.publicJwk, x: 'A'.repeat(43) } }], /cannot be read/)
  refuses([{ ...es256, privateJwk: { ...es256.privateJwk, x: 'A'.repeat(43) } }], /cannot be read/)
  refuses([{ ...es256, privateJwk: es256.publicJwk }], /cannot be read/)
  refuses([{ ...es256, publicJwk: { kty: 'oct', k: 'AAAA' } }], /cannot be read/)
  refuses([{ ...es256, publicJwk: {} as JWK }], /cannot be read/)
})

test('the keys of each kind of token are derived for it, and named by a MAC of a constant', () => {
  const keyring = createKeyring({ algorithm: 'HS256', secretKey, signingKeys: [] })
  const kidOf = (label: KeyLabel) =>
    createHmac('sha256', deriveKey(secretKey, label)).update('kid').digest('base64url').slice(0, 16)
  const { access, refresh, device } = keyring
  assert.deepEqual(
    [access, refresh, device].map(({ current }) => current.kid),
    [kidOf('access-hs256'), kidOf('refresh-hs256'), kidOf('device-hs256')],
  )
})

test('a key that was made elsewhere is read as PEM or as a JWK, and named by its thumbprint', async () => {
  for (const { algorithm, privateJwk, publicJwk, kid } of generated) {
    const pem = createPrivateKey({ key: privateJwk, format: 'jwk' }).export({
      type: 'pkcs8',
      format: 'pem',
    })
    const jwk = JSON.stringify(privateJwk)
    for (const text of [String(pem), jwk, `\n ${jwk}\n`]) {
      const read = await readPrivateKey(text, algorithm)
      assert.deepEqual([read.kid, read.algorithm], [kid, algorithm])
      assert.deepEqual({ ...read.publicJwk }, { ...publicJwk })
      assert.equal(read.privateJwk.d, privateJwk.d)
      createKeyring({ algorithm, secretKey, signingKeys: [read] })
    }
  }
})

test('what is no private key of the algorithm is refused, without a word of what it is', async () => {
  const publicPem = createPublicKey({ key: es256.publicJwk, format: 'jwk' }).export({
    type: 'spki',
    format: 'pem',
  })
  const jwk = JSON.stringify(es256.privateJwk)
  const texts = ['', '{}', '{', 'no key', publicPem, JSON.stringify(es256.publicJwk), jwk.slice(0, -20)]
  for (const text of [...texts.map(String), JSON.stringify(eddsa.privateJwk)]) {
    await assert.rejects(
      readPrivateKey(text, 'ES256'),
      (error) =>
        error instanceof StartupError &&
        error.message === 'This is no private key for ES256, as PEM (PKCS #8) or as a JSON Web Key',
    )
  }
})
