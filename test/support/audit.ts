import { pino } from 'pino'
import type { StoredEvent } from '../../src/database/tables.ts'
import type { Break } from '../../src/features/audit/chain.ts'
import { type AuditEvent, recordEvent, recordEvents } from '../../src/features/audit/events.ts'
import { createSealer } from '../../src/features/audit/seal-events.ts'
import { type Verification, verifyChain } from '../../src/features/audit/verify-chain.ts'
import type { TestServer } from '../kit.ts'

export const NEVER = new AbortController().signal

/** A log whose lines can be read. */
export function createLog(level = 'info') {
  const lines: Record<string, unknown>[] = []
  return { lines, log: pino({ level }, { write: (line: string) => void lines.push(JSON.parse(line)) }) }
}

/** Seals what waits, as a process would that has just started. */
export const seal = ({ context }: TestServer) => createSealer(context, createLog('silent').log)(NEVER)

export const verify = ({ context }: TestServer): Promise<Verification> =>
  verifyChain(context.db, context.chainKey, () => {})

/** The first break. */
export async function findBreak(server: TestServer): Promise<Break | undefined> {
  return (await verify(server)).broken
}

/** Every event in the order of the chain. */
export const sealedEvents = ({ context }: TestServer): Promise<StoredEvent[]> =>
  context.db.selectFrom('audit_events').selectAll().where('seq', 'is not', null).orderBy('seq').execute()

export const chainOf = ({ context }: TestServer) =>
  context.db.selectFrom('audit_chain').selectAll().executeTakeFirstOrThrow()

const CALLER = { ip: '203.0.113.7', userAgent: 'agent/1', requestId: 'request-1' }

const anEvent = (number: number): AuditEvent => ({
  type: 'user.sign_in_failed',
  caller: CALLER,
  detail: { reason: 'invalid_credentials', number },
})

export const record = (
  { context: { db, clock } }: TestServer,
  event: AuditEvent = anEvent(0),
): Promise<void> => recordEvent(db, clock.now(), event)

/** Writes so many events as they come with failed sign-ins. */
export async function recordMany({ context: { db, clock } }: TestServer, count: number): Promise<void> {
  for (let from = 0; from < count; from += 500) {
    const size = Math.min(500, count - from)
    const events = Array.from({ length: size }, (_, index) => anEvent(from + index))
    await recordEvents(db, clock.now(), events)
  }
}

/** A chain of so many events, on a server of the test's own. */
export async function startChain(start: () => Promise<TestServer>, count = 10): Promise<TestServer> {
  const server = await start()
  await server.context.db.deleteFrom('audit_events').execute()
  await recordMany(server, count)
  await seal(server)
  return server
}
