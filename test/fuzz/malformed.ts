/** A request whose lines end as they should. */
export const request = (lines: string[], body = ''): string => `${lines.join('\r\n')}\r\n\r\n${body}`

const LOGOUT = 'POST /api/v1/auth/logout HTTP/1.1'
const HOST = 'Host: 127.0.0.1'
/** What a smuggler would like to have answered. */
const HIDDEN = request(['GET /health HTTP/1.1', HOST, 'Connection: close'])

const post = (headers: string[], body: string): string =>
  request([LOGOUT, HOST, 'Content-Type: application/json', ...headers], body)
const CHUNKED = 'Transfer-Encoding: chunked'

/** Where it ends, or what it says, is open to more than one reading (RFC 9112 sections 2.2, 5, 6 and 7). */
export const MALFORMED: Record<string, string> = {
  'CL.TE': post(['Content-Length: 6', CHUNKED], `0\r\n\r\n${HIDDEN}`),
  'TE.CL': post([CHUNKED, 'Content-Length: 4'], `5c\r\n${HIDDEN}\r\n0\r\n\r\n`),
  'two lengths': post(['Content-Length: 0', `Content-Length: ${HIDDEN.length}`], HIDDEN),
  'two equal lengths': post(['Content-Length: 2', 'Content-Length: 2'], '{}'),
  'a list of lengths': post(['Content-Length: 2, 2'], '{}'),
  'a length with a sign': post(['Content-Length: +2'], '{}'),
  'a negative length': post(['Content-Length: -1'], HIDDEN),
  'a hexadecimal length': post(['Content-Length: 0x2'], '{}'),
  'a length beyond counting': post([`Content-Length: ${'9'.repeat(30)}`], HIDDEN),
  'an empty length': post(['Content-Length: '], HIDDEN),
  'a space before the colon': post(['Transfer-Encoding : chunked'], `0\r\n\r\n${HIDDEN}`),
  'a space before the colon of the length': post(['Content-Length : 2'], '{}'),
  'an unknown coding': post(['Transfer-Encoding: xchunked'], `0\r\n\r\n${HIDDEN}`),
  'chunked, and then another': post(['Transfer-Encoding: chunked, identity'], `0\r\n\r\n${HIDDEN}`),
  'chunked twice': post([CHUNKED, 'Transfer-Encoding: identity'], `0\r\n\r\n${HIDDEN}`),
  'a coding after a vertical tab': post(['Transfer-Encoding: \x0bchunked'], `0\r\n\r\n${HIDDEN}`),
  'a folded header': request(['GET /health HTTP/1.1', HOST, 'X-Folded: a', ' b']),
  'a folded coding': post(['Transfer-Encoding:', ' chunked'], `0\r\n\r\n${HIDDEN}`),
  'a line that begins with a space': request(['GET /health HTTP/1.1', ' X: a', HOST]),
  'bare line feeds': `GET /health HTTP/1.1\n${HOST}\n\n`,
  'a bare line feed in a header': `GET /health HTTP/1.1\r\n${HOST}\r\nX: a\nY: b\r\n\r\n`,
  'a bare carriage return in a header': `GET /health HTTP/1.1\r\n${HOST}\r\nX: a\rY: b\r\n\r\n`,
  'a null byte in a header': request(['GET /health HTTP/1.1', HOST, 'X: a\0b']),
  'a null byte in a header name': request(['GET /health HTTP/1.1', HOST, 'X\0: a']),
  'a header without a name': request(['GET /health HTTP/1.1', HOST, ': a']),
  'a header without a colon': request(['GET /health HTTP/1.1', HOST, 'X']),
  'no host': request(['GET /health HTTP/1.1', 'Connection: close']),
  'a chunk size that is no number': post([CHUNKED], `zz\r\n{}\r\n0\r\n\r\n${HIDDEN}`),
  'a chunk size with a prefix': post([CHUNKED], `0x2\r\n{}\r\n0\r\n\r\n${HIDDEN}`),
  'a chunk size beyond counting': post([CHUNKED], `${'f'.repeat(17)}\r\n{}\r\n0\r\n\r\n`),
  'a negative chunk size': post([CHUNKED], `-2\r\n{}\r\n0\r\n\r\n${HIDDEN}`),
  'a chunk that ends with a bare line feed': post([CHUNKED], `2\n{}\n0\n\n${HIDDEN}`),
  'a chunk longer than it says': post([CHUNKED], `1\r\n{}\r\n0\r\n\r\n${HIDDEN}`),
  'a chunk extension with a bare line feed': post([CHUNKED], `2;a\nb\r\n{}\r\n0\r\n\r\n${HIDDEN}`),
  'a space in the request target': request(['GET /health /x HTTP/1.1', HOST]),
  'a control character in the request target': request(['GET /hea\x01lth HTTP/1.1', HOST]),
  'a version there is not': request(['GET /health HTTP/9.9', HOST]),
  'a method there is not': request(['BREW /health HTTP/1.1', HOST]),
  'a method in lower case': request(['get /health HTTP/1.1', HOST]),
  'a tunnel': request(['CONNECT 127.0.0.1:22 HTTP/1.1', HOST]),
  'the preface of HTTP/2': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'the start of TLS': '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'the banner of SSH': 'SSH-2.0-OpenSSH_9.2\r\n',
  'an expectation there is not': request(['GET /health HTTP/1.1', HOST, 'Expect: tea', 'Connection: close']),
}

/** More than a server should keep for one request. */
export const OVERSIZED: Record<string, string> = {
  'a long header': request(['GET /health HTTP/1.1', HOST, `X: ${'a'.repeat(20_000)}`]),
  'a long header name': request(['GET /health HTTP/1.1', HOST, `${'a'.repeat(20_000)}: x`]),
  'many headers': request([
    'GET /health HTTP/1.1',
    HOST,
    ...Array.from({ length: 3000 }, (_, at) => `X-${at}: a`),
  ]),
  'a long target': request([`GET /${'a'.repeat(20_000)} HTTP/1.1`, HOST]),
  'a long trailer': post([CHUNKED], `2\r\n{}\r\n0\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`),
}

/** Cut off before the end. */
export const UNFINISHED: Record<string, string> = {
  'half a request line': 'GET /hea',
  'half a header': `GET /health HTTP/1.1\r\n${HOST}\r\nX-Hal`,
  'headers without their end': `GET /health HTTP/1.1\r\n${HOST}\r\n`,
  'half a body': post(['Content-Length: 100'], '{"refresh_'),
  'half a chunk': post([CHUNKED], '64\r\n{"refresh_'),
  'chunks without their end': post([CHUNKED], '2\r\n{}\r\n'),
}
