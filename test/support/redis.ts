import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { createClient } from '@redis/client'

const URL = process.env.TEST_REDIS_URL ?? 'redis://127.0.0.1:6379'

/** The URL of a Redis or Valkey for tests, if one answers: no npm package brings one. */
export async function findRedis(): Promise<string | undefined> {
  const client = createClient({ url: URL, socket: { reconnectStrategy: false, connectTimeout: 1000 } })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.ping()
    return URL
  } catch {
    return undefined
  } finally {
    if (client.isOpen) client.destroy()
  }
}

export type FakeRedis = {
  url: string
  /** How often it was asked for this. */
  asked(command: string): number
  /** How many connections are open. */
  connections(): number
  /** Ends every connection. */
  cut(): void
}

/**
 * A Redis that answers with OK, but for the commands whose answers are given (as RESP 2 has them), or that it leaves without one.
 */
export async function startFakeRedis(
  t: TestContext,
  answers: Readonly<Record<string, string | undefined>>,
): Promise<FakeRedis> {
  const sockets = new Set<Socket>()
  const asked: string[] = []
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      for (const [, command = ''] of chunk.toString().matchAll(/^\*\d+\r\n\$\d+\r\n(\w+)\r\n/gm)) {
        asked.push(command)
        socket.write((command in answers ? answers[command] : '+OK\r\n') ?? '')
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.after(() => {
    cut()
    server.close()
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: (command) => asked.filter((name) => name === command).length,
    connections: () => sockets.size,
    cut,
  }
}
