import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { endAllSessions } from '../../src/features/sessions/end-sessions.ts'
import { disableUser, enableUser } from '../../src/features/users/set-active.ts'
import { API, PASSWORD, type Person, type Reply, type TestServer } from '../kit.ts'
import { insertUser } from '../support/people.ts'
import { scale } from '../support/scale.ts'
import { createNode, HOME, liveSessionsOf, type Node } from '../support/sessions.ts'
import { claimsOf } from '../support/tokens.ts'
import { atOnce, holdNewSessions, holdVerifications, onEachDeployment } from '../support/two-nodes.ts'

const NEW_PASSWORD = 'another long enough password'

type Ending = {
  event: string
  /** Sessions that may stay: that of the person who acts. */
  remaining: number
  /** Whether a sign-in that begins afterwards succeeds. */
  letsIn?: true
  happen: (node: Node, person: Person) => Promise<unknown>
}

const ENDINGS: Ending[] = [
  {
    event: 'a change of password',
    remaining: 1,
    happen: (node, { tokens }) =>
      node.call('PATCH', `${API}/users/me`, {
        token: tokens.access_token,
        json: { password: NEW_PASSWORD, current_password: PASSWORD },
      }),
  },
  {
    event: 'disabling the user',
    remaining: 0,
    happen: ({ context }, { tokens }) => disableUser(context, claimsOf(tokens.access_token).sub),
  },
  {
    event: 'disabling and enabling the user',
    remaining: 0,
    letsIn: true,
    async happen({ context }, { tokens }) {
      await disableUser(context, claimsOf(tokens.access_token).sub)
      await enableUser(context, claimsOf(tokens.access_token).sub)
    },
  },
  {
    event: 'logout?scope=all',
    remaining: 0,
    letsIn: true,
    happen: (node, { tokens }) =>
      node.call('POST', `${API}/auth/logout?scope=all`, { token: tokens.access_token }),
  },
  {
    event: 'logout?scope=others',
    remaining: 1,
    letsIn: true,
    happen: (node, { tokens }) =>
      node.call('POST', `${API}/auth/logout?scope=others`, { token: tokens.access_token }),
  },
  {
    event: "an operator's end of all sessions",
    remaining: 0,
    letsIn: true,
    happen: ({ context }) => endAllSessions(context),
  },
]

const signIn = (node: Node, { username }: { username: string }) =>
  node.call('POST', `${API}/auth/login`, { form: { username, password: PASSWORD } })

onEachDeployment('a sign-in under way', ({ share }) => {
  for (const { event, remaining, happen } of ENDINGS) {
    it(`does not survive ${event} while its password is being verified`, async () => {
      const { server, nodes } = await share()
      const [node] = nodes.slice(-1)
      assert.ok(node)
      const ada = await server.register({}, HOME)
      const held = holdVerifications(server.context)
      const slow = await createNode(held.context)
      const reply = signIn(slow, ada)
      await held.reached
      await happen(node, ada)
      held.open()
      assert.ok([400, 401].includes((await reply).status), (await reply).text)
      await checkEnded(server, ada, remaining)
      await slow.close()
    })
  }

  for (const { event, remaining, happen } of ENDINGS) {
    it(`does not survive ${event} while its session is stored and not yet committed`, async () => {
      const { server, nodes } = await share()
      const [node] = nodes.slice(-1)
      assert.ok(node)
      const ada = await server.register({}, HOME)
      const held = holdNewSessions(server.context)
      const slow = await createNode(held.context)
      const reply = signIn(slow, ada)
      await held.reached
      const happening = happen(node, ada)
      // It waits for the sign-in; if it did not, it would be over by then, without having seen the new session.
      await Promise.race([happening, sleep(300)])
      held.open()
      await Promise.all([reply, happening])
      await checkEnded(server, ada, remaining)
      await slow.close()
    })
  }

  it('is refused when its user is no longer the one whose password was verified, whatever changed them', async () => {
    const { server } = await share()
    for (const change of [
      { password_hash: await server.context.passwords.hash(PASSWORD) },
      { is_active: false },
    ]) {
      const ada = await server.register({ password: 'quite another long password' }, HOME)
      const held = holdVerifications(server.context)
      const slow = await createNode(held.context)
      const reply = slow.call('POST', `${API}/auth/login`, {
        form: { username: ada.username, password: ada.password },
      })
      await held.reached
      const { sub } = claimsOf(ada.tokens.access_token)
      await server.context.db.updateTable('users').set(change).where('id', '=', sub).execute()
      held.open()
      assert.equal((await reply).status, 'is_active' in change ? 400 : 401)
      await checkEnded(server, ada, 1)
      await slow.close()
    }
  })

  it('survives none of these at any instant', async () => {
    const { server, nodes } = await share()
    const password_hash = await server.context.passwords.hash(PASSWORD)
    for (let round = 0; round < scale(2, 50); round += 1) {
      for (const { happen, remaining, letsIn } of ENDINGS) {
        const { username, email } = await insertUser(server, { password_hash })
        const user = { username, email, password: PASSWORD }
        const person = { ...user, tokens: await server.login(user, HOME) }
        const [reply] = await atOnce(nodes, 2, (node, index) =>
          index === 0 ? signIn(node, user) : happen(node, person).then(() => undefined),
        )
        assert.ok(reply)
        if (letsIn) await checkNotBefore(server, person, reply, remaining)
        else await checkEnded(server, person, remaining)
      }
    }
  })

  it('of an old password is refused, and one with the new password goes through', async () => {
    const { server, nodes } = await share()
    const [node] = nodes
    assert.ok(node)
    const ada = await server.register({}, HOME)
    const held = holdVerifications(server.context)
    const slow = await createNode(held.context)
    const reply = signIn(slow, ada)
    await held.reached
    await ENDINGS[0]?.happen(node, ada)
    held.open()
    assert.deepEqual([(await reply).status, (await reply).body.code], [401, 'invalid_credentials'])
    await server.login({ username: ada.username, password: NEW_PASSWORD })
    await slow.close()
  })
})

async function checkEnded(server: TestServer, { tokens }: Person, remaining: number): Promise<void> {
  const live = await liveSessionsOf(server, tokens.access_token)
  assert.equal(live.length, remaining)
  for (const { id } of live) assert.equal(id, claimsOf(tokens.access_token).sid)
}

/** A sign-in that read the user after the event may live: then it alone does, and its caller was told so. */
async function checkNotBefore(server: TestServer, person: Person, reply: Reply, remaining: number) {
  assert.ok([200, 400, 401].includes(reply.status), reply.text)
  const live = await liveSessionsOf(server, person.tokens.access_token)
  const fresh = live.filter(({ id }) => id !== claimsOf(person.tokens.access_token).sid)
  assert.equal(live.length - fresh.length, remaining)
  const answered = reply.status === 200 ? claimsOf(reply.body.access_token).sid : undefined
  for (const { id } of fresh) assert.equal(id, answered)
}
