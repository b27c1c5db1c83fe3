import { once } from 'node:events'
import { connect } from 'node:net'
import type { Address } from './request.ts'

export type Reply = { status: number; body: string }

/** One keep-alive connection with one request on its way at most. */
export type Connection = { send(request: string): Promise<Reply>; close(): void }

const EMPTY = Buffer.alloc(0)
const STATUS_AT = 9
const CONTENT_LENGTH = /\r\ncontent-length: *(\d+)/i

/** A client with nothing in it but what a load needs, so that it is not the client that is measured. */
export async function openConnection({ host, port }: Address): Promise<Connection> {
  const socket = connect({ host, port, noDelay: true })
  await once(socket, 'connect')
  let received: Buffer = EMPTY
  let waiting: PromiseWithResolvers<Reply> | undefined
  const fail = (error: Error) => waiting?.reject(error)
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('The server closed a connection before it had answered')))
  socket.on('data', (chunk: Buffer) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const reply = readReply(received)
    if (!reply) return
    received = EMPTY
    waiting?.resolve(reply)
  })
  return {
    send(request) {
      waiting = Promise.withResolvers()
      socket.write(request)
      return waiting.promise
    },
    close() {
      waiting = undefined
      socket.destroy()
    },
  }
}

/** The reply when all of it has come. Every server measured here names its length. */
function readReply(received: Buffer): Reply | undefined {
  const headEnd = received.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const head = received.toString('latin1', 0, headEnd)
  const length = CONTENT_LENGTH.exec(head)?.[1]
  if (length === undefined) throw new Error(`A reply without Content-Length:\n${head}`)
  const end = headEnd + 4 + Number(length)
  if (received.length < end) return undefined
  return {
    status: Number(head.slice(STATUS_AT, STATUS_AT + 3)),
    body: received.toString('latin1', headEnd + 4, end),
  }
}
