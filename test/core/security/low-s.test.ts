import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isLowS, toLowS } from '../../../src/core/security/low-s.ts'

/** The order of P-256, halved and rounded down: NIST SP 800-186 section 3.2.1.3. */
const HALF_ORDER = 0x7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8n
const ORDER = HALF_ORDER * 2n + 1n

const bytes = (value: bigint) => Buffer.from(value.toString(16).padStart(64, '0'), 'hex')
const signature = (s: bigint) => Buffer.concat([bytes(7n), bytes(s)])

test('s is low up to half of the order, and no further', () => {
  for (const s of [1n, HALF_ORDER - 1n, HALF_ORDER]) assert.ok(isLowS(signature(s)))
  for (const s of [HALF_ORDER + 1n, ORDER - 1n]) assert.ok(!isLowS(signature(s)))
})

test('a high s is turned into the low one of the same signature; a low one stays', () => {
  assert.deepEqual(toLowS(signature(HALF_ORDER)), signature(HALF_ORDER))
  assert.deepEqual(toLowS(signature(HALF_ORDER + 1n)), signature(HALF_ORDER))
  assert.deepEqual(toLowS(signature(ORDER - 1n)), signature(1n))
})
