import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import { DJANGO, MILLION, ZXCVBN } from '../../support/password-lists.ts'
import { createIssuer, createVictims } from './token-kit.ts'

/** The 100,000 most common passwords, two further lists, and what tutorials and images ship as a secret. */
const SECRETS = new Set([
  ...MILLION.slice(0, 100_000),
  ...DJANGO,
  ...ZXCVBN,
  ...['secret', 'your-256-bit-secret', 'your_jwt_secret', 'jwt_secret', 'changeme', 'change-me', 'secretkey'],
  ...[
    'super-secret',
    'supersecret',
    'mysecretkey',
    'shhhhh',
    'some_jwt_secret',
    'AllYourBase',
    'gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr9C',
  ],
  '09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7',
])

/** The secrets of the list that would have made this signature: what a cracker would find. */
function crack(token: string, secrets: Iterable<string>): string[] {
  const [input, signature] = [token.slice(0, token.lastIndexOf('.')), token.slice(token.lastIndexOf('.') + 1)]
  const makes = (secret: string) =>
    createHmac('sha256', secret).update(input).digest('base64url') === signature
  return [...secrets].filter(makes)
}

test('[ATK-secret-brute] [RFC8725-3.5] no secret of the lists that crackers use makes the signature of an HS256 token of ours', async () => {
  assert.ok(SECRETS.size > 100_000)
  for (const { token } of createVictims(await createIssuer('HS256'))) {
    assert.deepEqual(crack(token, SECRETS), [])
  }
  const input = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ'
  const weak = `${input}.${createHmac('sha256', 'shhhhh').update(input).digest('base64url')}`
  assert.deepEqual(crack(weak, SECRETS), ['shhhhh'], 'the control')
})
