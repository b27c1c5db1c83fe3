import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { calculateJwkThumbprint, type JWK } from 'jose'
import { ALGORITHMS, type TokenAlgorithm } from '../../../src/core/security/algorithms.ts'

/** `signWith` where signing is deterministic and the example gives the private key. */
type Vector = {
  source: string
  algorithm: TokenAlgorithm
  verifyWith: KeyObject
  signWith?: KeyObject
  jws: string
}

const publicKey = (key: JWK): KeyObject => createPublicKey({ key, format: 'jwk' })
const secret = (text: string): KeyObject => createSecretKey(Buffer.from(text, 'base64url'))

const RFC_7515_PAYLOAD =
  'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'

const RFC_7515_HMAC = secret(
  'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
)

const RFC_7515_RSA = {
  kty: 'RSA',
  n: [
    'ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SF',
    'd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo',
    '7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkM',
    'Ls91kzk2PAcDTW9gb54h4FRWyuXpoQ',
  ].join(''),
  e: 'AQAB',
}

const RFC_7515_EC = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
}

const RFC_8037_PUBLIC = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }

const RFC_8037_PRIVATE = { ...RFC_8037_PUBLIC, d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A' }

const RFC_7520_PAYLOAD = [
  'SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwg',
  'YW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9m',
  'ZiB0by4',
].join('')

const RFC_7520_RSA = {
  kty: 'RSA',
  n: [
    'n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKr',
    'Kb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5l',
    'FHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__',
    'kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw',
  ].join(''),
  e: 'AQAB',
}

const RFC_7520_HMAC = secret('hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg')

const VECTORS: Vector[] = [
  {
    source: 'RFC 7515 A.1',
    algorithm: 'HS256',
    verifyWith: RFC_7515_HMAC,
    signWith: RFC_7515_HMAC,
    jws: `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${RFC_7515_PAYLOAD}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`,
  },
  {
    source: 'RFC 7515 A.2',
    algorithm: 'RS256',
    verifyWith: publicKey(RFC_7515_RSA),
    jws: [
      `eyJhbGciOiJSUzI1NiJ9.${RFC_7515_PAYLOAD}.`,
      'cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU',
      'Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d',
      'O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig',
      'cN_IoypGlUPQGe77Rw',
    ].join(''),
  },
  {
    source: 'RFC 7515 A.3',
    algorithm: 'ES256',
    verifyWith: publicKey(RFC_7515_EC),
    jws: [
      `eyJhbGciOiJFUzI1NiJ9.${RFC_7515_PAYLOAD}.`,
      'DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q',
    ].join(''),
  },
  {
    source: 'RFC 8037 A.4',
    algorithm: 'EdDSA',
    verifyWith: publicKey(RFC_8037_PUBLIC),
    signWith: createPrivateKey({ key: RFC_8037_PRIVATE, format: 'jwk' }),
    jws: [
      'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.',
      'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg',
    ].join(''),
  },
  {
    source: 'RFC 7520 4.1',
    algorithm: 'RS256',
    verifyWith: publicKey(RFC_7520_RSA),
    jws: [
      `eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.${RFC_7520_PAYLOAD}.`,
      'MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDk',
      'oBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9Uzp',
      'ERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogo',
      'ree7vjbU5y18kDquDg',
    ].join(''),
  },
  {
    source: 'RFC 7520 4.4',
    algorithm: 'HS256',
    verifyWith: RFC_7520_HMAC,
    signWith: RFC_7520_HMAC,
    jws: [
      `eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.${RFC_7520_PAYLOAD}.`,
      's0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0',
    ].join(''),
  },
]

for (const { source, algorithm, verifyWith, signWith, jws } of VECTORS) {
  const { fits, sign, verify } = ALGORITHMS[algorithm]
  const input = jws.slice(0, jws.lastIndexOf('.'))
  const signature = Buffer.from(jws.slice(input.length + 1), 'base64url')

  test(`${source}: ${algorithm} verifies the example, and not with a bit changed in any byte of the signature`, () => {
    assert.ok(fits(verifyWith))
    assert.ok(verify(input, verifyWith, signature))
    assert.equal(verify(`${input}A`, verifyWith, signature), false)
    for (const [at, byte] of signature.entries()) {
      const changed = Buffer.from(signature)
      changed[at] = byte ^ (1 << (at % 8))
      assert.equal(verify(input, verifyWith, changed), false)
    }
  })

  if (!signWith) continue
  test(`${source}: ${algorithm} signs the example byte for byte`, () => {
    assert.deepEqual(sign(input, signWith), signature)
  })
}

test('RFC 7520 4.2: a PS384 signature by the same key is none of PS256', () => {
  const jws = [
    `eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.${RFC_7520_PAYLOAD}.`,
    'cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OL',
    'PpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shn',
    'r2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6',
    'oD4ifKo8DYM-X72Eaw',
  ].join('')
  const input = jws.slice(0, jws.lastIndexOf('.'))
  const signature = Buffer.from(jws.slice(input.length + 1), 'base64url')
  assert.equal(ALGORITHMS.PS256.verify(input, publicKey(RFC_7520_RSA), signature), false)
})

test('RFC 7638 3.1 and RFC 8037 A.3: the thumbprints that name our keys', async () => {
  const key: JWK = {
    kty: 'RSA',
    n: [
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n',
      '3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zg',
      'dAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFC',
      'ur-kEgU8awapJzKnqDKgw',
    ].join(''),
    e: 'AQAB',
    alg: 'RS256',
    kid: '2011-04-29',
  }
  assert.equal(await calculateJwkThumbprint(key), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
  assert.equal(await calculateJwkThumbprint(RFC_8037_PRIVATE), 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
})

test('RFC 5869 A.1: the HKDF that derives our keys', () => {
  const key = Buffer.alloc(22, 0x0b)
  const salt = Buffer.from('000102030405060708090a0b0c', 'hex')
  const info = Buffer.from('f0f1f2f3f4f5f6f7f8f9', 'hex')
  assert.equal(
    Buffer.from(hkdfSync('sha256', key, salt, info, 42)).toString('hex'),
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  )
})
