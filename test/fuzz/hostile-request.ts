import fc from 'fast-check'
import type { Described } from '../support/openapi.ts'
import { hostileBody } from './hostile-body.ts'
import { text, UUID } from './hostile-texts.ts'

/** What a fuzzed request may use: the tokens that make it reach further. */
export type Tokens = { access_token: string; refresh_token: string }
type TokenName = keyof Tokens

/** A request before it is written out. Tokens are named, since they change while the fuzzing goes on. */
export type HostileRequest = {
  operationId: string
  method: string
  target: string
  /** Names and values; `{access_token}` and `{refresh_token}` stand for live ones. */
  headers: [string, string][]
  /** May hold the same placeholders. */
  body: string | undefined
}

/** The bytes that may stand in a request's first line, so that it is the app that judges it, not the parser. */
const toTarget = (value: string): string =>
  value.replaceAll(/[^\x21-\x7e]/g, (char) => (char.isWellFormed() ? encodeURIComponent(char) : '%ED%A0%80'))

const hostileSegment = (): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(UUID) },
    { weight: 3, arbitrary: text().map((value) => toTarget(value).replaceAll(/[/?#]/g, '')) },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        '%',
        '%zz',
        '%00',
        '%ff',
        '%c0%af',
        '%2e%2e',
        '..',
        '.',
        '%2f',
        '%5c',
        '[x]',
        '|',
        '^',
        '`',
        '"',
        '<x>',
        '{id}',
      ),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom('username_taken', 'x'.repeat(99), 'x'.repeat(101), 'x'.repeat(8000)),
    },
  )

const pathChange = (): fc.Arbitrary<(path: string) => string> =>
  fc.oneof(
    { weight: 12, arbitrary: fc.constant((path: string) => path) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        (path: string) => `${path}/`,
        (path: string) => `/${path}`,
        (path: string) => path.toUpperCase(),
        (path: string) => path.replace(/[a-z]/, (char) => `%${char.charCodeAt(0).toString(16)}`),
        (path: string) => `${path}%2f..`,
        (path: string) => `${path}/../..`,
        (path: string) => `${path};a=b`,
        (path: string) => `${path}%00`,
        (path: string) => `${path}#x`,
        (path: string) => `http://evil.example${path}`,
        (path: string) => path.replaceAll('/', '\\'),
        (path: string) => `${path}${'/a'.repeat(3000)}`,
        () => '*',
        () => '/docs/../src/main.ts',
        () => '/docs/static/%2e%2e%2f%2e%2e%2fpackage.json',
        () => '/docs/json',
        () => '/docs/yaml',
      ),
    },
  )

function hostileQuery({ operation }: Described): fc.Arbitrary<string> {
  const names = [
    ...(operation.parameters ?? []).map((parameter) => String(Object(parameter).name)),
    'x',
    '__proto__[a]',
    '',
  ]
  const pair = fc
    .tuple(
      fc.constantFrom(...names),
      fc.oneof(
        fc.constantFrom(
          'cookie',
          'body',
          'all',
          'others',
          'session',
          '1',
          '100',
          '101',
          '0',
          '1.5',
          '1e2',
          '1e400',
          '-Infinity',
          '+5',
          UUID,
        ),
        text().map(toTarget),
        fc.constantFrom('%', '%zz', '%00', '%ff', '&&', '=', '+'),
      ),
    )
    .map(([name, value]) => `${name}=${value}`)
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant('') },
    {
      weight: 2,
      arbitrary: fc.array(pair, { minLength: 1, maxLength: 4 }).map((pairs) => `?${pairs.join('&')}`),
    },
  )
}

/** The bytes that may stand in a header. */
const toHeader = (value: string): string => value.replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '?').trim()

const hostileHeader = (): fc.Arbitrary<[string, string]> =>
  fc.oneof(
    fc.tuple(
      fc.constantFrom(
        'Authorization',
        'Cookie',
        'Origin',
        'X-Request-Id',
        'User-Agent',
        'Accept',
        'X-Forwarded-For',
        'Referer',
        'If-None-Match',
        'Range',
        'Accept-Encoding',
        'Access-Control-Request-Method',
        'X-HTTP-Method-Override',
        'Forwarded',
        'Content-Encoding',
      ),
      text().map(toHeader),
    ),
    fc.constantFrom<[string, string][]>(
      ['Authorization', 'Bearer'],
      ['Authorization', 'Bearer '],
      ['Authorization', 'bearer {refresh_token}'],
      ['Authorization', 'Bearer {access_token} '],
      ['Authorization', 'Bearer {access_token},Bearer {access_token}'],
      ['Authorization', `Bearer ${'a'.repeat(5000)}`],
      ['Authorization', 'Bearer eyJhbGciOiJub25lIn0.e30.'],
      ['Authorization', 'Basic Og=='],
      ['Authorization', 'Digest username="a"'],
      ['Cookie', '__Host-postern_refresh={refresh_token}'],
      ['Cookie', '__Host-postern_refresh='],
      ['Cookie', '__Host-postern_refresh=%E0%A4%A; __Host-postern_refresh=x'],
      ['Cookie', `${'a=b; '.repeat(800)}`],
      ['Cookie', '__proto__=1; constructor=2'],
      ['Origin', 'null'],
      ['Origin', 'http://127.0.0.1:8000'],
      ['Origin', 'http://127.0.0.1:8000.evil.example'],
      ['Origin', 'javascript:alert(1)'],
      ['X-Request-Id', 'short'],
      ['X-Request-Id', 'well-formed.Request_1'],
      ['X-Request-Id', 'a'.repeat(129)],
      ['X-Request-Id', 'a b c d e f g h'],
      ['Connection', 'keep-alive'],
      ['Upgrade', 'h2c'],
      ['Expect', '100-continue'],
    ),
  )

/** Mostly with a live token, so that the request gets past the door. */
const bearer = (): fc.Arbitrary<[string, string][]> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constant<[string, string][]>([['Authorization', 'Bearer {access_token}']]) },
    { weight: 2, arbitrary: fc.constant<[string, string][]>([]) },
  )

const method = (own: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 20, arbitrary: fc.constant(own) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'GET',
        'HEAD',
        'POST',
        'PUT',
        'PATCH',
        'DELETE',
        'OPTIONS',
        'TRACE',
        'PROPFIND',
        'QUERY',
      ),
    },
  )

/** Any request to the routes of the document, somewhere between valid and absurd. */
export function hostileRequest(operations: readonly Described[]): fc.Arbitrary<HostileRequest> {
  return fc.constantFrom(...operations).chain((described) =>
    fc
      .record({
        method: method(described.method),
        segment: hostileSegment(),
        change: pathChange(),
        query: hostileQuery(described),
        authorization: bearer(),
        others: fc.array(hostileHeader(), { maxLength: 2 }),
        body: hostileBody(described),
      })
      .map(({ method, segment, change, query, authorization, others, body: { body, type } }) => ({
        operationId: described.operation.operationId,
        method,
        target: change(described.path.replace(/\{\w+\}/, () => segment)) + query,
        headers: [
          ...authorization,
          ...others,
          ...(type === undefined ? [] : [['Content-Type', type] as [string, string]]),
        ],
        body,
      })),
  )
}

/** The request as it goes over the wire, with its right length, asking for the connection to be closed after. */
export function writeRequest({ method, target, headers, body }: HostileRequest, tokens: Tokens): Buffer {
  const fill = (text: string) =>
    text.replaceAll(/\{(access_token|refresh_token)\}/g, (_all, name: TokenName) => tokens[name])
  const content = Buffer.from(body === undefined ? '' : fill(body))
  const lines = [
    `${method} ${target} HTTP/1.1`,
    'Host: 127.0.0.1',
    ...headers.map(([name, value]) => `${name}: ${fill(value)}`),
    ...(body === undefined ? [] : [`Content-Length: ${content.length}`]),
    'Connection: close',
  ]
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), content])
}
