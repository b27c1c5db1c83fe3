import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, type Call, onSharedServer, PASSWORD, type Person } from '../kit.ts'
import { getUser } from '../support/people.ts'
import {
  ACCESS_TOKEN_INVALID,
  assertProblem,
  assertUncached,
  CURRENT_PASSWORD_INCORRECT,
  EMAIL_TAKEN,
  INVALID_CREDENTIALS,
  NOT_AUTHENTICATED,
  USERNAME_TAKEN,
} from '../support/replies.ts'

const ME = `${API}/users/me`
const NEW_PASSWORD = 'staple battery horse correct'
const invalid = (...pointers: string[]) => ({ status: 422, code: 'validation_failed', pointers })

for (const method of ['PUT', 'PATCH']) {
  onSharedServer(`own account by ${method}`, (server) => {
    const change = (person: Person, json: unknown, call: Call = {}) =>
      server().call(method, ME, { token: person.tokens.access_token, json, ...call })

    it('a new name takes effect at once, and the old one is free', async () => {
      const person = await server().register()
      const username = `${person.username}.new`
      const reply = await change(person, { username })
      assert.equal(reply.status, 200)
      assertUncached(reply)
      const { username: name, email, ...rest } = reply.body
      assert.deepEqual([name, email], [username, person.email])
      assert.deepEqual({ ...rest, username, email }, (await server().me(person.tokens.access_token)).body)
      await server().login({ username, password: PASSWORD })
      await server().register({ username: person.username, email: `again-${person.email}` })
    })

    it('a new address just after the sign-in needs no password, and is unverified', async () => {
      const person = await server().register()
      const { context } = server()
      const { id } = await getUser(server(), person.username)
      const verified = { email_verified_at: context.clock.now() }
      await context.db.updateTable('users').set(verified).where('id', '=', id).execute()
      assert.equal((await server().me(person.tokens.access_token)).body.email_verified, true)
      const email = `New.${person.email}`
      const { body } = await change(person, { email })
      assert.deepEqual([body.email, body.email_verified], [email, false])
      await server().login({ username: email, password: PASSWORD })
      const form = { username: person.email, password: PASSWORD }
      assertProblem(await server().call('POST', `${API}/auth/login`, { form }), INVALID_CREDENTIALS)
    })

    it('[V6.2.2] [V7.4.3] a new password ends every other session; this one stays', async () => {
      const person = await server().register()
      const other = await server().login(person)
      const json = { password: NEW_PASSWORD, current_password: PASSWORD }
      assert.equal((await change(person, json)).status, 200)
      assert.equal((await server().me(person.tokens.access_token)).status, 200)
      assert.equal((await server().refresh(person.tokens.refresh_token)).status, 200)
      assertProblem(await server().me(other.access_token), ACCESS_TOKEN_INVALID)
      assert.equal((await server().refresh(other.refresh_token)).status, 401)
      const form = { username: person.username, password: PASSWORD }
      assertProblem(await server().call('POST', `${API}/auth/login`, { form }), INVALID_CREDENTIALS)
      await server().login({ username: person.username, password: NEW_PASSWORD })
    })

    it('[V6.2.3] a new password needs the current one, even just after the sign-in', async () => {
      const person = await server().register()
      const missing = await change(person, { password: NEW_PASSWORD })
      assertProblem(missing, invalid('/current_password'))
      const wrong = await change(person, { password: NEW_PASSWORD, current_password: 'a wrong one' })
      assertProblem(wrong, CURRENT_PASSWORD_INCORRECT)
      await server().login(person)
    })

    it('a current password that is sent must be right, whatever changes', async () => {
      const person = await server().register()
      for (const change_ of [{ username: `${person.username}.x` }, { email: `x.${person.email}` }]) {
        const reply = await change(person, { ...change_, current_password: 'a wrong one' })
        assertProblem(reply, CURRENT_PASSWORD_INCORRECT)
      }
      const { body } = await server().me(person.tokens.access_token)
      assert.deepEqual([body.username, body.email], [person.username, person.email])
    })

    it('[V2.3.3] several fields change together or not at all', async () => {
      const person = await server().register()
      const taken = await server().register()
      const json = { password: NEW_PASSWORD, current_password: PASSWORD, email: taken.email }
      assertProblem(await change(person, json), EMAIL_TAKEN)
      await server().login(person)
      const email = `both.${person.email}`
      const username = `${person.username}.both`
      const { body } = await change(person, { ...json, email, username })
      assert.deepEqual([body.username, body.email], [username, email])
      await server().login({ username, password: NEW_PASSWORD })
    })

    it("a name or address that is somebody else's is a 400, in any case; one's own may change its case", async () => {
      const person = await server().register()
      const other = await server().register()
      assertProblem(await change(person, { username: other.username.toUpperCase() }), USERNAME_TAKEN)
      assertProblem(await change(person, { email: other.email.toUpperCase() }), EMAIL_TAKEN)
      const json = { username: person.username.toUpperCase(), email: person.email.toUpperCase() }
      const { body } = await change(person, json)
      assert.deepEqual({ username: body.username, email: body.email }, json)
    })

    it('two who take one name at the same instant: one wins, the other gets the 400', async () => {
      const people = [await server().register(), await server().register(), await server().register()]
      const username = `${people[0]?.username}.raced`
      const replies = await Promise.all(people.map((person) => change(person, { username })))
      assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 400, 400])
      for (const { status, body } of replies) if (status === 400) assert.equal(body.code, 'username_taken')
    })

    it('nothing to change changes nothing, not even updated_at', async () => {
      const person = await server().register()
      const before = await server().me(person.tokens.access_token)
      server().clock.advance(1000)
      for (const json of [
        {},
        { username: person.username, email: person.email },
        { current_password: 'x' },
      ]) {
        const reply = await change(person, json)
        assert.equal(reply.status, 200)
        assert.deepEqual(reply.body, before.body)
      }
      const changed = await change(person, { username: `${person.username}.later` })
      assert.ok(Date.parse(changed.body.updated_at) > Date.parse(before.body.updated_at))
      assert.equal(changed.body.created_at, before.body.created_at)
    })

    it('[V8.2.3] [V15.3.3] is_active, is_superuser and every unknown field are refused', async () => {
      const person = await server().register()
      for (const field of ['is_active', 'is_superuser', 'email_verified', 'id', 'password_hash', 'role']) {
        const reply = await change(person, { [field]: true, username: `${person.username}.x` })
        assertProblem(reply, invalid(`/${field}`))
      }
      const { username, is_superuser, is_active } = (await server().me(person.tokens.access_token)).body
      assert.deepEqual([username, is_superuser, is_active], [person.username, false, true])
    })

    it('the rules for names, addresses and passwords hold here as well', async () => {
      const person = await server().register()
      assertProblem(await change(person, { username: 'a@b.example' }), invalid('/username'))
      assertProblem(await change(person, { username: 'x' }), invalid('/username'))
      assertProblem(await change(person, { email: 'no address' }), invalid('/email'))
      const password = { password: 'fourteen chars', current_password: PASSWORD }
      assertProblem(await change(person, password), invalid('/password'))
      assertProblem(await change(person, { username: 1, email: null, password: [] }), {
        ...invalid('/username', '/email', '/password'),
      })
    })

    it('takes JSON alone, from somebody signed in', async () => {
      const person = await server().register()
      const form = { username: 'form' }
      const reply = await server().call(method, ME, { token: person.tokens.access_token, form })
      assertProblem(reply, { status: 415, code: 'unsupported_media_type' })
      assertProblem(await server().call(method, ME, { json: {} }), NOT_AUTHENTICATED)
      assertProblem(await server().call(method, ME, { json: {}, token: 'x' }), ACCESS_TOKEN_INVALID)
      const empty = await server().call(method, ME, { token: person.tokens.access_token })
      assertProblem(empty, invalid(''))
    })
  })
}
