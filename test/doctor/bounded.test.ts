import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { defineGroup } from '../../src/doctor/check.ts'
import { examineGroup } from '../../src/doctor/examine.ts'
import { createScene } from '../../src/doctor/scene.ts'
import { diagnose } from '../support/doctor.ts'
import { SECRET_KEY } from '../support/secret-key.ts'

describe('doctor: whatever happens, there is an answer in time', () => {
  const scene = createScene({ env: {}, directory: '/nonexistent' }, systemClock)
  const examine = (gather: () => Promise<never>) => examineGroup(defineGroup('some', gather, []), scene, 50)

  it('what takes too long is left', async () => {
    const reason = 'it took longer than 0.05 seconds'
    assert.deepEqual(await examine(() => new Promise(() => {})), { group: 'some', reason })
  })

  it('an error that nobody expected is told by its code alone: its message could hold a secret', async () => {
    const failing = (error: Error) => examine(() => Promise.reject(error))
    const reason = (code: string) => `it failed (${code}); NODE_DEBUG=postern shows where`
    const error = Object.assign(new Error('canary'), { code: 'EIO' })
    assert.deepEqual(await failing(error), { group: 'some', reason: reason('EIO') })
    assert.deepEqual(await failing(new TypeError('canary')), { group: 'some', reason: reason('TypeError') })
  })

  it('a database that takes connections and says nothing holds up all checks together for some seconds', async (t) => {
    const sockets = new Set<Socket>()
    const silent = createServer((socket) => sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    t.after(() => {
      for (const socket of sockets) socket.destroy()
      silent.close()
    })
    const { port } = silent.address() as AddressInfo
    const startedAt = performance.now()
    const env = { DATABASE_URL: `postgres://ada@127.0.0.1:${port}/none`, SECRET_KEY }
    assert.deepEqual((await diagnose(env)).found(), ['database.usable', 'doctor.not_looked_at'])
    assert.ok(performance.now() - startedAt < 10_000)
  })
})
