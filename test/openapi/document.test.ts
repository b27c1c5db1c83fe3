import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { glob, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { FastifyInstance } from 'fastify'
import { PROBLEMS } from '../../src/core/problems.ts'
import type { OpenApiDocument } from '../../src/http/openapi-document.ts'
import { ANYWHERE_PROBLEMS } from '../../src/http/schemas.ts'
import { renderDocuments } from '../../tools/write-openapi.ts'
import { startServer, type TestServer } from '../kit.ts'
import {
  createValidator,
  type Described,
  documentedCodes,
  documentOf,
  operationsOf,
  pointerTo,
} from '../support/openapi.ts'

const ROOT = resolve(import.meta.dirname, '../..')
/** Routes for the page that shows the document, the document itself, and the pages that links in mails lead to. */
const HIDDEN = /^\/docs(\/|$)|^\/api\/v1\/openapi\.json$|^\/email\//

type Schema = Record<string, unknown> & { type?: string }

describe('the OpenAPI document', () => {
  const routes: string[] = []
  let server: TestServer
  let document: OpenApiDocument
  let operations: Described[]

  const collectRoutes = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onRoute', ({ method, url }) => {
      for (const name of [method].flat()) if (name !== 'HEAD') routes.push(`${name} ${url}`)
    })
  }
  before(async () => {
    subscribe('fastify.initialization', collectRoutes)
    server = await startServer('sqlite')
    unsubscribe('fastify.initialization', collectRoutes)
    document = await documentOf(server.app)
    operations = operationsOf(document)
  })
  after(() => server.close())

  it('is committed as the routes have it; `npm run openapi` writes it', async () => {
    for (const [path, text] of Object.entries(await renderDocuments(server.app))) {
      assert.equal(readFileSync(join(ROOT, path), 'utf8'), text, path)
    }
  })

  it('is served under the API and to Swagger UI', async () => {
    for (const path of ['/api/v1/openapi.json', '/docs/json']) {
      const reply = await server.call('GET', path)
      assert.equal(reply.headers['content-type'], 'application/json; charset=utf-8')
      assert.deepEqual(reply.body, document)
    }
  })

  it('describes every route', () => {
    const described = operations.map(({ method, path }) => `${method} ${path.replace(/\{(\w+)\}/g, ':$1')}`)
    const visible = routes.filter((route) => !HIDDEN.test(route.replace(/^\w+ /, '')))
    assert.deepEqual(described.toSorted(), visible.toSorted())
  })

  it('names every operation once, and says what it does', () => {
    const ids = operations.map(({ operation }) => operation.operationId)
    assert.deepEqual(ids, [...new Set(ids)])
    const tags = tagsOf(document).map(({ name }) => name)
    for (const { operation } of operations) {
      const { operationId, summary, description, tags: own } = operation as typeof operation & Schema
      assert.match(operationId, /^[a-z][a-zA-Z]+$/)
      assert.match(String(summary), /^[A-Z].*[^.]$/, operationId)
      assert.match(String(description), /^[A-Z].*\.$/s, operationId)
      assert.ok(
        (own as string[]).every((tag) => tags.includes(tag)),
        operationId,
      )
    }
  })

  it('refers only to what is there, and holds nothing that is not referred to', () => {
    const references = new Set(
      [...walk(document)].map(({ $ref }) => $ref).filter((ref) => typeof ref === 'string'),
    )
    const components = ['schemas', 'examples', 'headers'].flatMap((kind) =>
      Object.keys(document.components[kind] ?? {}).map((name) => `#/components/${kind}/${name}`),
    )
    assert.deepEqual([...references].toSorted(), components.toSorted())
    assert.ok(components.every((name) => !name.includes('def-')))
  })

  it('has schemas that are JSON Schema 2020-12, as OpenAPI 3.1 has them', () => {
    const ajv = new Ajv2020({ strict: false })
    for (const schema of allSchemas(document)) assert.ok(ajv.validateSchema(schema), ajv.errorsText())
  })

  it('[V2.1.1] bounds every field by length, range, format, pattern or list', () => {
    for (const schema of allSchemas(document)) {
      const text = JSON.stringify(schema)
      if (schema.type === 'string') {
        assert.ok(
          ['maxLength', 'format', 'pattern', 'enum'].some((keyword) => keyword in schema),
          text,
        )
      }
      if (schema.type === 'integer') assert.ok('minimum' in schema && 'maximum' in schema, text)
      if (schema.type === 'array') assert.ok('maxItems' in schema, text)
      assert.notEqual(schema.type, 'number', text)
    }
  })

  it('gives an example of every body, and each fits its schema', () => {
    const validate = createValidator(document)
    for (const { path, method, operation } of operations) {
      const place = ['paths', path, method.toLowerCase()]
      const bodies = [
        [['requestBody'], operation.requestBody] as const,
        ...Object.entries(operation.responses).map((entry) => [['responses', entry[0]], entry[1]] as const),
      ]
      for (const [where, body] of bodies) {
        for (const [type, media] of Object.entries(body?.content ?? {})) {
          const names = Object.keys(media.examples ?? {})
          const known = document.components.examples as Record<string, { value: unknown }>
          const examples = names.length > 0 ? names.map((name) => known[name]?.value) : [media.example]
          for (const example of examples) {
            assert.notEqual(example, undefined, operation.operationId)
            const pointer = pointerTo(...place, ...where, 'content', type, 'schema')
            assert.equal(validate(pointer, example), '', operation.operationId)
          }
        }
      }
    }
  })

  it('takes forms and JSON where OAuth clients ask, and says which bodies may be left out', () => {
    const bodies = Object.fromEntries(
      operations.flatMap(({ operation: { operationId, requestBody } }) =>
        requestBody ? [[operationId, [requestBody.required, ...Object.keys(requestBody.content)]]] : [],
      ),
    )
    const [form, json] = ['application/x-www-form-urlencoded', 'application/json']
    assert.deepEqual(bodies, {
      register: [true, form, json],
      login: [true, form, json],
      refreshSession: [false, form, json],
      logout: [false, form, json],
      verifyEmail: [true, form, json],
      resendVerification: [true, form, json],
      requestPasswordReset: [true, form, json],
      resetPassword: [true, form, json],
      undoEmailChange: [true, form, json],
      requestSignInLink: [true, form, json],
      signInByLink: [true, form, json],
      replaceOwnProfile: [true, json],
      updateOwnProfile: [true, json],
      deleteOwnAccount: [true, json],
      introspectToken: [true, form, json],
      revokeToken: [true, form, json],
    })
  })

  it('tells the headers of replies: request id, challenge, when to retry, the cookie', () => {
    for (const { operation } of operations) {
      for (const [status, { description, headers = {} }] of Object.entries(operation.responses)) {
        assert.notEqual(description, 'Default Response', operation.operationId)
        assert.ok('X-Request-Id' in headers)
        assert.equal('WWW-Authenticate' in headers, status === '401')
        assert.equal('Retry-After' in headers, status === '503')
      }
    }
    const setters = operations.filter(({ operation }) =>
      Object.values(operation.responses).some(({ headers }) => headers && 'Set-Cookie' in headers),
    )
    assert.deepEqual(
      setters.map(({ operation }) => operation.operationId),
      ['register', 'login', 'refreshSession', 'logout', 'requestSignInLink', 'signInByLink'],
    )
  })

  it('knows every problem code that it documents, and documents every code that is used', async () => {
    const documented = new Set([
      ...ANYWHERE_PROBLEMS,
      ...operations.flatMap(({ operation }) => documentedCodes(operation)),
    ])
    assert.deepEqual([...documented].toSorted(), Object.keys(PROBLEMS).toSorted())
    for (const code of await usedCodes()) assert.ok(documented.has(code), code)
  })

  it('[RFC9457-4] describes every kind of problem where its type leads', async () => {
    for (const [code, problem] of Object.entries(PROBLEMS)) {
      const reply = await server.call('GET', `/problems/${code}`)
      assert.deepEqual(reply.body, { code, ...problem })
    }
  })

  it('names no host, so that it holds under every name of the server', () => {
    const { servers, components } = document as OpenApiDocument & { servers: unknown }
    assert.deepEqual(servers, [{ url: '/', description: 'This server' }])
    const { bearer } = components.securitySchemes as Record<string, { flows: object }>
    const password = { tokenUrl: '/api/v1/auth/login', refreshUrl: '/api/v1/auth/refresh', scopes: {} }
    assert.deepEqual(bearer?.flows, { password })
  })
})

describe('the OpenAPI document behind a proxy that adds a path', () => {
  it('sends clients to that path', async () => {
    const server = await startServer('sqlite', { publicUrl: 'https://example.com/api' })
    const document = (await documentOf(server.app)) as OpenApiDocument & { servers: { url: string }[] }
    assert.equal(document.servers[0]?.url, '/api')
    assert.ok('/api/v1/auth/login' in document.paths)
    const { bearer } = document.components.securitySchemes as Record<string, Schema>
    assert.match(JSON.stringify(bearer), /"tokenUrl":"\/api\/api\/v1\/auth\/login"/)
    await server.close()
  })
})

const tagsOf = (document: OpenApiDocument): { name: string }[] =>
  (document as OpenApiDocument & { tags: { name: string }[] }).tags

/** Every object in a value, itself included. */
function* walk(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return
  if (!Array.isArray(value)) yield value as Record<string, unknown>
  for (const part of Object.values(value)) yield* walk(part)
}

const allSchemas = (document: OpenApiDocument): Schema[] =>
  [...walk(document)].filter(
    (object): object is Schema =>
      typeof object.type === 'string' &&
      !('flows' in object) &&
      !('in' in object) &&
      !('detail' in object && 'code' in object) &&
      !('occurred_at' in object && typeof object.occurred_at === 'string') &&
      !('exp' in object && typeof object.exp === 'number'),
  )

async function usedCodes(): Promise<string[]> {
  const files = await Array.fromAsync(glob('src/**/*.ts', { cwd: ROOT }))
  const texts = await Promise.all(files.map((file) => readFile(join(ROOT, file), 'utf8')))
  return texts.flatMap((text) => [...text.matchAll(/new Problem\(\s*'(\w+)'/g)].map(([, code]) => code ?? ''))
}
