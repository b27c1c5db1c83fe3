import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createVerifier } from '../../packages/verify/src/index.ts'
import { createApp } from '../../src/app.ts'
import { createContext } from '../../src/context.ts'
import { HOUR, SECOND } from '../../src/core/clock.ts'
import { rotateKeys, rotateOldKeys } from '../../src/features/keys/rotate-keys.ts'
import { API, inject, onEachDatabase } from '../kit.ts'
import { scale } from '../support/scale.ts'
import { headerOf } from '../support/tokens.ts'
import { createTestLog } from '../support/traces.ts'
import { movableTime } from '../verify/support/movable-time.ts'

const ROTATIONS = scale(20, 100)
const PEOPLE = 6

onEachDatabase('rotation under load', ({ start }) => {
  it('while tokens are issued and verified everywhere, not one that is good is refused', async (t) => {
    const server = await start()
    const address = await server.app.listen({ host: '127.0.0.1', port: 0 })
    const { publicUrl } = server.settings
    const second = await createContext(server.settings, server.clock)
    const secondApp = await createApp(second, createTestLog())
    t.after(async () => {
      await secondApp.close()
      await second.close()
    })
    const time = movableTime(t)
    const advance = (ms: number) => {
      server.clock.advance(ms)
      time.advance(ms)
    }
    const verifiers = [0, 1].map(() =>
      createVerifier({
        issuer: publicUrl,
        revocations: false,
        now: () => server.context.clock.now(),
        fetch: (url, init) => fetch(String(url).replace(publicUrl, address), init),
      }),
    )
    t.after(() => {
      for (const verifier of verifiers) verifier.close()
    })
    const nodes = [
      { app: server.app, context: server.context },
      { app: secondApp, context: second },
    ]
    const people = await Promise.all(Array.from({ length: PEOPLE }, () => server.register()))
    const refreshTokens = people.map(({ tokens }) => tokens.refresh_token)
    const kids = new Set<unknown>()
    let verified = 0

    const goOn = async (person: number, turn: number) => {
      const node = nodes[(person + turn) % nodes.length] as (typeof nodes)[number]
      const json = { refresh_token: refreshTokens[person] }
      const refreshed = await inject(node.app, 'POST', `${API}/auth/refresh`, { json })
      assert.equal(refreshed.status, 200, refreshed.text)
      const { access_token: token, refresh_token } = refreshed.body
      refreshTokens[person] = refresh_token
      kids.add(headerOf(token).kid)
      for (const { app } of nodes) {
        const { status, text } = await inject(app, 'GET', `${API}/users/me`, { token })
        assert.equal(status, 200, text)
      }
      for (const verifier of verifiers) await verifier.verify(token)
      verified += 1
    }
    const everyone = async (turn: number) => {
      for (let time = 0; time < 3; time += 1) {
        await Promise.all(people.map((_, person) => goOn(person, turn + time)))
      }
    }
    const readKeys = () => Promise.all(nodes.map(({ context }) => context.keyring.refresh()))

    for (let turn = 0; turn < ROTATIONS; turn += 1) {
      await Promise.all(nodes.map(({ context }) => rotateOldKeys(context)))
      await readKeys()
      advance(HOUR)
      const [rotations] = await Promise.all([
        Promise.all(nodes.map(({ context }) => rotateKeys(context))),
        everyone(turn),
      ])
      assert.equal(new Set(rotations.map((rotation) => rotation?.key.kid)).size, 1)
      await readKeys()
      const changing = everyone(turn)
      advance(5 * SECOND)
      await changing
      await everyone(turn)
    }
    assert.equal(kids.size, ROTATIONS + 1)
    t.diagnostic(`${ROTATIONS} rotations, ${verified} tokens verified by two nodes and two APIs`)
  })
})
