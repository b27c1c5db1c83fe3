import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { OpenApiDocument } from '../../src/http/openapi-document.ts'
import { API, onSharedServer, PASSWORD } from '../kit.ts'
import { cliEnv, runCli } from '../support/cli.ts'
import { readProjectFile, section, tableRows } from '../support/documents.ts'
import { documentOf, operationsOf } from '../support/openapi.ts'
import { assertProblem, INVALID_CREDENTIALS } from '../support/replies.ts'

const TOKENS = ['access_token', 'refresh_token', 'id_token']

/** The names of all fields in a schema, references followed. */
function fieldsOf(value: unknown, document: OpenApiDocument): string[] {
  if (typeof value !== 'object' || value === null) return []
  const { $ref, properties = {} } = value as { $ref?: string; properties?: object }
  const [, , kind = '', name = ''] = $ref?.split('/') ?? []
  const referred = $ref === undefined ? [] : fieldsOf(document.components[kind]?.[name], document)
  const nested = Object.values(value).flatMap((part) => fieldsOf(part, document))
  return [...Object.keys(properties), ...referred, ...nested]
}

onSharedServer('ways to sign in', (server) => {
  it('[V6.1.3] every operation that gives tokens is in the table of ways to sign in, with its guards, and nothing else is', async () => {
    const document = await documentOf(server().app)
    const giving = operationsOf(document).filter(({ operation }) => {
      const { 200: success } = operation.responses
      const isInBody = fieldsOf(success?.content, document).some((name) => TOKENS.includes(name))
      return isInBody || 'Set-Cookie' in (success?.headers ?? {})
    })
    const rows = tableRows(section(readProjectFile('docs/security.md'), 'Ways to sign in'))
    const documented = rows.map(([way = '']) => way.replaceAll('`', ''))
    assert.deepEqual(
      giving.map(({ method, path }) => `${method} ${path.replace(API, '')}`).sort(),
      documented.sort(),
    )
    assert.equal(documented.length, 4)
    for (const cells of rows) assert.ok(cells.length === 4 && cells.every(Boolean), String(cells))
  })

  it('[V6.4.2] [NIST63B-nohint] no field, parameter or column is for a hint or a secret question', async () => {
    const { app, context } = server()
    const document = await documentOf(app)
    const tables = await context.db.introspection.getTables()
    const columns = tables.flatMap((table) => table.columns.map(({ name }) => name))
    const parameters = operationsOf(document).flatMap(({ operation }) =>
      (operation.parameters ?? []).map((parameter) => String(Reflect.get(parameter, 'name'))),
    )
    const names = [...fieldsOf(document, document), ...columns, ...parameters]
    for (const known of ['current_password', 'password_hash', 'transport']) assert.ok(names.includes(known))
    assert.deepEqual(
      // RFC 7662 section 2.1: which kind of token it is.
      names.filter(
        (name) => name !== 'token_type_hint' && /hint|question|answer|reminder|maiden|memorable/i.test(name),
      ),
      [],
    )
  })

  it('[V6.4.6] nobody sets the password of somebody else: not over HTTP, and not by creating the user anew', async () => {
    const document = await documentOf(server().app)
    const taking = operationsOf(document).filter(({ operation }) =>
      fieldsOf(operation.requestBody, document).some((name) => name.includes('password')),
    )
    assert.deepEqual(taking.map(({ operation }) => operation.operationId).sort(), [
      'deleteOwnAccount',
      'login',
      'register',
      'replaceOwnProfile',
      'resetPassword',
      'updateOwnProfile',
      // That of the registration, which it does not set.
      'verifyEmail',
    ])
    const { username, email } = await server().register()
    const args = ['users', 'create', '--username', username, '--email', email, '--superuser']
    const { code } = await runCli(args, { env: cliEnv(server()), input: 'a password of the operator' })
    assert.equal(code, 1)
    const form = { username, password: 'a password of the operator' }
    assertProblem(await server().call('POST', `${API}/auth/login`, { form }), INVALID_CREDENTIALS)
    await server().login({ username, password: PASSWORD })
  })
})
