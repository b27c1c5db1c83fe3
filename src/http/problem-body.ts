import { type FieldError, PROBLEMS, type ProblemCode } from '../core/problems.ts'

export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

type Occurrence = {
  publicUrl: string
  /** The path that was asked for, as a URI reference. */
  instance: string
  requestId: string
  errors?: FieldError[] | undefined
}

/** What a client is told of a problem (RFC 9457 section 3). */
export const problemBody = (code: ProblemCode, { publicUrl, instance, requestId, errors }: Occurrence) => ({
  type: `${publicUrl}/problems/${code}`,
  title: PROBLEMS[code].title,
  status: PROBLEMS[code].status,
  detail: PROBLEMS[code].detail,
  code,
  instance,
  request_id: requestId,
  ...(errors && { errors }),
})
