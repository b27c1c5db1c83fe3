import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createCaller, sameNetwork } from '../../src/core/caller.ts'

describe('caller', () => {
  it('an IPv4 address mapped into IPv6 is the IPv4 address', () => {
    assert.equal(createCaller('::ffff:203.0.113.7', 'x', 'id').ip, '203.0.113.7')
    assert.equal(createCaller('::FFFF:203.0.113.7', 'x', 'id').ip, '203.0.113.7')
    for (const ip of ['203.0.113.7', '::ffff:cb00:7107', '2001:db8::1', '::1', '']) {
      assert.equal(createCaller(ip, 'x', 'id').ip, ip)
    }
  })

  it('a user agent is kept as far as 512 characters; a missing one is empty', () => {
    assert.equal(createCaller('::1', 'x'.repeat(8192), 'id').userAgent, 'x'.repeat(512))
    assert.deepEqual(createCaller('::1', undefined, 'id'), { ip: '::1', userAgent: '', requestId: 'id' })
  })
})

describe('one network', () => {
  for (const [one, other, same] of [
    ['203.0.113.7', '203.0.113.7', true],
    ['203.0.113.7', '203.0.113.8', false],
    ['2001:db8:0:1::1', '2001:db8:0:1:ffff:ffff:ffff:ffff', true],
    ['2001:db8:0:1::1', '2001:0DB8:0000:0001::2', true],
    ['2001:db8:0:1::1', '2001:db8:0:2::1', false],
    ['2001:db8::1', '203.0.113.7', false],
    ['203.0.113.7', '2001:db8::1', false],
    ['::1', '127.0.0.1', false],
    ['', '203.0.113.7', false],
    ['', '', true],
    ['::ffff:203.0.113.7', '203.0.113.7', true],
    ['0:0:0:0:0:ffff:cb00:7107', '203.0.113.7', true],
    ['::ffff:203.0.113.7', '::ffff:203.0.113.8', false],
    ['64:ff9b::203.0.113.7', '64:ff9b::203.0.113.8', false],
  ] as const) {
    it(`"${one}" and "${other}" are ${same ? 'one' : 'two'}`, () =>
      assert.equal(sameNetwork(one, other), same))
  }
})
