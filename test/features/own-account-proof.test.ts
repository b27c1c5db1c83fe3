import assert from 'node:assert/strict'
import { it } from 'node:test'
import { MINUTE } from '../../src/core/clock.ts'
import { API, onEachDatabase, PASSWORD, type TestServer } from '../kit.ts'
import { getUser, insertBcryptUser } from '../support/people.ts'
import {
  ACCESS_TOKEN_INVALID,
  assertDone,
  assertProblem,
  CURRENT_PASSWORD_INCORRECT,
  INVALID_CREDENTIALS,
  NOT_AUTHENTICATED,
  REFRESH_TOKEN_INVALID,
} from '../support/replies.ts'

const ME = `${API}/users/me`
const REAUTHENTICATION_REQUIRED = {
  status: 401,
  code: 'reauthentication_required',
  challenge: 'Bearer realm="postern", error="insufficient_user_authentication", max_age="300"',
}

onEachDatabase('proof for a new address', ({ start }) => {
  it('[V7.5.1] [V10.3.4] it needs the password once the sign-in is older than 5 minutes; a refresh does not count', async () => {
    const server = await start()
    const { email, tokens } = await server.register()
    server.clock.advance(5 * MINUTE)
    assert.equal((await patch(server, tokens.access_token, { email: `a.${email}` })).status, 200)
    server.clock.advance(1)
    const { access_token: token } = (await server.refresh(tokens.refresh_token)).body
    assertProblem(await patch(server, token, { email: `b.${email}` }), REAUTHENTICATION_REQUIRED)
    assert.equal((await patch(server, token, { username: 'names.need.none' })).status, 200)
    const wrong = { email: `b.${email}`, current_password: 'a wrong one' }
    assertProblem(await patch(server, token, wrong), CURRENT_PASSWORD_INCORRECT)
    const right = { email: `b.${email}`, current_password: PASSWORD }
    assert.equal((await patch(server, token, right)).body.email, `b.${email}`)
    assert.equal((await patch(server, token, { email: `b.${email}` })).status, 200, 'it has not changed')
  })

  it('a new sign-in counts, for its own session alone', async () => {
    const server = await start()
    const person = await server.register()
    server.clock.advance(6 * MINUTE)
    const fresh = await server.login(person)
    const email = `c.${person.email}`
    assertProblem(await patch(server, person.tokens.access_token, { email }), REAUTHENTICATION_REQUIRED)
    assert.equal((await patch(server, fresh.access_token, { email })).status, 200)
  })

  it('an imported user proves the account with the bcrypt password, and a new one is argon2id', async () => {
    const server = await start()
    await insertBcryptUser(server, 'imported', PASSWORD)
    const { access_token: token } = await server.login({ username: 'imported', password: PASSWORD })
    await server.context.db
      .updateTable('users')
      .set({
        password_hash: (await insertBcryptUser(server, 'other', PASSWORD)).password_hash,
        bcrypt_cost: 4,
      })
      .where('username', '=', 'imported')
      .execute()
    const json = { password: 'staple battery horse correct', current_password: PASSWORD }
    assert.equal((await patch(server, token, json)).status, 200)
    const user = await getUser(server, 'imported')
    assert.match(user.password_hash ?? '', /^\$argon2id\$/)
    assert.equal(user.bcrypt_cost, null)
  })
})

onEachDatabase('two new passwords at once', ({ start }) => {
  const change = (password: string) => ({ password, current_password: PASSWORD })

  it('[V15.4.2] from one session: one is set, the other is told that the current one was another', async () => {
    const server = await start()
    const { username, tokens } = await server.register()
    const wanted = ['the first new password', 'the second new password']
    const replies = await Promise.all(wanted.map((text) => patch(server, tokens.access_token, change(text))))
    const winner = replies.findIndex(({ status }) => status === 200)
    const loser = replies[1 - winner] ?? assert.fail('nobody won')
    assertProblem(loser, CURRENT_PASSWORD_INCORRECT)
    await server.login({ username, password: wanted[winner] ?? '' })
  })

  it('[V15.4.2] from two sessions: one is set, and the other session has ended', async () => {
    const server = await start()
    const person = await server.register()
    const pairs = [person.tokens, await server.login(person)]
    const replies = await Promise.all(
      pairs.map(({ access_token }, index) =>
        patch(server, access_token, change(`new password number ${index}`)),
      ),
    )
    const winner = replies.findIndex(({ status }) => status === 200)
    assertProblem(replies[1 - winner] ?? assert.fail('nobody won'), ACCESS_TOKEN_INVALID)
    assert.equal((await server.me(pairs[winner]?.access_token ?? '')).status, 200)
    assertProblem(await server.me(pairs[1 - winner]?.access_token ?? ''), ACCESS_TOKEN_INVALID)
    await server.login({ username: person.username, password: `new password number ${winner}` })
  })
})

onEachDatabase('own account deleted', ({ start }) => {
  it('[V7.4.2] [V10.3.3] the user and all that is theirs is gone; name and address are free, for another id', async () => {
    const server = await start()
    const person = await server.register({ username: 'ada' })
    const { id } = await getUser(server, 'ada')
    const other = await server.login(person)
    assertDone(await remove(server, person.tokens.access_token, { current_password: PASSWORD }))

    for (const tokens of [person.tokens, other]) {
      assertProblem(await server.me(tokens.access_token), ACCESS_TOKEN_INVALID)
      assertProblem(await server.refresh(tokens.refresh_token), REFRESH_TOKEN_INVALID)
      const json = { refresh_token: tokens.refresh_token }
      assertProblem(await server.call('POST', `${API}/auth/logout`, { json }), REFRESH_TOKEN_INVALID)
    }
    const form = { username: 'ada', password: PASSWORD }
    assertProblem(await server.call('POST', `${API}/auth/login`, { form }), INVALID_CREDENTIALS)
    const { db } = server.context
    assert.deepEqual(await db.selectFrom('users').selectAll().execute(), [])
    assert.deepEqual(await db.selectFrom('sessions').selectAll().execute(), [])

    const again = await server.register({ username: 'ada' })
    assert.notEqual((await getUser(server, 'ada')).id, id)
    assertProblem(await server.me(person.tokens.access_token), ACCESS_TOKEN_INVALID)
    assert.equal((await server.me(again.tokens.access_token)).status, 200)
  })

  it('[V7.5.3] it needs the current password, just after the sign-in as well', async () => {
    const server = await start()
    const { tokens } = await server.register()
    const missing = { status: 422, code: 'validation_failed', pointers: ['/current_password'] }
    assertProblem(await remove(server, tokens.access_token, {}), missing)
    const wrong = { current_password: 'a wrong one' }
    assertProblem(await remove(server, tokens.access_token, wrong), CURRENT_PASSWORD_INCORRECT)
    const unknown = { current_password: PASSWORD, reason: 'bored' }
    const refused = { status: 422, code: 'validation_failed', pointers: ['/reason'] }
    assertProblem(await remove(server, tokens.access_token, unknown), refused)
    assert.equal((await server.me(tokens.access_token)).status, 200)
  })

  it('somebody not signed in deletes nobody', async () => {
    const server = await start()
    await server.register()
    const json = { current_password: PASSWORD }
    assertProblem(await server.call('DELETE', ME, { json }), NOT_AUTHENTICATED)
    assertProblem(await remove(server, 'x', json), ACCESS_TOKEN_INVALID)
    const without = await server.call('DELETE', ME)
    assertProblem(without, { status: 422, code: 'validation_failed', pointers: [''] })
  })

  it('twice at the same instant: it happens once', async () => {
    const server = await start()
    const { tokens } = await server.register()
    const json = { current_password: PASSWORD }
    const replies = await Promise.all([1, 2, 3].map(() => remove(server, tokens.access_token, json)))
    assert.deepEqual(replies.map(({ status }) => status).sort(), [204, 401, 401])
    for (const reply of replies) if (reply.status === 401) assertProblem(reply, ACCESS_TOKEN_INVALID)
  })
})

const patch = (server: TestServer, token: string, json: unknown) => server.call('PATCH', ME, { token, json })
const remove = (server: TestServer, token: string, json: unknown) =>
  server.call('DELETE', ME, { token, json })
