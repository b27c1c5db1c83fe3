import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setSuperuser } from '../../src/features/users/set-superuser.ts'
import { API, onSharedServer, type Person, type TestServer } from '../kit.ts'
import { getUser } from '../support/people.ts'
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
    await change(server(), admin, true)
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
    await change(server(), admin, true)
    assert.equal((await server().call('GET', ADMIN_ONLY, { token: tokens.access_token })).status, 200)
    await change(server(), admin, false)
    assert.equal((await server().call('GET', ADMIN_ONLY, { token: tokens.access_token })).status, 403)
  })
})

async function change(
  server: TestServer,
  { username }: Pick<Person, 'username'>,
  isSuperuser: boolean,
): Promise<void> {
  const { id } = await getUser(server, username)
  assert.equal(await setSuperuser(server.context, id, isSuperuser), true)
}
