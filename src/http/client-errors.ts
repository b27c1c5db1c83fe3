import type { Socket } from 'node:net'
import type { Context } from '../context.ts'
import { newId } from '../core/ids.ts'
import { PROBLEMS, type ProblemCode } from '../core/problems.ts'
import { PROBLEM_MEDIA_TYPE, problemBody } from './problem-body.ts'

const CODES: Record<string, ProblemCode> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
}

const LINGER_MS = 2000

/** What Node's HTTP parser reports, with the bytes that it stopped in. */
export type UnreadableError = Error & { code?: string | undefined; rawPacket?: unknown }

/** Answers on the bare socket what is no HTTP request, or never became a whole one, and closes it. */
export function answerUnreadable(
  error: UnreadableError,
  socket: Socket,
  { settings: { publicUrl }, metrics }: Pick<Context, 'settings' | 'metrics'>,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const code = CODES[error.code ?? ''] ?? 'malformed_request'
  metrics.problem(code)
  const requestId = newId()
  const { status, title } = PROBLEMS[code]
  const body = JSON.stringify(problemBody(code, { publicUrl, instance: '', requestId }))
  socket.end(
    [
      `HTTP/1.1 ${status} ${title}`,
      `content-type: ${PROBLEM_MEDIA_TYPE}; charset=utf-8`,
      `content-length: ${Buffer.byteLength(body)}`,
      `x-request-id: ${requestId}`,
      'cache-control: no-store',
      'connection: close',
      '',
      isHead(error) ? '' : body,
    ].join('\r\n'),
    () => socket.destroy(),
  )
  // Whoever does not read it is not waited for.
  setTimeout(() => socket.destroy(), LINGER_MS).unref()
}

/** A reply to HEAD has no body, whatever its status (RFC 9110 section 9.3.2). */
function isHead({ rawPacket }: UnreadableError): boolean {
  return Buffer.isBuffer(rawPacket) && rawPacket.toString('latin1', 0, 5) === 'HEAD '
}
