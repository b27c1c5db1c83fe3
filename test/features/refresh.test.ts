import assert from 'node:assert/strict'
import { it } from 'node:test'
import { disableUser } from '../../src/features/users/set-active.ts'
import { API, onSharedServer } from '../kit.ts'
import { getUser } from '../support/people.ts'
import { assertProblem, assertTokenPair, REFRESH_TOKEN_INVALID } from '../support/replies.ts'

const REFRESH = `${API}/auth/refresh`

onSharedServer('refresh', (server) => {
  it('[RFC9700-2.2.2] JSON and form give the next pair, which works', async () => {
    const { tokens } = await server().register()
    const second = await server().call('POST', REFRESH, { json: { refresh_token: tokens.refresh_token } })
    assertTokenPair(second)
    assert.notEqual(second.body.refresh_token, tokens.refresh_token)
    const form = { refresh_token: second.body.refresh_token, grant_type: 'refresh_token', client_id: 'any' }
    const third = await server().call('POST', REFRESH, { form })
    assertTokenPair(third)
    assert.equal((await server().me(third.body.access_token)).status, 200)
  })

  it('[V9.2.2] anything but a refresh token of this server is invalid', async () => {
    const { tokens } = await server().register()
    const [header, claims, signature] = tokens.refresh_token.split('.')
    const forged = [
      tokens.access_token,
      'x',
      '..',
      `${header}.${claims}.`,
      `${header}.${claims}.${signature?.slice(2)}xx`,
      `${tokens.refresh_token} `,
      '\u0000',
      'x'.repeat(4096),
    ]
    for (const refresh_token of forged) {
      assertProblem(await server().call('POST', REFRESH, { json: { refresh_token } }), REFRESH_TOKEN_INVALID)
    }
  })

  it('without a token the field is named', async () => {
    const missing = { status: 422, code: 'validation_failed', pointers: ['/refresh_token'] }
    const headers = { 'content-type': 'application/json' }
    for (const call of [{ json: {} }, { form: { other: 'x' } }, {}, { headers }, { payload: '', headers }]) {
      const reply = await server().call('POST', REFRESH, call)
      assertProblem(reply, missing)
      assert.equal(reply.body.errors[0].detail, 'is missing')
    }
    for (const refresh_token of ['', 5, null, 'x'.repeat(4097)]) {
      assertProblem(await server().call('POST', REFRESH, { json: { refresh_token } }), missing)
    }
  })

  it('[V14.2.1] a token in the query or as bearer is not read', async () => {
    const { tokens } = await server().register()
    const query = await server().call('POST', `${REFRESH}?refresh_token=${tokens.refresh_token}`)
    assert.equal(query.status, 422)
    const bearer = await server().call('POST', REFRESH, { token: tokens.refresh_token })
    assert.equal(bearer.status, 422)
  })

  it('an old copy is told apart by its code alone', async () => {
    const { tokens } = await server().register()
    const second = await server().refresh(tokens.refresh_token)
    const third = await server().refresh(second.body.refresh_token)
    const reused = { ...REFRESH_TOKEN_INVALID, code: 'refresh_token_reused' }
    assertProblem(await server().refresh(tokens.refresh_token), reused)
    for (const token of [tokens.refresh_token, third.body.refresh_token]) {
      assertProblem(await server().refresh(token), REFRESH_TOKEN_INVALID)
    }
  })

  it('[V8.3.2] a disabled user cannot refresh', async () => {
    const { username, tokens } = await server().register()
    await disableUser(server().context, (await getUser(server(), username)).id)
    assertProblem(await server().refresh(tokens.refresh_token), REFRESH_TOKEN_INVALID)
  })
})
