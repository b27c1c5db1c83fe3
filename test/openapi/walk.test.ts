import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onSharedServer } from '../kit.ts'
import { type Described, documentedCodes, documentOf, operationsOf } from '../support/openapi.ts'
import {
  ACCESS_TOKEN_INVALID,
  assertProblem,
  NOT_AUTHENTICATED,
  NOT_ENOUGH_PERMISSIONS,
} from '../support/replies.ts'

/** What anybody may call; everything else asks who is calling. */
const PUBLIC = [
  'describeProblem',
  'getHealth',
  'getJwks',
  'getOpenIdConfiguration',
  'getReadiness',
  'getRoot',
  'getServerMetadata',
  'login',
  'refreshSession',
  'register',
  'requestPasswordReset',
  'requestSignInLink',
  'resendVerification',
  'resetPassword',
  'revokeToken',
  'signInByLink',
  'undoEmailChange',
  'verifyEmail',
]

onSharedServer('every operation', (server) => {
  const operations = async (): Promise<Described[]> => operationsOf(await documentOf(server().app))
  const guarded = async (): Promise<Described[]> =>
    (await operations()).filter(({ operation }) => !PUBLIC.includes(operation.operationId))

  /** Calls an operation with input that it would take. */
  const call = ({ method, path, operation }: Described, token?: string) => {
    const example = operation.requestBody?.content['application/json']?.example
    // A token in the body would say who is calling, where the test is about the one in the header.
    const isLogout = operation.operationId === 'logout'
    return server().call(method, path.replace(/\{\w+\}/, '019a1f6e-7c1a-7b7e-8a54-3f1d2c9b0e11'), {
      ...(example !== undefined && { json: isLogout ? {} : example }),
      ...(token !== undefined && { token }),
    })
  }

  it('[V8.2.1] says that it asks who is calling, or is on the short public list', async () => {
    const open = (await operations()).filter(({ operation }) => {
      // What goes without a token names that first.
      const [first = {}] = (operation as { security?: object[] }).security ?? []
      return !('bearer' in first)
    })
    assert.deepEqual(open.map(({ operation }) => operation.operationId).toSorted(), PUBLIC)
    for (const { operation } of await guarded()) {
      const codes = documentedCodes(operation)
      assert.ok(codes.includes('not_authenticated') && codes.includes('access_token_invalid'))
    }
  })

  it('[V8.2.1] refuses a caller without a token', async () => {
    for (const described of await guarded()) assertProblem(await call(described), NOT_AUTHENTICATED)
  })

  it('[V9.2.2] refuses a refresh token in place of an access token', async () => {
    const { tokens } = await server().register()
    for (const described of await guarded()) {
      assertProblem(await call(described, tokens.refresh_token), ACCESS_TOKEN_INVALID)
    }
    assert.equal((await server().me(tokens.access_token)).status, 200)
  })

  it('[V7.4.1] refuses the token of a session that has ended', async () => {
    const { tokens } = await server().register()
    const out = await server().call('POST', `${API}/auth/logout`, { token: tokens.access_token })
    assert.equal(out.status, 204)
    for (const described of await guarded()) {
      assertProblem(await call(described, tokens.access_token), ACCESS_TOKEN_INVALID)
    }
  })

  it('[V8.2.1] is for superusers alone where it says so', async () => {
    const forSuperusers = (await operations()).filter(({ operation }) =>
      documentedCodes(operation).includes('not_enough_permissions'),
    )
    assert.ok(forSuperusers.length > 0)
    const person = await server().register()
    for (const described of forSuperusers) {
      assertProblem(await call(described, person.tokens.access_token), NOT_ENOUGH_PERMISSIONS)
    }
    const { db } = server().context
    await db
      .updateTable('users')
      .set({ is_superuser: true })
      .where('username', '=', person.username)
      .execute()
    for (const described of forSuperusers) {
      assert.equal((await call(described, person.tokens.access_token)).status, 200)
    }
  })
})
