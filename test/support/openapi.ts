import assert from 'node:assert/strict'
import type { ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import { PROBLEMS, type ProblemCode } from '../../src/core/problems.ts'
import type { App } from '../../src/http/app-type.ts'
import type { OpenApiDocument, Operation } from '../../src/http/openapi-document.ts'
import { ANYWHERE_PROBLEMS, REQUEST_ID } from '../../src/http/schemas.ts'

export type Described = { method: string; path: string; operation: Operation }

export type PlainReply = {
  status: number
  headers: Record<string, unknown>
  text: string
}

export const documentOf = (app: App): Promise<OpenApiDocument> => app.openApi()

export const operationsOf = ({ paths }: OpenApiDocument): Described[] =>
  Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
    })),
  )

/** Every problem code that an operation says it may give. */
export const documentedCodes = ({ responses }: Operation): string[] =>
  Object.values(responses).flatMap(({ content }) =>
    Object.keys(content?.['application/problem+json']?.examples ?? {}),
  )

/** Checks values against the schemas of the document, by their JSON Pointers. */
export function createValidator(document: OpenApiDocument): (pointer: string, value: unknown) => string {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addFormat('password', true)
  ajv.addSchema(document, 'openapi')
  const compiled = new Map<string, ValidateFunction>()
  return (pointer, value) => {
    const validate = compiled.get(pointer) ?? ajv.compile({ $ref: `openapi#${pointer}` })
    compiled.set(pointer, validate)
    return validate(value) ? '' : ajv.errorsText(validate.errors)
  }
}

const escapePointer = (part: string): string =>
  encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

export const pointerTo = (...parts: string[]): string =>
  parts.map((part) => `/${escapePointer(part)}`).join('')

/** Finds the operation that a request asks for, as the router would; undefined when there is none. */
export function findOperation(
  operations: readonly Described[],
  method: string,
  target: string,
): Described | undefined {
  const path = target.replace(/^https?:\/\/[^/?#]*/, '').replace(/[?#].*/s, '')
  // Fastify answers HEAD wherever it answers GET.
  const wanted = method === 'HEAD' ? 'GET' : method
  return operations.find((known) => known.method === wanted && matchesTemplate(known.path, path))
}

function matchesTemplate(template: string, path: string): boolean {
  const wanted = template.split('/')
  const parts = path.split('/')
  return (
    wanted.length === parts.length &&
    wanted.every((part, at) => part.startsWith('{') || part === decode(parts[at] ?? ''))
  )
}

function decode(part: string): string {
  try {
    return decodeURI(part)
  } catch {
    return part
  }
}

/**
 * Checks replies against the document: the status is one that the operation says it may give, the body is what its
 * schema says, problems are complete, and every reply carries its request id.
 */
export function createReplyChecker(
  document: OpenApiDocument,
): (reply: PlainReply, described: Described | undefined) => void {
  const validate = createValidator(document)

  const checkProblem = (reply: PlainReply, described: Described | undefined) => {
    const body = JSON.parse(reply.text)
    assert.equal(validate('/components/schemas/Problem', body), '')
    assert.deepEqual(Object.keys(body).slice(0, 7).sort(), PROBLEM_MEMBERS)
    const { status, title, detail } = PROBLEMS[body.code as ProblemCode]
    assert.deepEqual([body.status, body.title, body.detail], [status, title, detail])
    assert.equal(reply.status, status)
    assert.ok(body.type.endsWith(`/problems/${body.code}`))
    assert.equal(body.request_id, reply.headers['x-request-id'])
    assert.equal(reply.headers['cache-control'], 'no-store')
    const challenges = CHALLENGED.includes(body.code) || status === 401
    assert.equal(reply.headers['www-authenticate'] !== undefined, challenges)
    const known = [...ANYWHERE_PROBLEMS, ...(described ? documentedCodes(described.operation) : [])]
    assert.ok(known.includes(body.code), `${body.code} is not documented`)
  }

  const checkSuccess = (reply: PlainReply, { method, path, operation }: Described, mediaType: string) => {
    const response = operation.responses[reply.status]
    assert.ok(response, `status ${reply.status} is not documented`)
    if (!response.content) return assert.equal(reply.text, '')
    assert.ok(response.content[mediaType], `${mediaType} is not documented`)
    const place = [
      'paths',
      path,
      method.toLowerCase(),
      'responses',
      String(reply.status),
      'content',
      mediaType,
    ]
    assert.equal(validate(pointerTo(...place, 'schema'), JSON.parse(reply.text)), '')
  }

  return (reply, described) => {
    assert.match(String(reply.headers['x-request-id']), REQUEST_ID)
    const mediaType = String(reply.headers['content-type'] ?? '').split(';', 1)[0] ?? ''
    if (reply.status >= 400) {
      assert.equal(mediaType, 'application/problem+json')
      if (reply.text !== '') checkProblem(reply, described)
    } else if (described) checkSuccess(reply, described, mediaType)
  }
}

/** Beside every 401 (RFC 6750 section 3.1). */
const CHALLENGED = ['token_sent_twice', 'not_enough_permissions', 'insufficient_scope']
const PROBLEM_MEMBERS = ['code', 'detail', 'instance', 'request_id', 'status', 'title', 'type']
