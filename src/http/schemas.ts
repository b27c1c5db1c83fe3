import { type TSchema, Type } from 'typebox'
import { PROBLEMS, type ProblemCode } from '../core/problems.ts'
import { PROBLEM_MEDIA_TYPE, problemBody } from './problem-body.ts'
import { MAX_FIELD_ERRORS } from './validation.ts'

export const Uuid = Type.String({ format: 'uuid', examples: ['019a1f6e-7c1a-7b7e-8a54-3f1d2c9b0e11'] })
export const DateTime = Type.String({ format: 'date-time', examples: ['2026-01-31T09:30:00.000Z'] })

const MAX_PAGE_SIZE = 100

/** What lists answer with. A schema with a title becomes a component. */
export const pageOf = <Schema extends TSchema>(item: Schema, title: string) =>
  Type.Object(
    {
      items: Type.Array(item, { maxItems: MAX_PAGE_SIZE }),
      next: Type.Union([Uuid, Type.Null()], {
        description: 'Send it as `cursor` for the next page; null on the last',
        examples: [null],
      }),
    },
    { title },
  )

/** What lists take in the query. */
export const paging = {
  cursor: Type.Optional(Type.String({ format: 'uuid', description: '`next` of the page before' })),
  limit: Type.Integer({
    minimum: 1,
    maximum: MAX_PAGE_SIZE,
    default: 50,
    description: 'How many a page holds at most',
  }),
}

/** What a request may be called; others get a new name. */
export const REQUEST_ID = /^[\w.-]{1,128}$/
const EXAMPLE_REQUEST_ID = '019a1f6e-7c1a-7b7e-8a54-3f1d2c9b0e11'
/** Titles and details are ours, so this is no limit that anybody meets. */
const TEXT_MAX = 1024

/** RFC 9457, with `code` for programs and `request_id` for support. A schema with a title becomes a component. */
const ProblemDetails = Type.Object(
  {
    type: Type.String({ format: 'uri', description: 'Where this kind of problem is described' }),
    title: Type.String({ maxLength: TEXT_MAX }),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ maxLength: TEXT_MAX }),
    code: Type.String({ pattern: '^[a-z_]+$', maxLength: 100, description: 'Stable: branch on this' }),
    instance: Type.String({ format: 'uri-reference', description: 'The path that was asked for' }),
    request_id: Type.String({
      pattern: REQUEST_ID.source,
      description: 'Quote it when you report a problem; also in `X-Request-Id`',
    }),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          pointer: Type.String({ format: 'json-pointer', description: 'Which field (RFC 6901)' }),
          detail: Type.String({ maxLength: TEXT_MAX, description: 'What would be right' }),
        }),
        { description: 'The invalid fields, with `validation_failed`', maxItems: MAX_FIELD_ERRORS },
      ),
    ),
  },
  { title: 'Problem' },
)

/** What a route takes that OAuth clients, or plain pages, may call. */
export const FORM_OR_JSON = ['application/x-www-form-urlencoded', 'application/json']

/** What any address can answer, before a route is asked. */
export const ANYWHERE_PROBLEMS = [
  'malformed_request',
  'not_found',
  'method_not_allowed',
  'request_timeout',
  'headers_too_large',
] as const

/** What a route can answer that takes a body. */
export const INPUT_PROBLEMS = [
  'malformed_request',
  'validation_failed',
  'body_too_large',
  'unsupported_media_type',
] as const

/** What a route can answer that asks who is calling. */
export const AUTHENTICATION_PROBLEMS = [
  'not_authenticated',
  'access_token_invalid',
  'token_sent_twice',
  'inactive_user',
  'database_unavailable',
] as const

type ProblemResponse = ReturnType<typeof problemResponse>

const problemResponse = (codes: ProblemCode[]) => ({
  description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code].detail}`).join('\n\n'),
  content: {
    [PROBLEM_MEDIA_TYPE]: {
      schema: ProblemDetails,
      examples: Object.fromEntries(
        codes.map((code) => [code, { summary: PROBLEMS[code].title, value: exampleProblem(code) }]),
      ),
    },
  },
})

const exampleProblem = (code: ProblemCode) =>
  problemBody(code, {
    publicUrl: 'http://127.0.0.1:8000',
    instance: '/path',
    requestId: EXAMPLE_REQUEST_ID,
    errors: code === 'validation_failed' ? [{ pointer: '/username', detail: 'is missing' }] : undefined,
  })

/** The responses part of a route's schema for the problems it can give. */
export function problems(...codes: ProblemCode[]): Record<number, ProblemResponse> {
  const all = new Set<ProblemCode>([...codes, 'internal_error'])
  const byStatus = Map.groupBy(all, (code) => PROBLEMS[code].status)
  return Object.fromEntries([...byStatus].map(([status, codes]) => [status, problemResponse(codes)]))
}

/** A reply's schema with what the document says of the reply: its meaning, and headers of its own. */
export const success = <Schema extends TSchema>(
  schema: Schema,
  description: string,
  headers: Record<string, TSchema> = {},
): Schema => ({ ...schema, 'x-response-description': description, headers })

/** 204: done, and nothing to say. */
export const NoContent = Type.Null({ description: 'Done' })
