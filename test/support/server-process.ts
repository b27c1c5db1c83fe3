import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { collect, type Env, inheritedEnvironment } from './child-process.ts'
import { keepSqliteEvents } from './kept-events.ts'
import { findFreePort } from './postgres.ts'
import { rememberPasswords, rememberSecret } from './traces.ts'

const MAIN = resolve(import.meta.dirname, '../../src/main.ts')

const READY_WITHIN_MS = 20_000
const FAIL_WITHIN_MS = 20_000
const STOP_WITHIN_MS = 15_000
const LOGGED_WITHIN_MS = 10_000

export type Exit = { code: number | null; signal: NodeJS.Signals | null }
export type LogLine = {
  level: number
  time: number
  msg: string
  request_id?: string
  [key: string]: unknown
}

export type Reply = {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests read what the server sent as it is.
  body: any
  text: string
}

export type ProcessCall = {
  json?: unknown
  form?: Record<string, string>
  token?: string
  headers?: Record<string, string>
  signal?: AbortSignal
}

/** The real server, `node src/main.ts`, in a process of its own. */
export type ServerProcess = {
  url: string
  port: number
  pid: number
  /** Its working directory, empty at first. */
  folder: string
  exited: Promise<Exit>
  stdout(): string
  stderr(): string
  /** What it has logged; throws on a line that is not JSON. */
  log(): LogLine[]
  /** The first line logged that fits, as soon as there is one. */
  findLog(fits: (line: LogLine) => boolean): Promise<LogLine>
  call(method: string, path: string, call?: ProcessCall): Promise<Reply>
  /** Polls GET /health/ready until it gives this status. */
  waitUntil(status: number, withinMs?: number): Promise<void>
  signal(name: NodeJS.Signals): void
  /** Closes the pipes that it writes to. */
  hangUp(): void
  /** SIGTERM, and SIGKILL when that was not enough. */
  stop(): Promise<Exit>
  /** SIGKILL. */
  kill(): Promise<Exit>
}

export type ProcessOptions = {
  /** A free one when absent. */
  port?: number
  /** An existing folder to run in, which stays; a temporary one when absent. */
  folder?: string
  /** Options for Node itself. */
  nodeOptions?: string[]
}

type Spawned = {
  child: ChildProcess
  folder: string
  exited: Promise<Exit>
  stdout(): string
  stderr(): string
}

/**
 * Starts the server and waits until it is ready. Settings come from `env` alone, not from this process's
 * own environment or the checkout's `.env`; the default database is a new one in its folder, and limits are for the tests
 * that ask for them.
 */
export async function startServerProcess(
  env: Env = {},
  options: ProcessOptions = {},
): Promise<ServerProcess> {
  const server = await spawnServer(env, options)
  try {
    await server.waitUntil(200, READY_WITHIN_MS)
    return server
  } catch (error) {
    await server.kill()
    throw error
  }
}

/** The same without waiting for anything. */
export async function spawnServer(env: Env = {}, options: ProcessOptions = {}): Promise<ServerProcess> {
  const port = options.port ?? Number(env.PORT ?? (await findFreePort()))
  const spawned = await spawnMain({ PORT: String(port), ...env }, options)
  const { child, exited, folder, stdout, stderr } = spawned
  const url = `http://${env.HOST ?? '127.0.0.1'}:${port}`
  const end = async (signal: NodeJS.Signals): Promise<Exit> => {
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS)
    const exit = await exited
    clearTimeout(timer)
    if (options.folder === undefined) await removeFolder(folder)
    return exit
  }
  return {
    url,
    port,
    pid: child.pid ?? 0,
    folder,
    exited,
    stdout,
    stderr,
    log: () => parseLog(stdout()),
    findLog: (fits) => findLog(stdout, fits),
    call: (method, path, call) => send(url, method, path, call),
    waitUntil: (status, withinMs = READY_WITHIN_MS) => waitUntil(url, spawned, status, withinMs),
    signal: (name) => void child.kill(name),
    hangUp: () => {
      child.stdout?.destroy()
      child.stderr?.destroy()
    },
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  }
}

/** Runs a server that is expected to give up by itself, and tells how it did. */
export async function runToExit(
  env: Env = {},
  options: ProcessOptions = {},
): Promise<Exit & { stdout: string; stderr: string; ms: number }> {
  const startedAt = performance.now()
  const { child, exited, folder, stdout, stderr } = await spawnMain(env, options)
  const timer = setTimeout(() => child.kill('SIGKILL'), FAIL_WITHIN_MS)
  const exit = await exited
  clearTimeout(timer)
  if (options.folder === undefined) await removeFolder(folder)
  return { ...exit, stdout: stdout(), stderr: stderr(), ms: performance.now() - startedAt }
}

async function spawnMain(env: Env, options: ProcessOptions): Promise<Spawned> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'postern-server-')))
  for (const secret of [env.SECRET_KEY, env.SECRET_KEY_PREVIOUS]) rememberSecret(secret)
  const child = spawn(process.execPath, [...(options.nodeOptions ?? []), MAIN], {
    cwd: folder,
    env: { ...inheritedEnvironment(), RATE_LIMITS: 'false', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const killWithUs = () => child.kill('SIGKILL')
  process.once('exit', killWithUs)
  const exited = once(child, 'close').then(([code, signal]): Exit => {
    process.off('exit', killWithUs)
    return { code, signal }
  })
  return { child, folder, exited, stdout: collect(child.stdout), stderr: collect(child.stderr) }
}

async function removeFolder(folder: string): Promise<void> {
  keepSqliteEvents(join(folder, 'data/postern.db'))
  await rm(folder, { recursive: true, force: true })
}

function parseLog(stdout: string): LogLine[] {
  const lines = stdout.split('\n')
  // Without the last, which is empty or yet to be completed.
  return lines.slice(0, -1).map((line) => JSON.parse(line))
}

async function findLog(stdout: () => string, fits: (line: LogLine) => boolean): Promise<LogLine> {
  const end = performance.now() + LOGGED_WITHIN_MS
  while (performance.now() < end) {
    const line = parseLog(stdout()).find(fits)
    if (line) return line
    await sleep(10)
  }
  throw new Error(`No such line in the log:\n${stdout()}`)
}

async function waitUntil(url: string, { child, stderr }: Spawned, status: number, ms: number): Promise<void> {
  const end = performance.now() + ms
  let last: number | undefined
  while (performance.now() < end) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`The server ended (${child.exitCode ?? child.signalCode}): ${stderr()}`)
    }
    const signal = AbortSignal.timeout(5000)
    last = await send(url, 'GET', '/health/ready', { signal }).then(
      (reply) => reply.status,
      () => undefined,
    )
    if (last === status) return
    await sleep(20)
  }
  throw new Error(`GET ${url}/health/ready gave ${last ?? 'nothing'}, not ${status}, within ${ms} ms`)
}

async function send(url: string, method: string, path: string, call: ProcessCall = {}): Promise<Reply> {
  const { json, form, token, headers, signal } = call
  rememberPasswords(json, form)
  const body = json === undefined ? form && new URLSearchParams(form) : JSON.stringify(json)
  const reply = await fetch(new URL(path, url), {
    method,
    headers: {
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body && { body }),
    ...(signal && { signal }),
  })
  const text = await reply.text()
  const isJson = reply.headers.get('content-type')?.includes('json')
  return { status: reply.status, headers: reply.headers, text, body: isJson ? JSON.parse(text) : undefined }
}
