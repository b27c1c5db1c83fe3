import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority } from 'node:os'
import { describe, it } from 'node:test'
import * as argon2 from '@node-rs/argon2'
import * as bcrypt from '@node-rs/bcrypt'
import {
  bcryptCost,
  createPasswords,
  needsRehash,
  passwordLength,
} from '../../src/core/security/passwords.ts'

const PASSWORD = 'correct horse battery staple'
const passwords = createPasswords({ concurrency: 2 })
const hashBcrypt = (password: string | Buffer) => bcrypt.hash(password, 4)

describe('passwords', () => {
  it('[V11.4.2] hashes are argon2id with the parameters of today, each with a salt of its own', async () => {
    const [one, other] = await Promise.all([passwords.hash(PASSWORD), passwords.hash(PASSWORD)])
    for (const hash of [one, other]) {
      const [salt = '', digest = ''] = hash.split('$').slice(-2)
      assert.ok(hash.startsWith('$argon2id$v=19$m=19456,t=2,p=1$'), hash)
      assert.equal(Buffer.from(salt, 'base64').length, 16)
      assert.equal(Buffer.from(digest, 'base64').length, 32)
      assert.equal(needsRehash(hash), false)
    }
    assert.notEqual(one, other)
  })

  it('the right password matches, any other does not', async () => {
    const hash = await passwords.hash(PASSWORD)
    assert.equal(await passwords.verify(hash, PASSWORD), true)
    for (const wrong of [
      '',
      ` ${PASSWORD}`,
      PASSWORD.toUpperCase(),
      PASSWORD.slice(0, -1),
      `${PASSWORD}\0`,
    ]) {
      assert.equal(await passwords.verify(hash, wrong), false, JSON.stringify(wrong))
    }
  })

  it('[NIST63B-norm] normal forms of one text are one password', async () => {
    const hash = await passwords.hash('zoe\u0308 '.repeat(5))
    assert.equal(await passwords.verify(hash, 'zo\u00eb '.repeat(5)), true)
  })

  it('[V6.2.8] nothing is cut: passwords that agree in their first kilobyte are two', async () => {
    const hash = await passwords.hash(`${'x'.repeat(1023)}y`)
    assert.equal(await passwords.verify(hash, `${'x'.repeat(1023)}y`), true)
    assert.equal(await passwords.verify(hash, `${'x'.repeat(1023)}z`), false)
  })

  it('without a hash nothing matches', async () => {
    for (const password of ['', PASSWORD, 'decoy']) {
      assert.equal(await passwords.verify(null, password), false)
      assert.equal(await passwords.verify(null, password, 4), false)
    }
  })

  it('bcrypt hashes of every prefix in use are verified, and made anew', async () => {
    const hash = await hashBcrypt(PASSWORD)
    for (const prefix of ['$2a$', '$2b$', '$2y$']) {
      const stored = hash.replace(/^\$2.\$/, prefix)
      assert.equal(await passwords.verify(stored, PASSWORD, 4), true, prefix)
      assert.equal(await passwords.verify(stored, 'wrong', 4), false, prefix)
      assert.equal(bcryptCost(stored), 4)
      assert.equal(needsRehash(stored), true)
    }
  })

  it('[V6.2.8] bcrypt never cuts: 72 bytes are a password, 73 and a NUL are none', async () => {
    const longest = 'é'.repeat(36)
    const hash = await hashBcrypt(longest)
    assert.equal(await passwords.verify(hash, longest), true)
    assert.equal(await passwords.verify(hash, `${longest}x`), false)
    const short = await hashBcrypt('short')
    assert.equal(await passwords.verify(short, 'short'), true)
    assert.equal(await passwords.verify(short, 'short\0'), false)
    assert.equal(await passwords.verify(short, 'short\0more'), false)
  })

  it('argon2 hashes with other parameters are verified, and made anew', async () => {
    for (const weaker of [
      { algorithm: 2, memoryCost: 8192, timeCost: 2, parallelism: 1 },
      { algorithm: 2, memoryCost: 19_456, timeCost: 1, parallelism: 1 },
      { algorithm: 1, memoryCost: 19_456, timeCost: 2, parallelism: 1 },
    ]) {
      const hash = await argon2.hash(PASSWORD, weaker)
      assert.equal(await passwords.verify(hash, PASSWORD), true)
      assert.equal(await passwords.verify(hash, 'wrong'), false)
      assert.equal(needsRehash(hash), true)
      assert.equal(bcryptCost(hash), undefined)
    }
  })

  it('the cost is read from whole bcrypt hashes alone', () => {
    for (const text of [
      '',
      '$2b$12$',
      '$2x$12$',
      PASSWORD,
      `$2b$12$${'x'.repeat(54)}`,
      `x$2b$12$${'x'.repeat(53)}`,
      `$2b$1$${'x'.repeat(53)}`,
    ]) {
      assert.equal(bcryptCost(text), undefined)
    }
    assert.equal(bcryptCost(`$2b$12$${'x'.repeat(53)}`), 12)
  })

  it('[NIST63B-chars] length is counted in code points of the composed form', () => {
    for (const [password, length] of [
      ['', 0],
      ['abc', 3],
      ['😀😀', 2],
      ['e\u0301', 1],
      ['\u1100\u1161\u11a8', 1],
      ['👨‍👩‍👧', 5],
    ] as const) {
      assert.equal(passwordLength(password), length, password)
    }
  })

  it('a failure is as slow as the slowest bcrypt hash that is stored, whoever it was for', async () => {
    const cost = 10
    const bcryptHash = await bcrypt.hash(PASSWORD, cost)
    const argonHash = await passwords.hash(PASSWORD)
    const time = async (work: () => Promise<unknown>) => {
      const startedAt = performance.now()
      await work()
      return performance.now() - startedAt
    }
    const bcryptTimes = []
    for (let round = 0; round < 3; round++)
      bcryptTimes.push(await time(() => bcrypt.verify('wrong', bcryptHash)))
    const least = Math.min(...bcryptTimes) * 0.8
    for (const hash of [null, argonHash, bcryptHash]) {
      assert.ok((await time(() => passwords.verify(hash, 'wrong', cost))) >= least)
    }
  })

  it('the threads go after the event loop from the first hash on', {
    skip: process.platform !== 'linux' && 'only Linux has a priority for each thread',
  }, async () => {
    await createPasswords({ concurrency: 1 }).hash(PASSWORD)
    const nices = readdirSync('/proc/self/task')
      .filter((id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim() === 'libuv-worker')
      .map((id) => getPriority(Number(id)))
    assert.ok(nices.length > 0)
    for (const nice of nices) assert.ok(nice > getPriority(), `${nice}`)
  })
})
