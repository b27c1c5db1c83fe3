import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { insertRevocations } from '../../src/features/revocation/queries.ts'
import { createServiceKey, endServiceKey } from '../../src/features/service-keys/service-keys.ts'
import { API, onEachDatabase, type TestServer } from '../kit.ts'
import { openEventSource, type ReceivedEvent } from '../support/event-source.ts'

onEachDatabase('the stream of revocations', ({ start }) => {
  /** A server on a socket, which looks at the feed as often as one does. */
  const startOpen = async (t: TestContext) => {
    const server = await start()
    const address = await server.app.listen({ host: '127.0.0.1', port: 0 })
    const url = `${address}${API}/revocations`
    const key = await createServiceKey(server.context, { name: 'api', scopes: ['revocations:read'] })
    let polling = true
    const poll = async () => {
      while (polling) {
        await server.context.feed.poll()
        await setTimeout(20)
      }
    }
    // Until the server is closed under it.
    void poll().catch(() => {})
    t.after(() => {
      polling = false
    })
    const open = async (lastId?: string) => {
      const source = await openEventSource(url, key.secret, lastId)
      t.after(() => source.close())
      return source
    }
    return {
      server,
      url,
      key,
      open,
      stopPolling: () => {
        polling = false
      },
    }
  }
  const uuid = (number: number) => `019a1f6e-7c1a-7b7e-8a54-${String(number).padStart(12, '0')}`
  const revoke = ({ context }: TestServer, ...subjects: string[]) =>
    insertRevocations(context.db, 'session', subjects)
  const sidsIn = (events: ReceivedEvent[]) =>
    events.filter(({ event }) => event === 'revocation').map(({ data }) => data.sid)
  const hasBeat = (events: ReceivedEvent[]) => events.some(({ event }) => event === 'heartbeat')

  it('begins with a snapshot of what is known, says that it is up to date, and then tells each as it happens', async (t) => {
    const { server, open } = await startOpen(t)
    await revoke(server, uuid(1), uuid(2))
    await server.context.feed.poll()
    const source = await open()
    assert.equal(source.headers['content-type'], 'text/event-stream; charset=utf-8')
    assert.equal(source.headers['cache-control'], 'no-store')
    await source.until(hasBeat)
    assert.deepEqual(
      source.events.map(({ event }) => event),
      ['snapshot', 'revocation', 'revocation', 'heartbeat'],
    )
    assert.equal(source.events[0]?.id, undefined)
    assert.equal(source.events[3]?.id, source.events[2]?.id)
    await revoke(server, uuid(3))
    await source.until((events) => sidsIn(events).includes(uuid(3)), 1000)
  })

  it('goes on from the last event that was seen, also over what came meanwhile', async (t) => {
    const { server, open } = await startOpen(t)
    await revoke(server, uuid(1))
    const first = await open()
    await first.until((events) => sidsIn(events).length === 1)
    const last = first.events.findLast(({ id }) => id !== undefined)?.id
    first.close()
    await revoke(server, uuid(2))
    await server.context.feed.poll()
    const second = await open(last)
    await second.until(hasBeat)
    assert.deepEqual(sidsIn(second.events), [uuid(2)])
    assert.ok(!second.events.some(({ event }) => event === 'snapshot'))
    const third = await open('4711.nonsense')
    await third.until(hasBeat)
    assert.deepEqual([third.events[0]?.event, sidsIn(third.events)], ['snapshot', [uuid(1), uuid(2)]])
  })

  it('thousands that come at once are all told, once, in their order', async (t) => {
    const { server, open } = await startOpen(t)
    const source = await open()
    await source.until(hasBeat)
    const all = Array.from({ length: 3000 }, (_, index) => uuid(index))
    for (let from = 0; from < all.length; from += 500) await revoke(server, ...all.slice(from, from + 500))
    await source.until((events) => sidsIn(events).length === all.length)
    assert.deepEqual(sidsIn(source.events).sort(), all)
    const places = source.events.flatMap(({ event, id }) =>
      event === 'revocation' ? [Number.parseInt(id ?? '', 10)] : [],
    )
    assert.deepEqual(
      places,
      places.toSorted((one, other) => one - other),
    )
  })

  it('does not say that it is up to date while it cannot know', async (t) => {
    const { server, open, stopPolling } = await startOpen(t)
    stopPolling()
    await setTimeout(50)
    server.clock.advance(5000)
    const source = await open()
    await setTimeout(300)
    assert.deepEqual(
      source.events.map(({ event }) => event),
      ['snapshot'],
    )
    await server.context.feed.poll()
    await source.until(hasBeat, 3000)
  })

  it('ends when the server stops, at once', async (t) => {
    const { server, open } = await startOpen(t)
    const sources = await Promise.all([open(), open(), open()])
    await Promise.all(sources.map((source) => source.until(hasBeat)))
    const began = performance.now()
    await server.app.close()
    await Promise.all(sources.map(({ ended }) => ended))
    assert.ok(performance.now() - began < 2000, `${performance.now() - began} ms`)
  })

  it('who hangs up leaves nothing behind', async (t) => {
    const { server, open } = await startOpen(t)
    for (let time = 0; time < 20; time += 1) {
      const source = await open()
      await source.until(hasBeat)
      source.close()
    }
    const count = () =>
      new Promise<number>((resolve) => server.app.server.getConnections((_, found) => resolve(found)))
    const deadline = Date.now() + 5000
    while ((await count()) > 0) {
      assert.ok(Date.now() < deadline, `${await count()} connections are open still`)
      await setTimeout(10)
    }
  })

  it('a key that is revoked is refused, and its streams end with the next heartbeat', async (t) => {
    const { server, open, key, url } = await startOpen(t)
    const source = await open()
    await source.until(hasBeat)
    await endServiceKey(server.context, key.id)
    assert.equal((await openEventSource(url, key.secret)).status, 401)
    await Promise.race([
      source.ended,
      setTimeout(13_000, undefined, { ref: false }).then(() => assert.fail('the stream goes on')),
    ])
  })
})
