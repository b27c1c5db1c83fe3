import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setSuperuser } from '../../src/features/users/set-superuser.ts'
import { getUser, insertUser, listEvents } from '../support/people.ts'
import { scale } from '../support/scale.ts'
import { atOnce, onEachDeployment } from '../support/two-nodes.ts'

const ROUNDS = scale(6, 50)

onEachDeployment('superusers, at the same time', ({ share }) => {
  it('of ten promotions at once one changes something, and is recorded once; so of ten demotions', async () => {
    const { server, nodes } = await share()
    const { id, username } = await insertUser(server)
    for (const isSuperuser of [true, false]) {
      const changed = await atOnce(nodes, 10, ({ context }) => setSuperuser(context, id, isSuperuser))
      assert.equal(changed.filter(Boolean).length, 1)
      assert.equal((await getUser(server, username)).is_superuser, isSuperuser)
    }
    const types = (await listEvents(server, id)).map(({ type }) => type)
    assert.deepEqual(types.sort(), ['user.demoted', 'user.promoted'])
  })

  it('promoted and demoted at once: whichever was last counts, and the events tell of every change', async () => {
    const { server, nodes } = await share()
    for (let round = 0; round < ROUNDS; round += 1) {
      const { id, username } = await insertUser(server)
      const isPromotion = (index: number) => Math.floor(index / 2) % 2 === 0
      const changed = await atOnce(nodes, 8, ({ context }, index) =>
        setSuperuser(context, id, isPromotion(index)),
      )
      const times = (wanted: boolean) =>
        changed.filter((done, index) => done && isPromotion(index) === wanted).length
      const { is_superuser } = await getUser(server, username)
      assert.equal(times(true) - times(false), Number(is_superuser))
      const types = (await listEvents(server, id)).map(({ type }) => type)
      const count = (wanted: string) => types.filter((type) => type === wanted).length
      assert.deepEqual([count('user.promoted'), count('user.demoted')], [times(true), times(false)])
      assert.equal(types.length, changed.filter(Boolean).length)
    }
  })
})
