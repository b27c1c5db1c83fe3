import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onSharedServer, type Person, type TestServer } from '../kit.ts'
import {
  ACCESS_TOKEN_INVALID,
  assertProblem,
  assertUncached,
  NOT_AUTHENTICATED,
  NOT_ENOUGH_PERMISSIONS,
} from '../support/replies.ts'

const ADMIN_ONLY = `${API}/users/admin-only`

onSharedServer('admin-only', (server) => {
  it('greets a superuser, with the profile', async () => {
    const admin = await server().register()
    await setSuperuser(server(), admin, true)
    const reply = await server().call('GET', ADMIN_ONLY, { token: admin.tokens.access_token })
    assert.equal(reply.status, 200)
    assertUncached(reply)
    const user = (await server().me(admin.tokens.access_token)).body
    assert.equal(user.is_superuser, true)
    assert.deepEqual(reply.body, { message: `Hello, ${admin.username}: you are a superuser`, user })
  })

  it('[V8.2.1] [RFC6750-3.1a] others get 403 with error="insufficient_scope", and who is not signed in 401', async () => {
    const { tokens } = await server().register()
    assertProblem(
      await server().call('GET', ADMIN_ONLY, { token: tokens.access_token }),
      NOT_ENOUGH_PERMISSIONS,
    )
    assertProblem(await server().call('GET', ADMIN_ONLY), NOT_AUTHENTICATED)
    assertProblem(await server().call('GET', ADMIN_ONLY, { token: 'x' }), ACCESS_TOKEN_INVALID)
  })

  it('[V8.3.2] who is a superuser no longer is refused at once, with the same token', async () => {
    const { tokens, ...admin } = await server().register()
    await setSuperuser(server(), { ...admin, tokens }, true)
    assert.equal((await server().call('GET', ADMIN_ONLY, { token: tokens.access_token })).status, 200)
    await setSuperuser(server(), { ...admin, tokens }, false)
    assert.equal((await server().call('GET', ADMIN_ONLY, { token: tokens.access_token })).status, 403)
  })
})

async function setSuperuser(
  { context }: TestServer,
  { username }: Person,
  is_superuser: boolean,
): Promise<void> {
  await context.db.updateTable('users').set({ is_superuser }).where('username', '=', username).execute()
}
