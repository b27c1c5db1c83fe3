import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import type { Settings } from '../../src/core/settings.ts'
import { insertRevocations } from '../../src/features/revocation/queries.ts'
import { streamRevocations } from '../../src/features/revocation/stream-revocations.ts'
import { endServiceKey } from '../../src/features/service-keys/service-keys.ts'
import { API, onEachDatabase, type TestServer } from '../kit.ts'
import { openEventSource, type ReceivedEvent } from '../support/event-source.ts'
import { makeServiceKey } from '../support/service-keys.ts'
import { until } from '../support/until.ts'

onEachDatabase('the stream of revocations', ({ start }) => {
  /** A server on a socket, which looks at the feed as often as one does. */
  const startOpen = async (t: TestContext, overrides: Partial<Settings> = {}) => {
    const server = await start(overrides)
    const address = await server.app.listen({ host: '127.0.0.1', port: 0 })
    const url = `${address}${API}/revocations`
    const key = await makeServiceKey(server, ['revocations:read'])
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
  /** What a metric stands at; undefined where nothing was taken down. */
  const told = ({ context }: TestServer, metric: string, wanted: Record<string, string> = {}) =>
    context.metrics
      .read()
      .find(({ name }) => name === metric)
      ?.values.find(({ labels }) => Object.entries(wanted).every(([name, value]) => labels[name] === value))
      ?.value
  const streamsOf = (server: TestServer) => told(server, 'postern_revocation_streams') ?? Number.NaN
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

  it('who hangs up has left at once, long before the next event', async (t) => {
    const { server, open } = await startOpen(t)
    const sources = await Promise.all(Array.from({ length: 20 }, () => open()))
    await Promise.all(sources.map((source) => source.until(hasBeat)))
    assert.equal(streamsOf(server), 20)
    for (const source of sources) source.close()
    const began = performance.now()
    await until('none is followed', () => streamsOf(server) === 0)
    assert.ok(performance.now() - began < 1000)
  })

  it('who hangs up before it begins leaves nothing behind', async (t) => {
    const { server, url, key } = await startOpen(t, { rateLimits: true })
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${key.secret}` }
    const { counters } = server.context
    const asked = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const { add } = counters.local
    counters.local.add = async (...args) => {
      asked.resolve()
      await held.promise
      return add(...args)
    }
    const hangUp = new AbortController()
    const reply = fetch(url, { headers, signal: hangUp.signal }).catch(() => 'hung up')
    await asked.promise
    const connections = () =>
      new Promise<number>((resolve) => server.app.server.getConnections((_error, count) => resolve(count)))
    hangUp.abort()
    assert.equal(await reply, 'hung up')
    await until('the server has noticed', async () => (await connections()) === 0)
    let opened = 0
    const { revocationStreams } = server.context.metrics
    server.context.metrics.revocationStreams = (change) => {
      if (change > 0) opened += 1
      revocationStreams(change)
    }
    held.resolve()
    await until('it has begun and ended', () => opened === 1 && streamsOf(server) === 0)
  })

  it('HEAD begins none', async (t) => {
    const { server, url, key } = await startOpen(t)
    const headers = { accept: 'text/event-stream', authorization: `Bearer ${key.secret}` }
    const reply = await fetch(url, { method: 'HEAD', headers })
    assert.deepEqual(
      [reply.status, reply.headers.get('content-type')],
      [200, 'application/json; charset=utf-8'],
    )
    assert.equal(streamsOf(server), 0)
  })

  it('what comes while a reader takes the news that nothing has is told at once', async () => {
    const server = await start()
    const { context } = server
    await context.feed.poll()
    const { signal } = new AbortController()
    const events = streamRevocations(context, { after: undefined, signal, mayRead: async () => true })
    assert.equal((await events.next()).value?.event, 'snapshot')
    assert.equal((await events.next()).value?.event, 'heartbeat')
    await revoke(server, uuid(1))
    await context.feed.poll()
    const began = performance.now()
    assert.equal((await events.next()).value?.event, 'revocation')
    assert.ok(performance.now() - began < 1000)
    await events.return(undefined)
  })

  it('who never gets to the end of it is asked all the same whether they may read on', async (t) => {
    const server = await start()
    const { context } = server
    await context.feed.poll()
    let now = 0
    t.mock.method(performance, 'now', () => now)
    let may = true
    const mayRead = async () => may
    const { signal } = new AbortController()
    const events = streamRevocations(context, { after: undefined, signal, mayRead })
    const follow = async (number: number) => {
      await revoke(server, uuid(number))
      await context.feed.poll()
      return events.next()
    }
    assert.equal((await events.next()).value?.event, 'snapshot')
    const beat = (await events.next()).value?.event
    assert.equal((await follow(1)).value?.event, 'revocation', beat)
    may = false
    now = 9999
    assert.equal((await follow(2)).value?.event, 'revocation')
    now = 10_000
    assert.equal((await follow(3)).done, true)
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
    const route = { method: 'GET', route: `${API}/revocations` }
    assert.equal(told(server, 'postern_http_requests_total', { ...route, status: '200' }), 1)
    // The request that was refused is the only one: a stream is no slow request.
    const seconds = told(server, 'postern_http_request_duration_seconds', { ...route, le: '+Inf' })
    assert.equal(seconds, 1)
  })
})
