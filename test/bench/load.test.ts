import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { it } from 'node:test'
import { openConnection } from '../../bench/load/connection.ts'
import { encodeRequest } from '../../bench/load/request.ts'

/** A server that answers every chunk it reads by `answer`. */
async function serve(answer: (socket: Socket, request: string) => void) {
  const server = createServer((socket) => socket.on('data', (chunk) => answer(socket, chunk.toString())))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { address: { host: '127.0.0.1', port, prefix: '/api' }, server }
}

it('the load: a reply that comes in pieces is one reply', async (t) => {
  const { address, server } = await serve((socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-le')
    setTimeout(() => socket.write('ngth: 5\r\n\r\nhe'), 5)
    setTimeout(() => socket.write('llo'), 10)
  })
  t.after(() => server.close())
  const connection = await openConnection(address)
  assert.deepEqual(await connection.send('x'), { status: 200, body: 'hello' })
  assert.deepEqual(await connection.send('x'), { status: 200, body: 'hello' })
  connection.close()
})

it('the load: a server that hangs up is an error, not a wait', async (t) => {
  const { address, server } = await serve((socket) => socket.destroy())
  t.after(() => server.close())
  const connection = await openConnection(address)
  await assert.rejects(connection.send('x'), /closed a connection|ECONNRESET/)
})

it('the load: a request names its host, and the length of its body in bytes', () => {
  const address = { host: 'localhost', port: 8000, prefix: '/api/v1' }
  const request = encodeRequest(address, 'POST', '/auth/login', { headers: { a: 'b' }, body: 'ü' })
  assert.equal(
    request,
    'POST /api/v1/auth/login HTTP/1.1\r\nhost: localhost:8000\r\na: b\r\ncontent-length: 2\r\n\r\nü',
  )
  assert.equal(encodeRequest(address, 'GET', '/x'), 'GET /api/v1/x HTTP/1.1\r\nhost: localhost:8000\r\n\r\n')
})
