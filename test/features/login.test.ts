import assert from 'node:assert/strict'
import { before, it } from 'node:test'
import { disableUser } from '../../src/features/users/set-active.ts'
import { API, onSharedServer, PASSWORD, type Person, type Reply } from '../kit.ts'
import { getUser, insertUser } from '../support/people.ts'
import { assertProblem, assertTokenPair, INACTIVE_USER, INVALID_CREDENTIALS } from '../support/replies.ts'
import { claimsOf } from '../support/tokens.ts'

const LOGIN = `${API}/auth/login`

onSharedServer('login', (server) => {
  let ada: Person
  before(async () => {
    ada = await server().register({ username: 'Ada', email: 'Ada.Lovelace@example.com' })
  })
  const login = (username: string, password = PASSWORD, extra: Record<string, string> = {}) =>
    server().call('POST', LOGIN, { form: { username, password, ...extra } })

  it('the OAuth2 password form gives a token pair that works', async () => {
    const reply = await login('Ada', PASSWORD, {
      grant_type: 'password',
      scope: '',
      client_id: 'any',
      client_secret: 'any',
    })
    assertTokenPair(reply)
    assert.equal((await server().me(reply.body.access_token)).body.username, 'Ada')
    assert.equal((await server().refresh(reply.body.refresh_token)).status, 200)
  })

  it('JSON works as well, with name or address in any case', async () => {
    for (const username of [
      'Ada',
      'ada',
      'ADA',
      'ａｄａ',
      'Ada.Lovelace@example.com',
      'ADA.LOVELACE@EXAMPLE.COM',
    ]) {
      assertTokenPair(await server().call('POST', LOGIN, { json: { username, password: PASSWORD } }))
    }
  })

  it('[V7.2.4] [V11.5.1] every sign-in is a session of its own with tokens of its own', async () => {
    const pairs = [await server().login(ada), await server().login(ada)]
    const sids = pairs.map(({ access_token }) => claimsOf(access_token).sid)
    const texts = pairs.flatMap(({ access_token, refresh_token }) => [access_token, refresh_token])
    assert.equal(new Set(sids).size, 2)
    assert.equal(new Set(texts).size, 4)
  })

  it('[RFC6749-3.1] unknown fields are ignored, an empty grant_type counts as left out, another one is refused', async () => {
    assertTokenPair(await login('Ada', PASSWORD, { audience: 'x', grant_type: '' }))
    const reply = await login('Ada', PASSWORD, { grant_type: 'client_credentials' })
    assert.equal(reply.status, 422)
    assert.ok(reply.body.errors.every(({ pointer }: { pointer: string }) => pointer === '/grant_type'))
  })

  it('no scope is granted, whatever is asked for', async () => {
    const reply = await login('Ada', PASSWORD, { scope: 'admin openid *' })
    assert.equal(claimsOf(reply.body.access_token).scope, '')
  })

  it('an Authorization header plays no part, Basic or Bearer, right or wrong', async () => {
    const basic = `Basic ${Buffer.from('nobody:nothing').toString('base64')}`
    for (const authorization of [basic, 'Basic', 'Bearer nonsense', 'Negotiate abc']) {
      const form = { username: 'Ada', password: PASSWORD }
      assertTokenPair(await server().call('POST', LOGIN, { form, headers: { authorization } }))
    }
    const right = `Basic ${Buffer.from(`Ada:${PASSWORD}`).toString('base64')}`
    const form = { username: 'Ada', password: 'wrong' }
    const reply = await server().call('POST', LOGIN, { form, headers: { authorization: right } })
    assertProblem(reply, INVALID_CREDENTIALS)
  })

  it('[V6.3.8] unknown user, wrong password and user without a password get the same reply', async () => {
    await insertUser(server(), { username: 'passwordless' })
    const replies = [
      await login('Ada', 'not the password at all'),
      await login('Ada', ''.padEnd(1024, 'x')),
      await login('nobody', PASSWORD),
      await login('nobody@example.com', PASSWORD),
      await login('passwordless', PASSWORD),
      await login('not a valid name!', PASSWORD),
      await login('@', PASSWORD),
    ]
    const [first] = replies
    for (const reply of replies) {
      assertProblem(reply, INVALID_CREDENTIALS)
      assert.deepEqual(comparable(reply), comparable(first))
    }
  })

  it('an inactive user is told so with the right password, and nothing with a wrong one', async () => {
    const { username } = await server().register()
    const { id } = await getUser(server(), username)
    await disableUser(server().context, id)
    assertProblem(await login(username), INACTIVE_USER)
    assertProblem(await login(username, 'not the password at all'), INVALID_CREDENTIALS)
  })

  it('[V6.3.2] a fresh database has no account to log in with', async () => {
    for (const [username, password] of [
      ['admin', 'admin'],
      ['root', 'root'],
      ['sa', 'sa'],
      ['postern', 'postern'],
      ['test', 'password'],
      ['admin@example.com', 'changeme'],
    ] as const) {
      assertProblem(await login(username, password), INVALID_CREDENTIALS)
    }
    const { db } = server().context
    const admins = await db.selectFrom('users').selectAll().where('is_superuser', '=', true).execute()
    assert.deepEqual(admins, [])
  })

  it('[V1.2.4] quotes, operators, NUL and half characters in the name are only wrong', async () => {
    for (const username of ["' OR '1'='1", 'Ada\0', 'Ada";--', '%', '_da', '{"$ne":1}', 'A'.repeat(320)]) {
      assertProblem(await login(username), INVALID_CREDENTIALS)
      assertProblem(await login(`${username.slice(0, 300)}@x`), INVALID_CREDENTIALS)
    }
    const json = { username: 'Ada\ud800', password: `${PASSWORD}\udc00` }
    assertProblem(await server().call('POST', LOGIN, { json }), INVALID_CREDENTIALS)
  })

  it('missing, empty, oversized and repeated fields are named', async () => {
    const reply = await server().call('POST', LOGIN, { json: {} })
    const pointers = ['/username', '/password']
    assertProblem(reply, { status: 422, code: 'validation_failed', pointers })
    const empty = await login('', '')
    assertProblem(empty, { status: 422, code: 'validation_failed', pointers: ['/username', '/password'] })
    const big = await login('x'.repeat(321), 'x'.repeat(1025))
    assertProblem(big, { status: 422, code: 'validation_failed', pointers: ['/username', '/password'] })
    const payload = `username=Ada&username=Bob&password=${PASSWORD}`
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const twice = await server().call('POST', LOGIN, { payload, headers })
    assertProblem(twice, { status: 422, code: 'validation_failed', pointers: ['/username'] })
  })

  it('[V14.2.1] credentials in the query are refused, and not repeated', async () => {
    const query = new URLSearchParams({ username: 'Ada', password: PASSWORD })
    const reply = await server().call('POST', `${LOGIN}?${query}`, { json: {} })
    assert.equal(reply.status, 422)
    assert.doesNotMatch(reply.text, /correct|horse/)
  })
})

/** A reply without what differs from any request to the next. */
const comparable = (reply: Reply | undefined) => ({
  status: reply?.status,
  headers: { ...reply?.headers, 'x-request-id': '', date: '' },
  body: { ...reply?.body, request_id: '' },
})
