import assert from 'node:assert/strict'
import { it } from 'node:test'
import * as bcrypt from '@node-rs/bcrypt'
import { HOUR } from '../../src/core/clock.ts'
import { disableUser } from '../../src/features/users/set-active.ts'
import { API, PASSWORD, type Reply, type TestServer } from '../kit.ts'
import { insertBcryptUser, insertUser } from '../support/people.ts'
import { assertProblem, EMAIL_TAKEN, USERNAME_TAKEN } from '../support/replies.ts'
import { scale } from '../support/scale.ts'
import {
  createNode,
  DEN,
  eventsOf,
  HOME,
  liveSessionsOf,
  mustFail,
  mustRefresh,
  type Node,
  ROAD,
  sessionOf,
  signIn,
} from '../support/sessions.ts'
import { atOnce, holdVerifications, onEachDeployment } from '../support/two-nodes.ts'

const ROUNDS = scale(6, 50)

onEachDeployment('at the same time', ({ share, start }) => {
  it('[V2.3.4] 50 refreshes of one token all succeed with one and the same refresh token, one generation on', async () => {
    const { server, nodes } = await share()
    const first = await signIn(server)
    const replies = await atOnce(nodes, 50, (node) => node.refresh(first, HOME))
    checkOneSuccessor(replies)
    assert.equal((await sessionOf(server, first)).generation, 1)
    assert.deepEqual(await eventsOf(server, first), [])
    await mustRefresh(server, replies[0]?.body.refresh_token)
  })

  it('50 recoveries of one token all succeed with the same refresh token and are one recovery', async () => {
    const { server, nodes } = await share()
    const first = await signIn(server)
    const lost = await mustRefresh(server, first)
    server.clock.advance(HOUR)
    const replies = await atOnce(nodes, 50, (node) => node.refresh(first, ROAD))
    checkOneSuccessor(replies)
    assert.equal(replies[0]?.body.refresh_token, lost)
    const session = await sessionOf(server, first)
    assert.deepEqual([session.generation, session.recovered_generation, session.revoked_at], [1, 1, null])
    assert.deepEqual(await eventsOf(server, first), ['session.recovered'])
  })

  it('owner and thief at once: both get the same successor, or the session ends; never two branches', async () => {
    const { server, nodes } = await share()
    const ada = await server.register({}, HOME)
    for (let round = 0; round < ROUNDS; round += 1) {
      const stolen = (await server.login(ada, HOME)).refresh_token
      const replies = await atOnce(nodes, 2, (node, index) => node.refresh(stolen, index ? DEN : HOME))
      checkOneSuccessor(replies)
      const next = replies[0]?.body.refresh_token
      const second = await atOnce(nodes, 2, (node, index) => node.refresh(next, index ? DEN : HOME))
      assert.deepEqual(statuses(second), [200, 401])
      await mustFail(server, next, 'refresh_token_invalid')
      assert.equal((await sessionOf(server, stolen)).revoked_reason, 'reuse_detected')
    }
  })

  it('[V2.3.4] 20 registrations of one name: one wins, the others are told that it is taken', async () => {
    const { server, nodes } = await start()
    const person = { username: 'ada', email: 'ada@example.com', password: PASSWORD }
    const replies = await atOnce(nodes, 20, (node, index) =>
      node.call('POST', `${API}/auth/register`, {
        json: { ...person, username: index % 2 ? 'ada' : 'ADA' },
      }),
    )
    assert.deepEqual(statuses(replies), [200, ...Array(19).fill(400)])
    for (const reply of replies) if (reply.status !== 200) assertProblem(reply, USERNAME_TAKEN)
    assert.deepEqual(await countStored(server), { users: 1, sessions: 1 })
  })

  it('20 registrations of one e-mail address under different names: one wins, the others are told that it is taken', async () => {
    const { server, nodes } = await start()
    const replies = await atOnce(nodes, 20, (node, index) =>
      node.call('POST', `${API}/auth/register`, {
        json: { username: `ada${index}`, email: 'ada@example.com', password: PASSWORD },
      }),
    )
    assert.deepEqual(statuses(replies), [200, ...Array(19).fill(400)])
    for (const reply of replies) if (reply.status !== 200) assertProblem(reply, EMAIL_TAKEN)
    assert.deepEqual(await countStored(server), { users: 1, sessions: 1 })
  })

  it('logout against refresh: the session is over, whoever was first', async () => {
    const { server, nodes } = await share()
    const ada = await server.register({}, HOME)
    for (let round = 0; round < ROUNDS; round += 1) {
      const pair = await server.login(ada, HOME)
      const [refreshed] = await atOnce(nodes, 2, (node, index) =>
        index === round % 2
          ? node.refresh(pair.refresh_token)
          : node.call('POST', `${API}/auth/logout`, { token: pair.access_token }),
      ).then((replies) => (round % 2 ? replies.reverse() : replies))
      await checkOver(server, pair, refreshed)
    }
    assert.equal((await liveSessionsOf(server, ada.tokens.refresh_token)).length, 1)
  })

  it('disable against refresh: the session is over, whoever was first', async () => {
    const { server, nodes } = await share()
    const password_hash = await server.context.passwords.hash(PASSWORD)
    for (let round = 0; round < ROUNDS; round += 1) {
      const { id, username } = await insertUser(server, { password_hash })
      const pair = await server.login({ username, password: PASSWORD }, HOME)
      const disable = ({ context }: Node) => disableUser(context, id)
      const work = await atOnce(nodes, 6, (node, index) =>
        index === 3 ? disable(node).then(() => undefined) : node.refresh(pair.refresh_token),
      )
      for (const reply of work) if (reply) assert.ok([200, 401].includes(reply.status), reply.text)
      assert.deepEqual(await liveSessionsOf(server, pair.refresh_token), [])
      await mustFail(server, pair.refresh_token, 'refresh_token_invalid')
    }
  })

  it('two sign-ins of a bcrypt user both succeed at any instant', async () => {
    const { server, nodes } = await share()
    const password_hash = await bcrypt.hash(PASSWORD, 4)
    for (let round = 0; round < scale(5, 50); round += 1) {
      const user = await insertUser(server, { password_hash, bcrypt_cost: 4 })
      const replies = await atOnce(nodes, 2, (node) => signInAt(node, user))
      assert.deepEqual(statuses(replies), [200, 200], replies.map(({ text }) => text).join())
      for (const { body } of replies) await mustRefresh(server, body.refresh_token)
      assert.match(await hashOf(server, user), /^\$argon2id\$/)
      assert.equal((await liveSessionsOf(server, replies[0]?.body.access_token)).length, 2)
    }
  })

  it('a sign-in of a bcrypt user whose hash another one replaces meanwhile succeeds, and replaces it no more', async () => {
    const { server, nodes } = await share()
    const [node] = nodes.slice(-1)
    assert.ok(node)
    const user = await insertBcryptUser(server, 'twice.at.once', PASSWORD)
    const held = holdVerifications(server.context)
    const slow = await createNode(held.context)
    const late = signInAt(slow, user)
    await held.reached
    assert.equal((await signInAt(node, user)).status, 200)
    const replaced = await hashOf(server, user)
    assert.match(replaced, /^\$argon2id\$/)
    held.open()
    assert.equal((await late).status, 200)
    assert.equal(await hashOf(server, user), replaced)
    await slow.close()
  })

  it('sign-ins beyond SESSION_LIMIT at once leave exactly as many sessions as allowed', async () => {
    const { server, nodes } = await start({ sessionLimit: 3 })
    const ada = await server.register()
    const form = { username: ada.username, password: ada.password }
    const replies = await atOnce(nodes, 12, (node) => node.call('POST', `${API}/auth/login`, { form }))
    assert.ok(replies.every(({ status }) => status === 200))
    assert.equal((await liveSessionsOf(server, ada.tokens.access_token)).length, 3)
  })
})

const statuses = (replies: Reply[]): number[] => replies.map(({ status }) => status).sort()

function checkOneSuccessor(replies: Reply[]): void {
  for (const { status, text } of replies) assert.equal(status, 200, text)
  assert.equal(new Set(replies.map(({ body }) => body.refresh_token)).size, 1)
  assert.equal(new Set(replies.map(({ body }) => body.access_token)).size, replies.length)
}

async function checkOver(
  server: TestServer,
  pair: { access_token: string; refresh_token: string },
  refreshed: Reply | undefined,
): Promise<void> {
  assert.ok(refreshed && [200, 401].includes(refreshed.status), String(refreshed?.text))
  const newest = refreshed.status === 200 ? refreshed.body : pair
  await mustFail(server, newest.refresh_token, 'refresh_token_invalid')
  assert.equal((await server.me(newest.access_token)).status, 401)
  assert.equal((await sessionOf(server, pair.refresh_token)).revoked_reason, 'logout')
  assert.deepEqual(await eventsOf(server, pair.refresh_token), ['session.ended'])
}

const signInAt = (node: Node, { username }: { username: string }) =>
  node.call('POST', `${API}/auth/login`, { form: { username, password: PASSWORD } })

async function hashOf({ context }: TestServer, { id }: { id: string }): Promise<string> {
  const users = context.db.selectFrom('users').select('password_hash').where('id', '=', id)
  return (await users.executeTakeFirstOrThrow()).password_hash ?? ''
}

async function countStored({ context: { db } }: TestServer): Promise<{ users: number; sessions: number }> {
  const users = await db.selectFrom('users').select('id').execute()
  const sessions = await db.selectFrom('sessions').select('id').execute()
  return { users: users.length, sessions: sessions.length }
}
