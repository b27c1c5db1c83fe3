import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export type Balancer = {
  url: string
  /** Cuts every connection through it, in the middle of whatever it is. */
  cut(): void
  close(): Promise<void>
}

/** Passes each connection on to the next of these ports that takes it. */
export async function startBalancer(ports: readonly number[], port = 0): Promise<Balancer> {
  const sockets = new Set<Socket>()
  let turn = 0
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => {})
  }
  const server = createServer((incoming) => {
    keep(incoming)
    turn += 1
    pass(incoming, [...ports.slice(turn % ports.length), ...ports.slice(0, turn % ports.length)], keep)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => {
      for (const socket of sockets) socket.destroy()
    },
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}

function pass(incoming: Socket, [port, ...others]: number[], keep: (socket: Socket) => void): void {
  if (port === undefined) return void incoming.destroy()
  const outgoing = connect(port, '127.0.0.1')
  keep(outgoing)
  const tryNext = () => pass(incoming, others, keep)
  outgoing.once('error', tryNext)
  outgoing.once('connect', () => {
    outgoing.off('error', tryNext)
    outgoing.once('close', () => incoming.destroy())
    incoming.once('close', () => outgoing.destroy())
    incoming.pipe(outgoing).pipe(incoming)
  })
}
