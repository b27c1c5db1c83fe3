import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { newId } from '../../src/core/ids.ts'
import { issueTokens } from '../../src/features/sessions/issue-tokens.ts'
import { startServer, type TestServer } from '../kit.ts'
import { claimsOf } from '../support/tokens.ts'

const COUNT = 10_000
/** How far from half a fair coin may be after so many throws: seven standard deviations. */
const TOLERANCE = 7 * Math.sqrt(COUNT / 4)

// No database takes part in it.
describe('the tokens of ten thousand sessions', () => {
  let server: TestServer
  before(async () => {
    server = await startServer('sqlite')
  })
  after(() => server.close())

  it('[V7.2.3] no two are alike, and in each there are 128 bits and more that nobody can guess', async () => {
    const { context } = server
    await server.register()
    const session = await context.db.selectFrom('sessions').selectAll().executeTakeFirstOrThrow()
    const pairs = Array.from({ length: COUNT }, () => issueTokens(context, { ...session, id: newId() }))
    const ids = pairs.map(({ access_token }) => claimsOf(access_token).sid)
    const unguessable = {
      jti: pairs.map(({ access_token }) => String(claimsOf(access_token).jti)),
      // What is random in a refresh token is its MAC, under a key that nobody has.
      mac: pairs.map(({ refresh_token }) => refresh_token.split('.')[2] ?? ''),
    }
    for (const list of [ids, ...Object.values(unguessable)]) assert.equal(new Set(list).size, COUNT)
    for (const [name, bits] of [
      ['jti', 128],
      ['mac', 256],
    ] as const) {
      for (const text of unguessable[name]) assert.equal(Buffer.from(text, 'base64url').length * 8, bits)
      for (const ones of countOnes(unguessable[name], bits)) {
        assert.ok(Math.abs(ones - COUNT / 2) < TOLERANCE, `${ones} of ${COUNT}`)
      }
    }
  })
})

/** How many of the texts have each bit set. */
function countOnes(texts: string[], bits: number): number[] {
  const ones = new Array<number>(bits).fill(0)
  for (const text of texts) {
    const bytes = Buffer.from(text, 'base64url')
    for (let bit = 0; bit < bits; bit += 1) {
      ones[bit] = (ones[bit] ?? 0) + (((bytes[bit >> 3] ?? 0) >> (bit & 7)) & 1)
    }
  }
  return ones
}
