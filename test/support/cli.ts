import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { TestServer } from '../kit.ts'
import { collect, type Env, inheritedEnvironment } from './child-process.ts'
import { rememberSecret } from './traces.ts'

const LAUNCHER = resolve(import.meta.dirname, '../../bin/postern.js')
const TIMEOUT_MS = 60_000

export type CliOptions = {
  env?: Env
  /** What stands on standard input, which then ends. */
  input?: string | Buffer
  /** Where it runs; a folder that is empty when absent. */
  folder?: string
}
export type CliResult = { code: number | null; stdout: string; stderr: string }
/** Once the terminal has shown the first, the second is typed. */
export type Step = readonly [shown: string | RegExp, typed: string]

const emptyFolder = mkdtempSync(join(tmpdir(), 'postern-cli-'))
process.once('exit', () => rmSync(emptyFolder, { recursive: true, force: true }))

/** Runs `node bin/postern.js ARGS` in a process of its own; settings come from `env` alone. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return run(process.execPath, [LAUNCHER, ...args], options)
}

/** Runs any program the same way. */
export async function run(
  program: string,
  args: readonly string[],
  { env = {}, input = '', folder = emptyFolder }: CliOptions = {},
): Promise<CliResult> {
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...inheritedEnvironment(), ...env },
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  const [stdout, stderr] = [collect(child.stdout), collect(child.stderr)]
  // What a command is told this way is a password.
  rememberSecret(input.toString().trim())
  // It may end without reading.
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, stdout: stdout(), stderr: stderr() }
}

/** Why there is no terminal to test on; undefined when there is one. */
export const withoutTerminal: string | undefined = /util-linux/.test(
  String(spawnSync('script', ['--version']).stdout ?? ''),
)
  ? undefined
  : 'script of util-linux is missing'

/** Runs `postern ARGS` on a pseudo terminal and types as the steps say. `output` is what the terminal showed. */
export async function runOnTerminal(
  args: readonly string[],
  steps: readonly Step[],
  env: Env = {},
): Promise<{ code: number | null; output: string }> {
  const command = [process.execPath, LAUNCHER, ...args].map((word) => `'${word}'`).join(' ')
  const child = spawn('script', ['-qefc', command, '/dev/null'], {
    cwd: emptyFolder,
    env: { ...inheritedEnvironment(), ...env },
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  const waiting = [...steps]
  let output = ''
  let seen = 0
  child.stdin.on('error', () => {})
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    const [shown, typed] = waiting[0] ?? []
    if (shown === undefined || typed === undefined) return
    const unseen = output.slice(seen)
    if (typeof shown === 'string' ? !unseen.includes(shown) : !shown.test(unseen)) return
    waiting.shift()
    seen = output.length
    child.stdin.write(typed)
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

/** What makes the command work on the same database as the server. */
export function cliEnv({ settings }: TestServer): Env {
  const { database, secretKey } = settings
  const url = database.kind === 'sqlite' ? `sqlite:///${database.file}` : database.url
  return { DATABASE_URL: url, SECRET_KEY: secretKey }
}
