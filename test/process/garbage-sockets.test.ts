import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { startServer } from '../kit.ts'
import { startServerProcess } from '../support/server-process.ts'

const CLIENTS = 100
const WITHIN_MS = 5000
const GARBAGE = ['garbage\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00', 'GET / HTTP/9.9\r\n\r\n']

it('[V16.5.4] clients that send what is no request and never close are dropped within seconds', async (t) => {
  const sockets = createSockets(t)
  const { app, close } = await startServer('sqlite')
  t.after(close)
  await app.listen({ port: 0, host: '127.0.0.1' })
  let accepted = 0
  app.server.on('connection', () => {
    accepted += 1
  })
  const countConnections = promisify(app.server.getConnections.bind(app.server))

  await sendGarbage(sockets, (app.server.address() as AddressInfo).port)
  const end = performance.now() + WITHIN_MS
  while (accepted < CLIENTS || (await countConnections()) > 0) {
    assert.ok(performance.now() < end, `${await countConnections()} of ${accepted} are still there`)
    await sleep(50)
  }
})

it('[V16.5.4] clients that send what is no request and never close do not hold up a stop', async (t) => {
  const sockets = createSockets(t)
  const server = await startServerProcess()
  t.after(() => server.kill())
  await sendGarbage(sockets, server.port)
  const startedAt = performance.now()
  server.signal('SIGTERM')
  const { code } = await server.exited
  const ms = performance.now() - startedAt
  assert.equal(code, 0, server.stderr())
  assert.ok(ms < WITHIN_MS, `${ms} ms`)
})

/** Sockets that are closed after the test, before the server: it would wait for them. */
function createSockets(t: TestContext): Socket[] {
  const sockets: Socket[] = []
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  return sockets
}

/** From many sockets, which stay open on this side; half of them never read either. */
async function sendGarbage(sockets: Socket[], port: number): Promise<void> {
  for (let client = 0; client < CLIENTS; client++) {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    sockets.push(socket)
    socket.on('error', () => {})
    if (client % 2 === 0) socket.resume()
    await once(socket, 'connect')
    socket.write(GARBAGE[client % GARBAGE.length] ?? '', 'latin1')
  }
}
