import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { it, type TestContext } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import fastify from 'fastify'
import { sendEvents } from '../../src/http/event-stream.ts'

/** Tells one thing after the other until it is to end. */
async function startTelling(t: TestContext, data: object) {
  const app = fastify()
  const ending = new AbortController()
  const { signal } = ending
  const closed = Promise.withResolvers<void>()
  let isPaused = false
  async function* tell() {
    while (!signal.aborted) {
      if (isPaused) await once(signal, 'abort')
      yield { event: 'news', data }
      await setTimeout(0)
    }
  }
  app.get('/', (_request, reply) => sendEvents(reply, tell(), { signal, close: closed.resolve }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  t.after(async () => {
    ending.abort()
    socket.destroy()
    await app.close()
  })
  socket.write('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  const pause = () => {
    isPaused = true
  }
  return { socket, end: () => ending.abort(), closed: closed.promise, pause }
}

it('what ends gives its reader all that was told before', async (t) => {
  const { socket, end, closed } = await startTelling(t, { number: 1 })
  await once(socket, 'readable')
  end()
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk)
  assert.match(Buffer.concat(chunks).toString(), /\r\n0\r\n\r\n$/)
  await closed
})

it('a reader who takes all, and is told nothing for a while, is not cut off', async (t) => {
  const { socket, closed, pause } = await startTelling(t, { number: 1 })
  socket.resume()
  pause()
  let isOpen = true
  void closed.then(() => {
    isOpen = false
  })
  await setTimeout(12_000)
  assert.ok(isOpen)
})

it('a reader who takes nothing is cut off within 20 seconds', async (t) => {
  const { socket, closed } = await startTelling(t, { text: 'x'.repeat(100_000) })
  await once(socket, 'readable')
  const began = performance.now()
  await closed
  const ms = performance.now() - began
  assert.ok(ms > 9000 && ms < 22_000, `${ms} ms`)
})

it('a reader who takes nothing is cut off a second after the end', async (t) => {
  const { socket, end, closed } = await startTelling(t, { text: 'x'.repeat(100_000) })
  await once(socket, 'readable')
  await setTimeout(500)
  end()
  const began = performance.now()
  await closed
  const ms = performance.now() - began
  assert.ok(ms > 900 && ms < 2000, `${ms} ms`)
})
