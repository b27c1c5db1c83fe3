import assert from 'node:assert/strict'
import { it } from 'node:test'
import { API, onSharedServer, PASSWORD } from '../kit.ts'
import { getUser } from '../support/people.ts'
import { assertProblem, assertTokenPair, EMAIL_TAKEN, USERNAME_TAKEN } from '../support/replies.ts'

const REGISTER = `${API}/auth/register`
const person = (username: string) => ({ username, email: `${username}@example.com`, password: PASSWORD })

onSharedServer('register', (server) => {
  it('[V14.3.2] [RFC6749-5.1] JSON and form alike give a token pair that works', async () => {
    for (const call of [{ json: person('json') }, { form: person('form') }]) {
      const reply = await server().call('POST', REGISTER, call)
      assertTokenPair(reply)
      assert.equal((await server().me(reply.body.access_token)).status, 200)
      assert.equal((await server().refresh(reply.body.refresh_token)).status, 200)
    }
  })

  it('the account is active, unprivileged and unverified, with name and address as typed', async () => {
    await server().register({ username: 'Mixed.Case', email: 'Mixed.Case@Example.com' })
    const { id, ...user } = await getUser(server(), 'Mixed.Case')
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    assert.equal(user.email, 'Mixed.Case@Example.com')
    assert.deepEqual([user.is_active, user.is_superuser, user.email_verified_at], [true, false, null])
  })

  it('the account has the language that was asked for, and none without one', async () => {
    for (const [header, locale] of [
      ['de-AT, en;q=0.5', 'de'],
      [undefined, null],
    ] as const) {
      const headers: Record<string, string> = header === undefined ? {} : { 'accept-language': header }
      const { username } = await server().register({}, { headers })
      assert.equal((await getUser(server(), username)).locale, locale)
    }
  })

  it('[V11.4.2] [NIST63B-store] the password is stored as argon2id with m=19456, t=2, p=1 and a salt of its own', async () => {
    const one = await server().register()
    const other = await server().register()
    const hashes = []
    for (const { username } of [one, other]) hashes.push((await getUser(server(), username)).password_hash)
    for (const hash of hashes) {
      assert.match(hash ?? '', /^\$argon2id\$v=19\$m=19456,t=2,p=1\$[\w+/]{22,}\$[\w+/]{43}$/)
    }
    assert.notEqual(hashes[0], hashes[1])
  })

  it('a name that is taken is a 400, whatever its case', async () => {
    await server().register({ username: 'taken' })
    for (const username of ['taken', 'TAKEN', 'Ｔaken']) {
      const json = { ...person(username), email: 'free@example.com' }
      assertProblem(await server().call('POST', REGISTER, { json }), USERNAME_TAKEN)
    }
  })

  it('an address that is taken is a 400, whatever its case; the name is told first when both are', async () => {
    const { username } = await server().register({ username: 'owner', email: 'owner@example.com' })
    for (const email of ['owner@example.com', 'OWNER@example.com', 'owner@EXAMPLE.COM']) {
      const json = { ...person('another'), email }
      assertProblem(await server().call('POST', REGISTER, { json }), EMAIL_TAKEN)
    }
    const json = { ...person(username), email: 'owner@example.com' }
    assertProblem(await server().call('POST', REGISTER, { json }), USERNAME_TAKEN)
  })

  it('[V2.2.2] each missing field is named, in JSON and in a form', async () => {
    const pointers = () => ['/username', '/email', '/password']
    for (const call of [{ json: {} }, { form: { other: '' } }]) {
      const reply = await server().call('POST', REGISTER, call)
      const expected = call.form ? [...pointers(), '/other'] : pointers()
      assertProblem(reply, { status: 422, code: 'validation_failed', pointers: expected })
    }
    const { username, password } = person('half')
    const reply = await server().call('POST', REGISTER, { json: { username, password } })
    assert.deepEqual(reply.body.errors, [{ pointer: '/email', detail: 'is missing' }])
  })

  it('[V8.2.3] [V15.3.3] fields that only the server sets are refused, and so is every other unknown one', async () => {
    for (const field of ['is_superuser', 'is_active', 'email_verified', 'id', 'created_at', 'a/b~c']) {
      const json = { ...person('climber'), [field]: true }
      const reply = await server().call('POST', REGISTER, { json })
      const pointer = field === 'a/b~c' ? '/a~1b~0c' : `/${field}`
      assertProblem(reply, { status: 422, code: 'validation_failed', pointers: [pointer] })
      assert.deepEqual(reply.body.errors, [{ pointer, detail: 'is not known here' }])
    }
  })

  it('[V15.3.5] what is not text is refused, never coerced', async () => {
    for (const wrong of [1, true, null, ['text'], { $ne: '' }]) {
      const json = { username: wrong, email: wrong, password: wrong }
      const reply = await server().call('POST', REGISTER, { json })
      const pointers = ['/username', '/email', '/password']
      assertProblem(reply, { status: 422, code: 'validation_failed', pointers })
    }
    for (const json of [[], 'text', 5, null]) {
      const reply = await server().call('POST', REGISTER, { json })
      assertProblem(reply, { status: 422, code: 'validation_failed', pointers: [''] })
    }
  })

  it('[V15.3.7] a form field sent twice is refused', async () => {
    const payload = `username=twice&email=twice%40example.com&password=${'x'.repeat(20)}&password=${'y'.repeat(20)}`
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const reply = await server().call('POST', REGISTER, { payload, headers })
    assertProblem(reply, { status: 422, code: 'validation_failed', pointers: ['/password'] })
  })

  it('[V15.3.6] __proto__ and constructor change nothing and are refused', async () => {
    const headers = { 'content-type': 'application/json' }
    const account = JSON.stringify(person('polluter')).slice(1)
    const proto = `{"__proto__":{"is_superuser":true},${account}`
    const reply = await server().call('POST', REGISTER, { payload: proto, headers })
    assertProblem(reply, { status: 400, code: 'malformed_request' })
    const json = { ...person('polluter'), constructor: { prototype: { is_superuser: true } } }
    assert.ok([400, 422].includes((await server().call('POST', REGISTER, { json })).status))
    const form = { ...person('polluter'), __proto__: 'x', constructor: 'x' }
    assert.equal((await server().call('POST', REGISTER, { form })).status, 422)
    assert.equal(({} as Record<string, unknown>).is_superuser, undefined)
  })

  it('an unknown transport or query field is refused', async () => {
    for (const query of ['transport=both', 'transport=', 'next=/', 'transport=cookie&transport=body']) {
      const reply = await server().call('POST', `${REGISTER}?${query}`, { json: person('asker') })
      assert.equal(reply.status, 422, query)
    }
  })

  it('nothing is refused half: after a failed registration name and address are free', async () => {
    const json = { ...person('retry'), password: 'too short' }
    assert.equal((await server().call('POST', REGISTER, { json })).status, 422)
    assert.equal((await server().call('POST', REGISTER, { json: person('retry') })).status, 200)
  })
})
