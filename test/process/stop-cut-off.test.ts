import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startServerProcess } from '../support/server-process.ts'

/** The 10 seconds that are promised, and what a busy machine may add. */
const BOUND_MS = 13_000
const HEAD =
  'POST /api/v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n'

it('stop: requests that never end are cut off after 10 seconds, and the exit code is 0', async () => {
  const server = await startServerProcess()
  const sockets = [HEAD, `${HEAD}\r\n{`].map((text) => {
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(text)
    return socket
  })
  try {
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    await sleep(100)
    const startedAt = performance.now()
    server.signal('SIGTERM')
    const { code } = await server.exited
    const ms = performance.now() - startedAt
    assert.equal(code, 0, server.stderr())
    assert.ok(ms < BOUND_MS, `${ms} ms`)
  } finally {
    for (const socket of sockets) socket.destroy()
    await server.kill()
  }
})
