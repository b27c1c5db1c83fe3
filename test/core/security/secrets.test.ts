import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  deriveKey,
  hashSecret,
  isSameSecret,
  type KeyLabel,
  open,
  openWithEither,
  seal,
} from '../../../src/core/security/secrets.ts'

const SECRET_KEY = 'a root secret for tests: 7h5nW2kq'
const LABELS: KeyLabel[] = ['access-hs256', 'refresh-hs256', 'seal-private-keys']

const key = deriveKey(SECRET_KEY, 'seal-private-keys')
const otherKey = deriveKey(`${SECRET_KEY}.`, 'seal-private-keys')

test('a derived key is HKDF-SHA256 without salt, as other programs compute it', () => {
  for (const label of LABELS) {
    const extracted = createHmac('sha256', Buffer.alloc(32)).update(SECRET_KEY).digest()
    const expanded = createHmac('sha256', extracted).update(`postern/${label}\u0001`).digest()
    assert.deepEqual(deriveKey(SECRET_KEY, label), expanded)
  }
})

test('every purpose and every secret has its own key of 32 bytes', () => {
  const keys = [SECRET_KEY, `${SECRET_KEY} `].flatMap((secret) =>
    LABELS.map((label) => deriveKey(secret, label)),
  )
  assert.equal(new Set(keys.map((derived) => derived.toString('hex'))).size, 6)
  assert.ok(keys.every((derived) => derived.length === 32))
})

test('what was sealed opens again to the same text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }), (text, context) => {
      assert.equal(open(key, seal(key, text, context), context), text)
    }),
  )
})

test('the same text is never sealed the same twice, and shows nothing of itself', () => {
  const sealed = Array.from({ length: 100 }, () => seal(key, 'a private key', 'kid'))
  assert.equal(new Set(sealed.map((text) => text.slice(0, 19))).size, 100)
  assert.ok(sealed.every((text) => /^v1\.[\w-]+$/.test(text)))
  assert.ok(sealed.every((text) => !Buffer.from(text.slice(3), 'base64url').includes('private')))
})

test('sealed text opens with its own key and context only', () => {
  const sealed = seal(key, 'a private key', 'kid 1')
  assert.equal(open(otherKey, sealed, 'kid 1'), undefined)
  assert.equal(open(key, sealed, 'kid 2'), undefined)
  assert.equal(open(key, sealed, ''), undefined)
  assert.equal(open(key, sealed, 'kid 1'), 'a private key')
})

test('sealed text with any one character changed, missing or added does not open', () => {
  const sealed = seal(key, 'a private key', 'kid')
  for (let at = 0; at <= sealed.length; at += 1) {
    const head = sealed.slice(0, at)
    const rest = sealed.slice(at + 1)
    const changed = [...'AQgw_-.=\n v'].filter((by) => by !== sealed[at]).map((by) => head + by + rest)
    for (const text of [
      ...changed,
      head + rest,
      `${head} ${sealed.slice(at)}`,
      `${head}A${sealed.slice(at)}`,
      head,
      rest,
    ]) {
      if (text !== sealed) assert.equal(open(key, text, 'kid'), undefined, JSON.stringify(text))
    }
  }
})

test('a shortened tag does not open', () => {
  const bytes = Buffer.from(seal(key, 'a private key', 'kid').slice(3), 'base64url')
  for (const length of [4, 8, 12, 13, 14, 15]) {
    const short = Buffer.concat([bytes.subarray(0, -16), bytes.subarray(-16, -16 + length)])
    assert.equal(open(key, `v1.${short.toString('base64url')}`, 'kid'), undefined)
  }
})

test('opening hostile text gives nothing and does not throw', () => {
  for (const text of [
    '',
    'v1',
    'v1.',
    'v2.AAAA',
    '\ud800',
    `v1.${'A'.repeat(36)}`,
    `v1.${'A'.repeat(1_000_000)}`,
    '\0',
  ]) {
    assert.equal(open(key, text, 'kid'), undefined)
  }
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.base64String()), (text) => {
      assert.equal(open(key, text, 'kid'), undefined)
      assert.equal(open(key, `v1.${text}`, 'kid'), undefined)
    }),
  )
})

test('what either secret has sealed is opened, and which of them it was is told', () => {
  const label = 'seal-private-keys'
  const [current, previous, other] = [SECRET_KEY, `${SECRET_KEY}.`, `${SECRET_KEY}!`]
  const sealedWith = (secret: string) => seal(deriveKey(secret, label), 'a text', 'its place')
  const openIt = (sealed: string, secretKeyPrevious?: string, place = 'its place') =>
    openWithEither({ secretKey: current, secretKeyPrevious }, label, sealed, place)
  assert.deepEqual(openIt(sealedWith(current)), { plaintext: 'a text', isOfPrevious: false })
  assert.deepEqual(openIt(sealedWith(current), previous), { plaintext: 'a text', isOfPrevious: false })
  assert.deepEqual(openIt(sealedWith(previous), previous), { plaintext: 'a text', isOfPrevious: true })
  assert.equal(openIt(sealedWith(previous)), undefined)
  assert.equal(openIt(sealedWith(other), previous), undefined)
  assert.equal(openIt(sealedWith(current), previous, 'another place'), undefined)
})

test('secrets are the same when every character is', () => {
  for (const [one, other] of [
    ['', ''],
    ['secret', 'secret'],
    ['sécret', 'sécret'],
  ] as const) {
    assert.equal(isSameSecret(one, other), true)
  }
  for (const [one, other] of [
    ['secret', 'secres'],
    ['secret', 'secret '],
    ['', 'secret'],
    ['secret', ''],
  ] as const) {
    assert.equal(isSameSecret(one, other), false)
  }
})

test('the hash of a secret is that of SHA-256, in base64url', () => {
  const expected = createHash('sha256').update('a secret').digest().toString('base64url')
  assert.equal(hashSecret('a secret'), expected)
  assert.equal(hashSecret(''), '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')
})
