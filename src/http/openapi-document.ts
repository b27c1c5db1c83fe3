import { REQUEST_ID } from './schemas.ts'

type Schema = { [keyword: string]: unknown }
type Media = { schema: Schema; example?: unknown; examples?: Record<string, unknown> }
type Response = {
  description: string
  headers?: Record<string, unknown>
  content?: Record<string, Media>
}
export type Operation = {
  operationId: string
  parameters?: { required: boolean; schema: Schema }[]
  requestBody?: { required: boolean; content: Record<string, Media> }
  responses: Record<string, Response>
}
export type OpenApiDocument = {
  paths: Record<string, Record<string, Operation>>
  components: Record<string, Record<string, unknown>>
}

/** Headers of every reply with the status, and of every reply at all. */
const HEADERS: Record<string, Record<string, string>> = {
  '401': { 'WWW-Authenticate': 'Challenge' },
  '503': { 'Retry-After': 'RetryAfter' },
}
const COMMON_HEADERS = { 'X-Request-Id': 'RequestId' }

const HEADER_COMPONENTS = {
  RequestId: {
    description: 'Names this request in the log: the one you sent, when it was well formed',
    schema: { type: 'string', pattern: REQUEST_ID.source },
  },
  Challenge: {
    description: 'What is asked for (RFC 6750 section 3, RFC 9470 section 3)',
    schema: { type: 'string', maxLength: 200 },
    example: 'Bearer realm="postern", error="invalid_token"',
  },
  RetryAfter: {
    description: 'Seconds after which trying again makes sense',
    schema: { type: 'integer', minimum: 1, maximum: 3600 },
  },
}

/**
 * Completes what was derived from the routes: common headers, an example of every body, and components in place
 * of what would be repeated.
 * @param optionalBodies ids of the operations that answer without a body, too
 */
export function completeDocument(document: OpenApiDocument, optionalBodies: ReadonlySet<string>): void {
  const { components } = document
  const schemas: Record<string, unknown> = {}
  const examples: Record<string, unknown> = {}
  for (const operation of Object.values(document.paths).flatMap((path) => Object.values(path))) {
    const { operationId, parameters = [], requestBody, responses } = operation
    // Checking gives a value to what was left out.
    for (const parameter of parameters) if ('default' in parameter.schema) parameter.required = false
    if (requestBody) {
      requestBody.required = !optionalBodies.has(operationId)
      completeContent(requestBody.content, schemas, examples)
    }
    for (const [status, response] of Object.entries(responses)) {
      if (response.content) completeContent(response.content, schemas, examples)
      response.headers = { ...commonHeaders(status), ...response.headers }
    }
  }
  Object.assign(components, {
    schemas: byName(schemas),
    examples: byName(examples),
    headers: HEADER_COMPONENTS,
  })
}

const commonHeaders = (status: string) =>
  Object.fromEntries(
    Object.entries({ ...COMMON_HEADERS, ...HEADERS[status] }).map(([name, component]) => [
      name,
      { $ref: `#/components/headers/${component}` },
    ]),
  )

function completeContent(
  content: Record<string, Media>,
  schemas: Record<string, unknown>,
  examples: Record<string, unknown>,
): void {
  for (const media of new Set(Object.values(content))) {
    if (media.examples)
      media.examples = mapValues(media.examples, (example, name) => {
        examples[name] = example
        return { $ref: `#/components/examples/${name}` }
      })
    else media.example ??= exampleOf(media.schema)
    media.schema = nameSchemas(media.schema, schemas) as Schema
  }
}

/** A value that the schema describes, made of the examples of its parts. */
function exampleOf({ examples, enum: values, anyOf, items, properties }: Schema): unknown {
  if (Array.isArray(examples)) return examples[0]
  if (Array.isArray(values)) return values[0]
  if (Array.isArray(anyOf)) return exampleOf(anyOf[0])
  if (items) return [exampleOf(items as Schema)]
  if (properties) return mapValues(properties as Record<string, Schema>, exampleOf)
  return undefined
}

/** Takes every titled schema out into the components, and refers to it. */
function nameSchemas(schema: unknown, schemas: Record<string, unknown>): unknown {
  if (Array.isArray(schema)) return schema.map((part) => nameSchemas(part, schemas))
  if (typeof schema !== 'object' || schema === null) return schema
  const named = mapValues(schema as Schema, (part, keyword) =>
    keyword === 'examples' ? part : nameSchemas(part, schemas),
  )
  const { title, ...rest } = named
  if (typeof title !== 'string') return named
  schemas[title] = rest
  return { $ref: `#/components/schemas/${title}` }
}

const mapValues = <T, R>(record: Record<string, T>, map: (value: T, key: string) => R): Record<string, R> =>
  Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value, key)]))

const byName = (record: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).toSorted(([one], [other]) => (one < other ? -1 : 1)))
