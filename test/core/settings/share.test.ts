import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shareOf } from '../../../src/core/settings/share.ts'
import { errorOf, linesOf, POSTGRES, SECRET, settingsOf } from './cases.ts'

const MEBIBYTE = 2 ** 20
const NODE = { DATABASE_URL: POSTGRES, HASH_CONCURRENCY: '8', DATABASE_POOL_SIZE: '20', TOKEN_CACHE_MB: '32' }

function shareFor(env: Record<string, string>) {
  const { workers, hashConcurrency, tokenCacheBytes, database } = shareOf(settingsOf({ ...NODE, ...env }))
  assert.equal(workers, 1, 'a worker serves by itself')
  assert.ok(database.kind === 'postgres')
  return { hashConcurrency, tokenCacheBytes, poolSize: database.poolSize }
}

test('settings: workers share out what their node may use', () => {
  assert.deepEqual(shareFor({ WORKERS: '4' }), {
    hashConcurrency: 2,
    tokenCacheBytes: 8 * MEBIBYTE,
    poolSize: 5,
  })
})

test('settings: no core is left idle, and no bound is passed, when they cannot be shared out evenly', () => {
  assert.deepEqual(shareFor({ WORKERS: '3' }), {
    hashConcurrency: 3,
    tokenCacheBytes: Math.floor((32 * MEBIBYTE) / 3),
    poolSize: 6,
  })
})

test('settings: a worker has at least one of everything', () => {
  const few = { HASH_CONCURRENCY: '1', DATABASE_POOL_SIZE: '1', TOKEN_CACHE_MB: '1' }
  assert.deepEqual(shareFor({ WORKERS: '64', ...few }), {
    hashConcurrency: 1,
    tokenCacheBytes: MEBIBYTE,
    poolSize: 1,
  })
})

test('settings: a share is the same in everything else, and as it was on SQLite', () => {
  const node = settingsOf({ ...NODE, WORKERS: '1' })
  assert.deepEqual(shareOf(node), node)
  const embedded = settingsOf({})
  assert.deepEqual(shareOf(embedded), embedded)
  for (const value of [shareOf(node), shareOf(node).database]) assert.ok(Object.isFrozen(value))
})

test('settings: WORKERS above 1 are for PostgreSQL', () => {
  assert.equal(settingsOf({ WORKERS: '4', DATABASE_URL: POSTGRES }).workers, 4)
  const expected =
    '  WORKERS: it is 4, and SQLite is for one process; expected 1, or PostgreSQL in DATABASE_URL'
  assert.deepEqual(linesOf(errorOf({ WORKERS: '4' })), [expected])
  const same = { SECRET_KEY: SECRET, SECRET_KEY_PREVIOUS: SECRET }
  const lines = linesOf(errorOf({ WORKERS: '4', ...same }))
  assert.equal(lines.length, 2)
  assert.equal(lines[0], expected)
  assert.match(lines[1] ?? '', /^ {2}SECRET_KEY_PREVIOUS: it is the same as SECRET_KEY/)
  // Of what it would run on, nothing is known.
  assert.doesNotMatch(errorOf({ WORKERS: '4', DATABASE_URL: 'mysql://h/d' }), /WORKERS/)
})
