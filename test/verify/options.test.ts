import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createVerifier, type VerifierOptions } from '../../packages/verify/src/index.ts'

const KEY = 'postern_sk_c2VjcmV0'
const GOOD = { issuer: 'https://auth.example.com', revocations: false } as const

function refusal(options: unknown): string {
  try {
    createVerifier(options as VerifierOptions).close()
  } catch (error) {
    assert.ok(error instanceof TypeError)
    assert.ok(!error.message.includes(KEY))
    return error.message
  }
  assert.fail('nothing was wrong')
}

for (const issuer of [
  'https://auth.example.com',
  'https://auth.example.com:8443',
  'https://example.com/auth',
  'http://localhost:8000',
  'http://127.0.0.1:8000',
  'http://127.1.2.3',
  'http://[::1]:8000',
  'http://auth.localhost',
]) {
  test(`${issuer} may be the issuer`, () => {
    createVerifier({ ...GOOD, issuer }).close()
  })
}

for (const [issuer, message] of [
  [undefined, /issuer must be a URL/],
  ['', /issuer must be a URL/],
  ['auth.example.com', /issuer must be a URL/],
  [5, /issuer must be a URL/],
  ['http://auth.example.com', /issuer must be https/],
  ['http://127.0.0.1.example.com', /issuer must be https/],
  ['http://localhost.example.com', /issuer must be https/],
  ['http://10.0.0.1', /issuer must be https/],
  ['ftp://auth.example.com', /issuer must be https/],
  ['https://me:secret@auth.example.com', /issuer must have no credentials/],
  ['https://auth.example.com?x=1', /issuer must have no credentials, query or fragment/],
  ['https://auth.example.com/#x', /issuer must have no credentials, query or fragment/],
  ['https://auth.example.com/', /issuer must be written as the server does: "https:\/\/auth\.example\.com"$/],
  ['https://AUTH.example.com', /issuer must be written as the server does/],
  ['https://auth.example.com:443', /issuer must be written as the server does/],
  [' https://auth.example.com', /issuer must be written as the server does/],
] as const) {
  test(`${JSON.stringify(issuer)} may not`, () => {
    assert.match(refusal({ ...GOOD, issuer }), message)
  })
}

const WRONG: [string, object, RegExp][] = [
  [
    'no revocations',
    { revocations: undefined },
    /revocations must be \{ key: "postern_sk_\.\.\." \}, or false$/,
  ],
  ['revocations: true', { revocations: true }, /revocations must be/],
  ['no key', { revocations: {} }, /revocations\.key must be a service key/],
  ['an empty key', { revocations: { key: '' } }, /revocations\.key must be a service key/],
  ['a key with a newline', { revocations: { key: `${KEY}\n` } }, /revocations\.key must be a service key/],
  [
    'an unknown onGap',
    { revocations: { key: KEY, onGap: 'ask' } },
    /onGap must be "introspect", "reject" or "accept"$/,
  ],
  ['no staleness', { revocations: { key: KEY, maxStalenessSeconds: 0 } }, /maxStalenessSeconds must be/],
  ['endless staleness', { revocations: { key: KEY, maxStalenessSeconds: Infinity } }, /maxStalenessSeconds/],
  ['an unknown option', { maxStalenessSeconds: 20 }, /createVerifier has no option "maxStalenessSeconds"/],
  ['an unknown option within', { revocations: { key: KEY, ongap: 'reject' } }, /has no option "ongap"/],
  ['an empty audience', { audience: '' }, /audience must be/],
  ['several audiences', { audience: ['a', 'b'] }, /audience must be/],
  ['a prefix with a slash at its end', { apiPrefix: '/api/' }, /apiPrefix must be/],
  ['a prefix that is no path', { apiPrefix: 'api' }, /apiPrefix must be/],
  ['a prefix that leads elsewhere', { apiPrefix: '/..?x=' }, /apiPrefix must be/],
  ['half a token', { maxTokens: 0.5 }, /maxTokens must be/],
  ['a clock that is a time', { now: 5 }, /now must be a function/],
  ['a log that is no function', { onError: 'console' }, /onError must be a function/],
]

for (const [name, options, message] of WRONG) {
  test(`${name} is refused, in one sentence`, () => {
    const sentence = refusal({ ...GOOD, ...options })
    assert.match(sentence, message)
    assert.match(sentence, /^@postern\/verify: .+$/)
  })
}

test('without options at all it says so', () => {
  assert.match(refusal(undefined), /createVerifier needs its options/)
})
