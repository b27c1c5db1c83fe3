import assert from 'node:assert/strict'
import { createHmac, hkdfSync } from 'node:crypto'
import { test } from 'node:test'
import { createPseudonyms } from '../../../src/core/security/pseudonyms.ts'
import { SECRET_KEY } from './token-kit.ts'

test('a pseudonym is half of an HMAC-SHA256, under a key that is for this alone', () => {
  const key = Buffer.from(hkdfSync('sha256', SECRET_KEY, '', 'postern/limits', 32))
  const mac = createHmac('sha256', key).update('["name","ada"]').digest()
  assert.equal(createPseudonyms(SECRET_KEY)('name', 'ada'), mac.subarray(0, 16).toString('base64url'))
})

test('what is divided otherwise has another pseudonym, and under another secret all have', () => {
  const pseudonym = createPseudonyms(SECRET_KEY)
  const all = [
    pseudonym('a', 'b'),
    pseudonym('ab'),
    pseudonym('a,b'),
    createPseudonyms(`${SECRET_KEY}x`)('a', 'b'),
  ]
  assert.equal(new Set(all).size, all.length)
})
