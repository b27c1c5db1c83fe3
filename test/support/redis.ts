import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp } from 'node:fs/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createClient } from '@redis/client'
import { findFreePort, startGuard } from './postgres.ts'
import { until } from './until.ts'

const PROGRAM = ['redis-server', 'valkey-server'].find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0,
)

/** Why there is no Redis to test on; undefined when there is one. No npm package brings any. */
export const withoutRedis: string | undefined =
  PROGRAM === undefined ? 'neither redis-server nor valkey-server is on the PATH' : undefined

export type RedisServer = {
  url: string
  /** Ends it as a crash does. */
  kill(): Promise<void>
  /** Starts it again on the same port, with nothing in it. */
  restart(): Promise<void>
}

/** Starts a Redis of the test's own, on loopback alone, which writes nothing down. */
export async function startRedis(t: TestContext): Promise<RedisServer> {
  const port = await findFreePort()
  const url = `redis://127.0.0.1:${port}`
  const folder = await mkdtemp(join(tmpdir(), 'postern-redis-'))
  const guard = startGuard(folder)
  let child: ChildProcess | undefined
  const kill = async () => {
    if (!child) return
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
    child = undefined
    guard.watch(0)
  }
  const restart = async () => {
    await kill()
    child = runRedis(folder, port)
    guard.watch(child.pid ?? 0)
    await until('Redis answers', () => answers(url))
  }
  t.after(async () => {
    await kill()
    await guard.release()
  })
  await restart()
  return { url, kill, restart }
}

function runRedis(folder: string, port: number): ChildProcess {
  if (PROGRAM === undefined) throw new Error(withoutRedis)
  const options = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  return spawn(PROGRAM, options, { cwd: folder, stdio: 'ignore', detached: true })
}

async function answers(url: string): Promise<boolean> {
  const client = createClient({ url, socket: { reconnectStrategy: false, connectTimeout: 1000 } })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.ping()
    return true
  } catch {
    return false
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
