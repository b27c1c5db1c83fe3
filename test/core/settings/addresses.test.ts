import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSettings } from '../../../src/core/settings.ts'
import { errorOf, linesOf, settingsOf } from './cases.ts'

test('settings: HOST is an address or a name', () => {
  for (const host of ['0.0.0.0', '::', '::1', 'localhost', 'auth.example.com', 'node_1']) {
    assert.equal(settingsOf({ HOST: host }).host, host)
  }
  for (const wrong of [
    '[::1]',
    '256.1.1.1',
    '127.1',
    'http://localhost',
    'a b',
    'a:80',
    '.a',
    'a.0x1',
    'a'.repeat(254),
  ]) {
    assert.match(errorOf({ HOST: wrong }), /^ {2}HOST: /m)
  }
})

test('settings: PUBLIC_URL follows HOST and PORT when unset', () => {
  const publicUrlOf = (HOST: string, PORT: string) => settingsOf({ HOST, PORT }).publicUrl
  assert.equal(publicUrlOf('::1', '8000'), 'http://[::1]:8000')
  assert.equal(publicUrlOf('localhost', '80'), 'http://localhost')
  for (const everywhere of ['0.0.0.0', '::', '::0'])
    assert.equal(publicUrlOf(everywhere, '9'), 'http://localhost:9')
  assert.equal(publicUrlOf('fe80::1%eth0', '9'), 'http://[fe80::1]:9')
})

test('settings: PUBLIC_URL is brought into one form', () => {
  const publicUrlOf = (url: string) => settingsOf({ PUBLIC_URL: url }).publicUrl
  assert.equal(publicUrlOf('https://Auth.Example.com:443/'), 'https://auth.example.com')
  assert.equal(publicUrlOf('https://example.com/auth/'), 'https://example.com/auth')
})

test('settings: PUBLIC_URL with more than an origin and a path is refused', () => {
  const wrong = [
    'example.com',
    'ftp://a.example',
    'https:a.example',
    'https://',
    'https://a.example?',
    'https://a.example/#x',
  ]
  for (const url of [
    ...wrong,
    'https://a.example/a b',
    'https://a.example//b',
    'https://a.example/%2e',
    'https://a.example/b/../c',
  ]) {
    assert.match(errorOf({ PUBLIC_URL: url }), /^ {2}PUBLIC_URL: .*; expected an http\(s\) URL/m)
  }
  const message = errorOf({
    PUBLIC_URL: 'https://me:pa55word@a.example',
    HOST: 'http://me:pa55word@a.example',
  })
  assert.ok(!message.includes('pa55word'))
})

test('settings: plain HTTP to another machine is a warning', () => {
  const warningsOf = (PUBLIC_URL: string) =>
    checkSettings({ env: { PUBLIC_URL }, directory: '/nowhere' }).warnings
  for (const url of [
    'http://auth.example.com',
    'http://192.168.1.5',
    'http://localhost.example',
    'http://[::2]',
  ]) {
    assert.match(warningsOf(url).join(), /^PUBLIC_URL: .* is not https/)
  }
  for (const url of [
    'https://auth.example.com',
    'http://localhost:1',
    'http://a.localhost',
    'http://127.9.9.9',
    'http://[::1]',
  ]) {
    assert.deepEqual(warningsOf(url), [])
  }
})

test('settings: PWNED_PASSWORDS_URL is https, or on this machine, and ends with one slash', () => {
  assert.equal(settingsOf({}).pwnedPasswordsUrl, undefined)
  for (const [url, kept] of [
    ['https://api.pwnedpasswords.com/range/', 'https://api.pwnedpasswords.com/range/'],
    ['https://API.pwnedpasswords.com/range', 'https://api.pwnedpasswords.com/range/'],
    ['https://mirror.example', 'https://mirror.example/'],
    ['http://127.0.0.1:9000/range/', 'http://127.0.0.1:9000/range/'],
    ['http://[::1]:9000', 'http://[::1]:9000/'],
    ['http://localhost/range', 'http://localhost/range/'],
  ] as const) {
    assert.equal(settingsOf({ PWNED_PASSWORDS_URL: url }).pwnedPasswordsUrl, kept)
  }
  for (const wrong of [
    'http://api.pwnedpasswords.com/range/',
    'ftp://api.pwnedpasswords.com/range/',
    'api.pwnedpasswords.com/range/',
    'https://me:pa55word@api.pwnedpasswords.com/range/',
    'https://api.pwnedpasswords.com/range/?mode=ntlm',
    'https://api.pwnedpasswords.com/range/#',
    'https://api.pwnedpasswords.com/ra nge/',
  ]) {
    const message = errorOf({ PWNED_PASSWORDS_URL: wrong })
    assert.match(message, /^ {2}PWNED_PASSWORDS_URL: .*; expected an https URL with a path at most/m)
    assert.ok(!message.includes('pa55word'))
  }
})

test('settings: PASSWORD_CONTEXT_WORDS are words that are long enough to be looked for', () => {
  const words = (PASSWORD_CONTEXT_WORDS: string) =>
    settingsOf({ PASSWORD_CONTEXT_WORDS }).passwordContextWords
  assert.deepEqual(words(''), [])
  assert.deepEqual(words(' acme, Road Runner ,,acme,ünïk,🚪🚪🚪🚪,'), [
    'acme',
    'Road Runner',
    'ünïk',
    '🚪🚪🚪🚪',
  ])
  const many = (count: number) => Array.from({ length: count }, (_, index) => `word${index}`).join(',')
  assert.equal(words(many(100)).length, 100)
  assert.equal(words('x'.repeat(64)).length, 1)
  for (const wrong of ['abc', 'acme,🚪🚪🚪', 'x'.repeat(65), many(101)]) {
    const message = errorOf({ PASSWORD_CONTEXT_WORDS: wrong })
    assert.match(
      message,
      /^ {2}PASSWORD_CONTEXT_WORDS: .*; expected at most 100 words of 4 to 64 characters/m,
    )
  }
})

test('settings: PROJECT_NAME has 1 to 100 printable characters', () => {
  for (const name of ['P', 'Ünïcode 🚪', '🚪'.repeat(100)])
    assert.equal(settingsOf({ PROJECT_NAME: name }).projectName, name)
  for (const wrong of [' ', 'a'.repeat(101), 'a\nb', 'a\u001bb', 'a\u2028b']) {
    const message = errorOf({ PROJECT_NAME: wrong })
    assert.equal(linesOf(message).length, 1)
    assert.ok(!message.includes('\u001b'))
  }
})

test('settings: API_V1_STR is a path of its own', () => {
  for (const path of ['/v1', '/api/v1', '/a.b/c-d/e_f', '/docs-v2'])
    assert.equal(settingsOf({ API_V1_STR: path }).apiPrefix, path)
  const collisions = ['/docs', '/health/v1', '/.well-known', '/problems']
  for (const path of [
    '/',
    'api',
    '/api/',
    '/api//v1',
    '/api v1',
    '/:id',
    '/../api',
    '/a?b',
    '/*',
    ...collisions,
  ]) {
    assert.match(errorOf({ API_V1_STR: path }), /^ {2}API_V1_STR: .*; expected a path such as/m)
  }
})

test('settings: CORS_ORIGINS is a list of exact origins', () => {
  const origins = settingsOf({
    CORS_ORIGINS: 'https://a.example, http://localhost:3000,https://a.example,',
  }).corsOrigins
  assert.deepEqual(origins, ['https://a.example', 'http://localhost:3000'])
  const wrong = [
    '*',
    'https://*.a.example',
    'null',
    'a.example',
    'https://a.example/',
    'https://a.example/x',
    'https://A.example',
  ]
  for (const origin of [...wrong, 'https://a.example:443', 'ftp://a.example', '["https://a.example"]']) {
    assert.match(
      errorOf({ CORS_ORIGINS: `https://b.example,${origin}` }),
      /^ {2}CORS_ORIGINS: .*; expected origins/m,
    )
  }
  assert.ok(!errorOf({ CORS_ORIGINS: 'https://me:pa55word@a.example' }).includes('pa55word'))
})
