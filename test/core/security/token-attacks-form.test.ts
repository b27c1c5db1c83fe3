import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { deflateRawSync } from 'node:zlib'
import { CompactEncrypt } from 'jose'
import { deriveKey } from '../../../src/core/security/secrets.ts'
import {
  assertRefused,
  attack,
  createIssuer,
  createVictims,
  encode,
  SECRET_KEY,
  split,
  type Victim,
} from './token-kit.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const replaceAt = (text: string, at: number, by: string): string =>
  text.slice(0, at) + by + text.slice(at + 1)

const insertAt = (text: string, at: number, what: string): string => text.slice(0, at) + what + text.slice(at)

/** The character whose six bits differ from this one's by the mask. */
const flip = (character: string, mask: number): string => ALPHABET.charAt(ALPHABET.indexOf(character) ^ mask)

attack('[V9.1.1] a token with any one character changed is refused', (victim) =>
  Array.from(victim.token, (character, at) =>
    character === '.'
      ? [...'A-_', ''].map((by) => replaceAt(victim.token, at, by))
      : [1, 2 << (at % 5)].map((mask) => replaceAt(victim.token, at, flip(character, mask))),
  ).flat(),
)

attack(
  '[V9.1.1] every beginning and every end of a token is refused, and it with any one character removed or doubled',
  (victim) =>
    Array.from(victim.token, (character, at) => [
      victim.token.slice(0, at),
      victim.token.slice(at + 1),
      replaceAt(victim.token, at, ''),
      insertAt(victim.token, at, character),
    ]).flat(),
)

attack('[ATK-b64] the surplus bits at the end of a part must be zero', (victim) => {
  const { header, payload, signature } = victim
  const masks = Array.from({ length: 63 }, (_, index) => index + 1)
  const altered = (part: string): string[] =>
    masks.map((mask) => replaceAt(part, part.length - 1, flip(part.slice(-1), mask)))
  return [
    ...altered(header).map((part) => `${part}.${payload}.${signature}`),
    ...altered(payload).map((part) => `${header}.${part}.${signature}`),
    ...altered(signature).map((part) => `${header}.${payload}.${part}`),
  ]
})

attack(
  '[ATK-b64] a part signed with surplus bits or a lone character is refused although the signature is right',
  (victim) => {
    const lastAltered = (part: string): string[] =>
      [1, 2, 3].map((mask) => part.slice(0, -1) + flip(part.slice(-1), mask))
    return ['', ' ', '  ']
      .map((space) => encode({ ...victim.claims, pad: space }))
      .flatMap((payload) => [...lastAltered(payload), `${payload}A`, `${payload}=`, `${payload}==`])
      .map((payload) => `${victim.header}.${payload}.${victim.key.sign(`${victim.header}.${payload}`)}`)
  },
)

const STRANGE = [
  ...[
    ' ',
    '\n',
    '\r',
    '\r\n',
    '\t',
    '\0',
    '=',
    '==',
    '+',
    '/',
    '%',
    '%2E',
    ',',
    ';',
    ':',
    '"',
    "'",
    '{',
    '}',
    '\\',
    '~',
  ],
  ...[
    '\u00a0',
    '\u200b',
    '\u2028',
    '\ufeff',
    '\u017f',
    '\u212a',
    '\uff21',
    '\ud800',
    '\udfff',
    '\u{1f511}',
    '\u0301',
  ],
]

attack(
  '[RFC8725bis-3.14] [ATK-b64] nothing outside the alphabet is skipped, wherever it stands',
  (victim) => {
    const { header, payload, token } = victim
    const places = [0, 1, header.length, header.length + 1, header.length + payload.length + 1]
    const ends = [header.length + payload.length + 2, token.length - 1, token.length]
    return STRANGE.flatMap((what) => [...places, ...ends].map((at) => insertAt(token, at, what)))
  },
)

attack('[ATK-b64] [RFC8725bis-3.14] standard base64, padding and other writings are refused', (victim) => {
  const { header, payload, signature, token } = victim
  const standard = (part: string): string => Buffer.from(part, 'base64url').toString('base64')
  return [
    [header, payload, signature].map(standard).join('.'),
    `${header}.${payload}.${standard(signature)}=`,
    `${standard(header)}=.${payload}.${signature}`,
    `${header}.${payload}.${signature}=`,
    `${header}.${payload}.${signature}==`,
    `${header}.${payload}.${signature.replaceAll('-', '+').replaceAll('_', '/')}=`,
    `${header}.${payload}.${Buffer.from(signature, 'base64url').toString('hex')}`,
    `Bearer ${token}`,
    `"${token}"`,
    encodeURIComponent(`${token} `),
    token.toUpperCase(),
    token.toLowerCase(),
    [...token].join('\0'),
    token.normalize().replaceAll('A', '\uff21').concat('\uff21'),
    encode(token),
  ]
})

attack('[ATK-json-ser] a token has exactly three parts, none of them empty', (victim) => {
  const { header, payload, signature, token } = victim
  return [
    '',
    '.',
    '..',
    '...',
    `.${payload}.${signature}`,
    `${header}..${signature}`,
    `${header}.${payload}.`,
    `.${token}`,
    `${token}.`,
    `${token}.${signature}`,
    `${token}.AA.AA`,
    `${header}.${token}`,
    `${token}${token}`,
    `${token}.${token}`,
    `${header}${payload}.${signature}`,
    `${payload}.${header}.${signature}`,
    `${signature}.${payload}.${header}`,
  ]
})

attack('[ATK-json-ser] the JSON serialisations are no token', ({ header, payload, signature, token }) => {
  const signed = { protected: header, signature }
  const forged = { protected: encode({ alg: 'none' }), signature: '' }
  return [
    { payload, ...signed },
    { payload, signatures: [signed] },
    { payload, signatures: [signed, forged] },
    { payload, signatures: [forged, signed] },
    { payload, header: { alg: 'none' }, ...signed },
    { payload, signatures: [signed], ...forged },
    [token],
    { token },
  ].flatMap((form) => [JSON.stringify(form), encode(form)])
})

const encrypted = (
  victim: Victim,
  content: string,
  alg: string,
  key: Parameters<CompactEncrypt['encrypt']>[0],
) =>
  new CompactEncrypt(Buffer.from(content))
    .setProtectedHeader({
      alg,
      enc: 'A256GCM',
      typ: String(victim.headerJson.typ),
      kid: victim.key.kid,
      cty: 'JWT',
    })
    .encrypt(key)

attack(
  '[RFC8725bis-3.3] [RFC8725-3.3] what anyone can encrypt to our public key does not count as signed',
  async (victim) => {
    const altered = `${victim.token.slice(0, -4)}AAAA`
    const contents = [victim.token, altered, JSON.stringify(victim.claims)]
    const recipients = victim.issuer.keyring.jwks.keys.filter(({ kty }) => kty !== 'OKP')
    const toPublicKey = recipients.flatMap((jwk) => {
      const alg = jwk.kty === 'EC' ? 'ECDH-ES' : 'RSA-OAEP-256'
      const key = createPublicKey({ key: jwk, format: 'jwk' })
      return contents.map((content) => encrypted(victim, content, alg, key))
    })
    const derived = deriveKey(SECRET_KEY, 'access-hs256')
    const direct = contents.map((content) => encrypted(victim, content, 'dir', derived))
    const tokens = await Promise.all([...toPublicKey, ...direct])
    return tokens.flatMap((token) => {
      const parts = token.split('.')
      return [token, parts.slice(0, 3).join('.'), parts.slice(2).join('.')]
    })
  },
)

const HOSTILE = [
  ...[
    '\ud800',
    '\udfff\ud800',
    'a.b.\ud800',
    '\0',
    '\0.\0.\0',
    '__proto__',
    'a.b.c',
    '-.-._',
    '_._._',
    'constructor',
  ],
  ...[
    'undefined',
    'null',
    '[object Object]',
    '0',
    '\u202e',
    '🔑.🔑.🔑',
    'A'.repeat(4096),
    `${'A.'.repeat(2047)}A`,
  ],
]

attack('[RFC8725-3.10] hostile text is refused without a throw', () => HOSTILE)

attack(
  '[ATK-huge] a token of more than 4096 characters is refused although it is signed with the right key',
  (victim) =>
    [4096, 8192].map((size) => victim.resign({ payload: { ...victim.claims, pad: 'x'.repeat(size) } })),
)

function refusalMillis(victim: Victim, text: string): number {
  const start = performance.now()
  assertRefused(victim, text)
  return performance.now() - start
}

test('[ATK-huge] a token of a megabyte is refused in less than 50 ms', async () => {
  for (const victim of createVictims(await createIssuer('ES256'))) {
    const million = 'A'.repeat(1_000_000)
    const huge = [
      million,
      '.'.repeat(1_000_000),
      'A.'.repeat(500_000),
      `${victim.header}.${million}.${victim.signature}`,
      `${victim.header}.${victim.payload}.${million}`,
      `${million}.${victim.payload}.${victim.signature}`,
      `${victim.token}${' '.repeat(1_000_000)}`,
      '\ud800'.repeat(1_000_000),
    ]
    for (const text of huge) {
      assert.ok(Math.min(...[1, 2, 3].map(() => refusalMillis(victim, text))) < 50)
    }
  }
})

test('a token of exactly 4096 characters is accepted, one of a character more is not', async () => {
  const [access] = createVictims(await createIssuer('HS256'))
  assert.ok(access)
  const sized = (pad: number): string =>
    access.resign({ payload: { ...access.claims, pad: 'x'.repeat(pad) } })
  const lengths = Array.from({ length: 200 }, (_, index) => sized(2650 + index))
  const longest = lengths.findLast((token) => token.length <= 4096)
  const next = lengths.find((token) => token.length > 4096)
  assert.ok(longest && next && longest.length > 4090)
  assert.deepEqual(access.issuer.tokens.verifyAccess(longest), access.claims)
  assertRefused(access, next)
  assert.equal(split(longest).header, access.header)
})

/** Encrypted to nobody: what costs time or memory would do so before anything is decrypted. */
const bomb = (header: Record<string, unknown>, ciphertext: Buffer): string =>
  [header, Buffer.alloc(40), Buffer.alloc(12), ciphertext, Buffer.alloc(16)].map(encode).join('.')

test('[RFC8725bis-3.13] [RFC8725bis-3.15] a JWE that asks for two billion rounds, or swells to megabytes, is refused in less than 50 ms', async () => {
  const zeros = deflateRawSync(Buffer.alloc(16 * 2 ** 20))
  for (const victim of createVictims(await createIssuer('ES256'))) {
    const { typ } = victim.headerJson
    const slow = { alg: 'PBES2-HS256+A128KW', enc: 'A128GCM', p2c: 2 ** 31 - 1, p2s: 'c2FsdA', typ }
    const swelling = { alg: 'dir', enc: 'A128GCM', zip: 'DEF', typ, kid: victim.key.kid }
    const tokens = [
      bomb(slow, Buffer.from(victim.token)),
      bomb(swelling, zeros),
      `${encode(swelling)}.${zeros.toString('base64url')}.${victim.signature}`,
      victim.resign({ header: { ...victim.headerJson, zip: 'DEF' }, payload: zeros }),
    ]
    for (const token of tokens) {
      assert.ok(Math.min(...[1, 2, 3].map(() => refusalMillis(victim, token))) < 50)
    }
  }
})
