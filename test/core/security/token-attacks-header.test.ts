import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { attack, encode, SECRET_KEY, type Victim } from './token-kit.ts'

const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const attackerJwk = attacker.publicKey.export({ format: 'jwk' })

const hmac = (secret: string | Buffer, input: string): string =>
  createHmac('sha256', secret).update(input).digest('base64url')

/** The token with these header members changed, signed with the right key. */
const withHeader = (victim: Victim, changes: Record<string, unknown>): string =>
  victim.resign({ header: { ...victim.headerJson, ...changes } })

/** The victim's claims under another header, signed with a secret that an attacker knows. */
function signedWith(secret: string | Buffer, header: unknown, { payload }: Victim): string {
  const input = `${encode(header)}.${payload}`
  return `${input}.${hmac(secret, input)}`
}

function signedByAttacker(header: unknown, { payload }: Victim): string {
  const input = `${encode(header)}.${payload}`
  const signature = sign('sha256', Buffer.from(input), {
    key: attacker.privateKey,
    dsaEncoding: 'ieee-p1363',
  })
  return `${input}.${signature.toString('base64url')}`
}

const NONE = ['none', 'None', 'NONE', 'nOnE', 'none ', '', null, undefined, [], ['none'], 0, false]

attack(
  '[ATK-none] [V9.1.2] alg none in any spelling, or absent, is refused with and without a signature',
  (victim) =>
    NONE.flatMap((alg) => {
      const header = encode({ ...victim.headerJson, alg })
      return [
        `${header}.${victim.payload}.`,
        `${header}.${victim.payload}`,
        `${header}.${victim.payload}.${victim.signature}`,
        `${encode({ alg, typ: 'JWT' })}.${victim.payload}.`,
        withHeader(victim, { alg }),
      ]
    }),
)

attack('[ATK-none] the right header without a signature, or with an empty one, is refused', (victim) => [
  `${victim.header}.${victim.payload}.`,
  `${victim.header}.${victim.payload}`,
  `${victim.header}.${victim.payload}.${encode(Buffer.alloc(1))}`,
  `${victim.header}.${victim.payload}.${encode(Buffer.alloc(32))}`,
  `${victim.header}.${victim.payload}.${encode(Buffer.alloc(64))}`,
])

/** Every form in which a public key is commonly stored, and thus used as an HMAC secret by mistake. */
function publicForms(key: KeyObject, published: object): (string | Buffer)[] {
  const jwk = key.export({ format: 'jwk' })
  const spki = key.export({ format: 'pem', type: 'spki' }).toString()
  const forms = [
    spki,
    spki.trimEnd(),
    spki.replaceAll('\n', '\r\n'),
    spki.replaceAll(/-----.*-----|\n/g, ''),
    key.export({ format: 'der', type: 'spki' }),
    JSON.stringify(jwk),
    JSON.stringify(published),
    JSON.stringify({ keys: [published] }),
    Buffer.from(jwk.n ?? jwk.x ?? '', 'base64url'),
    jwk.n ?? jwk.x ?? '',
  ]
  if (key.asymmetricKeyType !== 'rsa') return forms
  const pkcs1 = key.export({ format: 'pem', type: 'pkcs1' }).toString()
  return [...forms, pkcs1, pkcs1.trimEnd(), key.export({ format: 'der', type: 'pkcs1' })]
}

attack('[ATK-hs-rs] [V9.1.2] [RFC8725-3.1a] a public key is no HMAC secret, in whatever form', (victim) =>
  victim.issuer.keyring.jwks.keys.flatMap((published) =>
    publicForms(createPublicKey({ key: published, format: 'jwk' }), published).flatMap((secret) => [
      signedWith(secret, { ...victim.headerJson, alg: 'HS256' }, victim),
      signedWith(secret, { alg: 'HS256', typ: victim.headerJson.typ, kid: published.kid }, victim),
      signedWith(secret, { alg: 'HS256', typ: 'JWT' }, victim),
      signedWith(secret, victim.headerJson, victim),
    ]),
  ),
)

const GUESSES = [
  '',
  '\0',
  'secret',
  'changeme',
  'your-256-bit-secret',
  'postern',
  SECRET_KEY,
  'null',
  'undefined',
]

attack('[RFC8725-3.5] neither a common secret nor the root secret itself signs', (victim) =>
  GUESSES.flatMap((secret) => [
    signedWith(secret, victim.headerJson, victim),
    signedWith(secret, { ...victim.headerJson, alg: 'HS256' }, victim),
  ]),
)

const OTHER_ALGORITHMS = [
  ...['ES256', 'ES384', 'ES512', 'ES256K', 'EdDSA', 'Ed25519', 'ESP256', 'RS256', 'RS384', 'RS512'],
  ...['PS256', 'PS384', 'PS512', 'HS256', 'HS384', 'HS512', 'RS1', 'RSA-OAEP', 'dir', 'PBES2-HS256+A128KW'],
  ...['es256', 'rs256', 'hs256', 'eddsa', 'RS256 ', ' HS256', 'ES256\0', 'HS256\n'],
]

attack(
  '[RFC8725-3.1a] [RFC8725-3.1b] [RFC8725bis-3.1] a key serves one algorithm, by its exact name',
  (victim) =>
    OTHER_ALGORITHMS.filter((alg) => alg !== victim.key.algorithm).flatMap((alg) => [
      withHeader(victim, { alg }),
      `${encode({ ...victim.headerJson, alg })}.${victim.payload}.${victim.signature}`,
      signedByAttacker({ ...victim.headerJson, alg }, victim),
    ]),
)

const KIDS = [
  ...[
    '',
    ' ',
    '\0',
    '../../../../dev/null',
    '/dev/null',
    'file:///dev/null',
    'C:\\nul',
    "' OR '1'='1",
    '" --',
  ],
  ...[
    "x' UNION SELECT 'secret' --",
    '; cat /etc/passwd',
    '| id',
    '$(id)',
    '`id`',
    '%00',
    '%2e%2e%2f',
    '{{7*7}}',
  ],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'size', '0', 'undefined', 'null'],
  ...[null, 0, 1, -1, 1.5, true, [], [''], {}, { $ne: null }, undefined, 'k'.repeat(10_000)],
]

attack('[ATK-kid] [RFC8725-3.10] [V9.1.3] a kid that is not the key’s own finds no key', (victim) =>
  KIDS.flatMap((kid) => [
    withHeader(victim, { kid }),
    withHeader(victim, { kid: [victim.key.kid] }),
    withHeader(victim, { kid: `${victim.key.kid}${String(kid) || ' '}` }),
    signedWith('', { ...victim.headerJson, alg: 'HS256', kid }, victim),
    signedByAttacker({ ...victim.headerJson, alg: 'ES256', kid }, victim),
  ]),
)

attack('[ATK-jku] [V9.1.3] [RFC8725-3.10] a token cannot bring its own key', (victim) => {
  const url = 'http://127.0.0.1:9/jwks.json'
  const x5c = [attacker.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')]
  const offers = [{ jwk: attackerJwk }, { jku: url }, { x5u: url }, { x5c }, { x5t: 'AA', 'x5t#S256': 'AA' }]
  return offers.flatMap((offer) => [
    withHeader(victim, offer),
    signedByAttacker({ alg: 'ES256', typ: victim.headerJson.typ, ...offer }, victim),
    signedByAttacker({ ...victim.headerJson, alg: 'ES256', ...offer }, victim),
    signedByAttacker({ ...victim.headerJson, ...offer }, victim),
  ])
})

attack('[ATK-crit] [RFC8725-3.6] extensions and compression are refused, understood or not', (victim) => [
  ...[['exp'], ['b64'], [], 'b64', {}, null, [''], ['unknown'], [1]].map((crit) =>
    withHeader(victim, { crit }),
  ),
  withHeader(victim, { b64: false, crit: ['b64'] }),
  withHeader(victim, { b64: false }),
  withHeader(victim, { b64: true, crit: ['b64'] }),
  withHeader(victim, { zip: 'DEF' }),
  withHeader(victim, { enc: 'A256GCM' }),
  withHeader(victim, { p2c: 2 ** 31 - 1, p2s: 'AAAA' }),
])

const TYPES = [
  ...['JWT', 'jwt', 'AT+JWT', 'At+Jwt', 'application/at+jwt', 'at+jwt ', 'at+jw', 'at+jwt+x', 'logout+jwt'],
  ...['secevent+jwt', 'dpop+jwt', 'oauth-authz-req+jwt', 'id+jwt', 'mfa+jwt', '', null, undefined, 0],
  ...[['at+jwt'], { typ: 'at+jwt' }],
]

attack(
  '[ATK-typ] [RFC8725-3.11] [V9.2.2] any other typ, or none, is refused although signed with the right key',
  (victim) => [
    ...TYPES.map((typ) => withHeader(victim, { typ })),
    withHeader(victim, { typ: victim.kind === 'access' ? 'rt+jwt' : 'at+jwt' }),
    withHeader(victim, { cty: 'JWT' }),
    victim.resign({ header: { ...victim.headerJson, cty: 'JWT' }, payload: victim.token }),
  ],
)

attack('[ATK-dup] [RFC8725-3.7] the same header in any other writing is refused', (victim) => {
  const json = JSON.stringify(victim.headerJson)
  const { alg, typ, kid } = victim.headerJson
  return [
    json.replace('{', '{"alg":"none",'),
    json.replace('}', ',"alg":"none"}'),
    json.replace('{', `{"alg":"${alg}",`),
    json.replace('}', `,"kid":"${kid}"}`),
    json.replace('}', ',"typ":"JWT"}'),
    json.replace('"alg"', '"\\u0061lg"'),
    json.replace('{', '{ '),
    `${json}\n`,
    ` ${json}`,
    `\uFEFF${json}`,
    Buffer.from(json, 'utf16le'),
    Buffer.concat([Buffer.from(json), Buffer.from([0xff])]),
    `${json}\0`,
    `[${json}]`,
    json.replace('}', ',"__proto__":{}}'),
    { typ, alg, kid },
    { kid, typ, alg },
    { alg, typ, kid, extra: 1 },
    { alg, kid },
    { alg, typ },
    { Alg: alg, Typ: typ, Kid: kid },
    {},
    [],
    'null',
    '""',
    'x',
  ].map((header) => victim.resign({ header }))
})

attack('[ATK-huge] an 8 kB header is refused although signed with the right key', (victim) => [
  withHeader(victim, { pad: 'x'.repeat(8192) }),
  victim.resign({ header: `${JSON.stringify(victim.headerJson)}${' '.repeat(8192)}` }),
  victim.resign({ header: `${'['.repeat(10_000)}${']'.repeat(10_000)}` }),
])
