import fc from 'fast-check'

export const UUID = '019a1f6e-7c1a-7b7e-8a54-3f1d2c9b0e11'

/** Texts that have broken servers: encodings, operators, control characters, formats. */
const NASTY_TEXTS = [
  '',
  ' ',
  '\0',
  'a\0b',
  '\r\nX-Injected: 1',
  '\ud800',
  'ada\udfff@example.com',
  '\u202e\u200b\ufeff',
  'İıẞß',
  'ﷺ'.repeat(60),
  'e\u0301'.repeat(40),
  '👩‍👩‍👧‍👦'.repeat(20),
  "' OR '1'='1' --",
  '"; DROP TABLE users; --',
  '$ne',
  '{"$gt":""}',
  '__proto__',
  'constructor',
  '../../etc/passwd',
  '{{7*7}}',
  '<script>alert(1)</script>',
  '%00%0d%0a',
  '*)(uid=*',
  `urn:uuid:${UUID}`,
  `{${UUID}}`,
  UUID.toUpperCase(),
  '00000000-0000-0000-0000-000000000000',
  '1e400',
  '-1',
  '0x10',
  'NaN',
  'true',
  'null',
  'a@b',
  `${'a'.repeat(64)}@${'b'.repeat(180)}.example.com`,
  '"\0"@example.com',
  '"a\\ud800"@example.com',
  'ada@[127.0.0.1]',
  'ada@ex\u0430mple.com',
]

/** Text that a field may not expect. */
export const text = (): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...NASTY_TEXTS) },
    { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
    {
      weight: 1,
      arbitrary: fc.string({ unit: fc.constantFrom('\ud83d', '\udc00', 'a', '\0'), maxLength: 20 }),
    },
    { weight: 1, arbitrary: fc.integer({ min: 200, max: 9000 }).map((length) => 'x'.repeat(length)) },
  )
