import type { AccessClaims } from '../../../src/core/security/tokens.ts'
import { AUDIENCE, accessClaims, attack, encode, ISSUER, NOW_SECONDS, type Victim } from './token-kit.ts'

/** The token with these claims changed (undefined: left out), signed with the right key. */
const withClaims = (victim: Victim, changes: Record<string, unknown>): string =>
  victim.resign({ payload: { ...victim.claims, ...changes } })

/** The token with one claim's value replaced by this text, which need not be JSON, signed with the right key. */
const withRawClaim = (victim: Victim, name: string, text: string): string => {
  const json = JSON.stringify({ ...victim.claims, [name]: '@' })
  return victim.resign({ payload: json.replace('"@"', text) })
}

const has = ({ claims }: Victim, name: string): boolean => Object.hasOwn(claims, name)

const namesIn = (victim: Victim, names: string[]): string[] => names.filter((name) => has(victim, name))

const NO_TEXT: unknown[] = [undefined, null, 0, 1, true, false, [], ['x'], {}, { toString: 'x' }]

attack('[V9.2.1] [V9.2.3] a claim that is text is neither missing nor anything else', (victim) =>
  namesIn(victim, ['iss', 'aud', 'sub', 'sid', 'jti', 'client_id', 'scope', 'type']).flatMap((name) => [
    ...NO_TEXT.map((value) => withClaims(victim, { [name]: value })),
    withClaims(victim, { [name]: [victim.claims[name as keyof typeof victim.claims]] }),
  ]),
)

attack('[RFC8725-3.8] an issuer, audience, subject, session and token id are not empty', (victim) =>
  namesIn(victim, ['iss', 'aud', 'sub', 'sid', 'jti', 'type']).map((name) =>
    withClaims(victim, { [name]: '' }),
  ),
)

const NO_TIMES: unknown[] = [
  undefined,
  null,
  '',
  '1',
  String(NOW_SECONDS + 60),
  true,
  [],
  [NOW_SECONDS + 60],
  {},
]
const NO_NUMBERS = [
  '1e400',
  '-1e400',
  '9007199254740992',
  '9007199254740993',
  '1e21',
  '-1',
  '-0',
  'NaN',
  'Infinity',
  '01',
]
const NO_INTEGERS = [
  `${NOW_SECONDS + 60}.5`,
  `${NOW_SECONDS + 60}.0`,
  '1.9e9',
  '19e8',
  '0x7fffffff',
  '+1',
  '1_000',
  '1n',
]

attack(
  '[ATK-time] [V9.2.1] a time or count is a plain whole number in range, neither missing nor anything else',
  (victim) =>
    ['iat', 'exp', 'auth_time', 'gen', 'nbf'].flatMap((name) => {
      if (!has(victim, name) && name !== 'nbf') return []
      const values = name === 'nbf' ? NO_TIMES.slice(1) : NO_TIMES
      return [
        ...values.map((value) => withClaims(victim, { [name]: value })),
        ...[...NO_NUMBERS, ...NO_INTEGERS].map((text) => withRawClaim(victim, name, text)),
      ]
    }),
)

attack('[ATK-time] [V9.2.1] a token is not accepted from its exp on, nor before its nbf', (victim) => [
  ...[NOW_SECONDS, NOW_SECONDS - 1, 1, 0].map((exp) => withClaims(victim, { exp })),
  ...[NOW_SECONDS + 1, NOW_SECONDS + 3600, Number.MAX_SAFE_INTEGER].map((nbf) => withClaims(victim, { nbf })),
])

const strangers = (name: string): unknown[] => [
  `${name}/`,
  ` ${name}`,
  `${name} `,
  `${name}\0`,
  `${name}\n`,
  name.toUpperCase(),
  name.slice(0, -1),
  name.slice(1),
  name.replace('https', 'http'),
  name.replace('e', '\u0435'),
  name.replace('.', '\uFF0E'),
  `${name}.evil.example`,
  `${name},https://other.example`,
  `${name} https://other.example`,
  [name],
  [name, 'https://other.example'],
  ['https://other.example', name],
  { 0: name },
  '*',
  1,
]

attack(
  '[V9.2.3] [RFC8725-3.8] [RFC8725-3.9] issuer and audience are ours exactly, and not among others',
  (victim) =>
    victim.kind !== 'access'
      ? []
      : [
          ...strangers(ISSUER).map((iss) => withClaims(victim, { iss })),
          ...strangers(AUDIENCE).map((aud) => withClaims(victim, { aud })),
          withClaims(victim, { aud: ISSUER }),
          withClaims(victim, { iss: AUDIENCE }),
          withClaims(victim, { iss: AUDIENCE, aud: ISSUER }),
        ],
)

attack('[V9.2.3] a list of authentication methods holds names and nothing else', (victim) =>
  victim.kind !== 'access'
    ? []
    : [
        undefined,
        null,
        'pwd',
        1,
        {},
        { 0: 'pwd', length: 1 },
        [1],
        [null],
        [''],
        ['pwd', ''],
        [['pwd']],
        [{}],
      ].map((amr) => withClaims(victim, { amr })),
)

attack('[V9.2.2] [RFC8725-3.11] [RFC8725-3.12] a token says in its claims too what it is', (victim) => {
  const other = victim.kind === 'access' ? 'refresh' : 'access'
  return [
    other,
    'ACCESS',
    'Refresh',
    `${victim.kind} `,
    'id',
    'mfa',
    'email-verification',
    'logout',
    'bearer',
  ].map((type) => withClaims(victim, { type }))
})

attack(
  '[V9.2.2] [RFC8725-3.12] an access token is no refresh token, nor the reverse, even under the other’s header',
  (victim) => {
    const { access, refresh } = victim.issuer.keyring
    const otherKey = victim.kind === 'access' ? refresh.current : access.current
    const underOther = `${otherKey.header}.${victim.payload}`
    const ownHeader = `${victim.header}.${victim.payload}`
    return [
      `${underOther}.${victim.signature}`,
      `${underOther}.${otherKey.sign(underOther)}`,
      `${underOther}.${victim.key.sign(underOther)}`,
      ...(otherKey === victim.key ? [] : [`${ownHeader}.${otherKey.sign(ownHeader)}`]),
    ]
  },
)

attack('[ATK-dup] a claim that is said twice is refused, whichever saying is true', (victim) => {
  const json = JSON.stringify(victim.claims)
  return Object.entries(victim.claims).flatMap(([name, value]) => {
    const truth = `"${name}":${JSON.stringify(value)}`
    const lies = [truth, `"${name}":"other"`, `"${name}":9999999999`, `"${name}":null`]
    return lies.flatMap((lie) => [
      victim.resign({ payload: json.replace('{', `{${lie},`) }),
      victim.resign({ payload: json.replace('}', `,${lie}}`) }),
      victim.resign({ payload: json.replace(truth, `${truth},${lie}`) }),
    ])
  })
})

attack('[V9.1.1] [RFC8725-3.7] claims in any other writing than ours are refused', (victim) => {
  const json = JSON.stringify(victim.claims)
  const latin = Buffer.from(json)
  return [
    ` ${json}`,
    `${json} `,
    `${json}\n`,
    `${json}\0`,
    `${json},`,
    `${json}${json}`,
    json.replace(':', ': '),
    json.replace('{', '{\t'),
    json.replace('"sub"', '"\\u0073ub"'),
    json.replace('"type":"', '"type":"\\u0061'),
    json.replaceAll('"', "'"),
    json.replace('}', ',}'),
    json.replace('}', '/**/}'),
    JSON.stringify(victim.claims, null, 2),
    `\uFEFF${json}`,
    Buffer.from(json, 'utf16le'),
    Buffer.from(json, 'utf16le').swap16(),
    Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(json, 'utf16le')]),
    Buffer.from(json.replace('"sub":"', '"sub":"\u00ff'), 'latin1'),
    Buffer.concat([latin.subarray(0, -2), Buffer.from([0xc0, 0xa2, 0x7d])]),
    Buffer.from(json.replace('"sub":"', '"sub":"\xed\xa0\x80'), 'latin1'),
    Buffer.from(json.replace('"sub":"', '"sub":"\xf4\x90\x80\x80'), 'latin1'),
  ].map((payload) => victim.resign({ payload }))
})

attack('[V9.1.1] claims that are no object, or hide in one, are refused', (victim) => [
  ...['null', 'true', '0', '""', '[]', '{}', '[{}]', '"{}"', '{', '}', 'x', ' ', '\0', 'undefined'].map(
    (payload) => victim.resign({ payload }),
  ),
  victim.resign({ payload: [victim.claims] }),
  victim.resign({ payload: JSON.stringify(JSON.stringify(victim.claims)) }),
  victim.resign({ payload: `{"__proto__":${JSON.stringify(victim.claims)}}` }),
  victim.resign({ payload: { claims: victim.claims } }),
  victim.resign({ payload: { constructor: { prototype: victim.claims } } }),
  victim.resign({
    payload: Object.fromEntries(Object.entries(victim.claims).map(([k, v]) => [k.toUpperCase(), v])),
  }),
  victim.resign({ payload: victim.token }),
  victim.resign({ payload: encode(victim.claims) }),
])

attack('[ATK-huge] claims that are nested deep or many are refused', (victim) => [
  ...[500, 700, 1400, 10_000].map((depth) =>
    victim.resign({ payload: '['.repeat(depth) + ']'.repeat(depth) }),
  ),
  ...[1500, 3000, 10_000].map((depth) => victim.resign({ payload: '['.repeat(depth) })),
  victim.resign({ payload: '{"a":'.repeat(500) }),
  withClaims(victim, { aud: Array.from({ length: 100_000 }, () => AUDIENCE) }),
  withClaims(victim, { sub: 'x'.repeat(100_000) }),
  withRawClaim(victim, 'extra', `${'['.repeat(10_000)}${']'.repeat(10_000)}`),
])

attack(
  '[ATK-cross-tenant] [RFC8725-3.8] a token that our key signed for another issuer is refused',
  (victim) => {
    const others: Partial<AccessClaims>[] = [
      { iss: 'https://other.example' },
      { aud: 'https://other.example' },
    ]
    return others.map((changes) => victim.issuer.tokens.signAccess(accessClaims(changes)))
  },
)
