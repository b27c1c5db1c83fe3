import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'

/** Names the folder in which a run collects what must hold no secret, and the secrets it must not hold. */
export const TRACES_VARIABLE = 'TEST_TRACES'

/** What servers and commands wrote, what the audit log of each database held, and the secrets that were used. */
export const TRACE_KINDS = ['output', 'log', 'audit', 'secrets'] as const
type TraceKind = (typeof TRACE_KINDS)[number]

export const isTraced = (): boolean => process.env[TRACES_VARIABLE] !== undefined

/** A file for each process of the run; undefined outside of a run. */
function fileFor(kind: TraceKind): string | undefined {
  const folder = process.env[TRACES_VARIABLE]
  return folder === undefined ? undefined : join(folder, `${kind}-${process.pid}.txt`)
}

/** Keeps what a process wrote, or an audit log held. */
export function keepTrace(kind: 'output' | 'audit', text: string): void {
  const file = fileFor(kind)
  if (file !== undefined && text !== '') appendFileSync(file, text)
}

/** What is shorter is not looked for. */
export const MIN_LENGTH = 12
const MIN_DISTINCT = 6
const remembered = new Set<string>()

/** Remembers a password or a key, that nothing may show. Not what could stand in a text by chance. */
export function rememberSecret(secret: unknown): void {
  const file = fileFor('secrets')
  if (file === undefined || typeof secret !== 'string' || remembered.has(secret)) return
  if (secret.length < MIN_LENGTH || new Set(secret).size < MIN_DISTINCT) return
  remembered.add(secret)
  appendFileSync(file, `${JSON.stringify(secret)}\n`)
}

/** Remembers the passwords of a request's body. */
export function rememberPasswords(...bodies: unknown[]): void {
  for (const body of bodies) {
    if (typeof body !== 'object' || body === null) continue
    for (const name of ['password', 'current_password', 'new_password'])
      rememberSecret(Reflect.get(body, name))
  }
}

let log: pino.Logger | undefined

/** The log of the servers in this process: everything, where a run looks at it, else nothing. */
export function createTestLog(): pino.Logger {
  const file = fileFor('log')
  log ??=
    file === undefined
      ? pino({ level: 'silent' })
      : pino({ level: 'trace' }, pino.destination({ dest: file, sync: true }))
  return log
}
