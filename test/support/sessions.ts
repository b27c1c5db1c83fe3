import assert from 'node:assert/strict'
import { createApp } from '../../src/app.ts'
import { type Context, createContext } from '../../src/context.ts'
import { API, type Call, inject, type Reply, type TestServer } from '../kit.ts'
import { claimsOf } from './tokens.ts'
import { createTestLog } from './traces.ts'

export const HOME = { ip: '192.0.2.1', userAgent: 'owner/1.0' }
/** The same device on another network. */
export const ROAD = { ip: '198.51.100.7', userAgent: 'owner/1.0' }
/** Another network, and the same agent: a thief copies that as well. */
export const DEN = { ip: '203.0.113.66', userAgent: 'owner/1.0' }

export type Place = typeof HOME

/** The stored session that a token belongs to. */
export const sessionOf = ({ context }: TestServer, token: string) =>
  context.db
    .selectFrom('sessions')
    .selectAll()
    .where('id', '=', claimsOf(token).sid)
    .executeTakeFirstOrThrow()

/** The audit events of a token's session, oldest first, without its beginning. */
export async function eventsOf({ context }: TestServer, token: string): Promise<string[]> {
  const rows = await context.db
    .selectFrom('audit_events')
    .select('type')
    .where('session_id', '=', claimsOf(token).sid)
    .where('type', 'not in', ['user.created', 'user.signed_in'])
    .orderBy('id')
    .execute()
  return rows.map(({ type }) => type)
}

/** Live sessions of the user that a token names. */
export const liveSessionsOf = ({ context }: TestServer, token: string) =>
  context.db
    .selectFrom('sessions')
    .selectAll()
    .where('user_id', '=', claimsOf(token).sub)
    .where('revoked_at', 'is', null)
    .orderBy('id')
    .execute()

/** Refreshes and expects the next pair. */
export async function mustRefresh(server: TestServer, token: string, from: Call = HOME): Promise<string> {
  const reply = await server.refresh(token, from)
  assert.equal(reply.status, 200, reply.text)
  return reply.body.refresh_token
}

/** Refreshes and expects a 401 with this code. */
export async function mustFail(server: TestServer, token: string, code: string, from: Call = HOME) {
  const reply = await server.refresh(token, from)
  assert.deepEqual([reply.status, reply.body.code], [401, code], reply.text)
}

/** Somebody signed in from home. */
export const signIn = async (server: TestServer, from: Call = HOME): Promise<string> =>
  (await server.register({}, from)).tokens.refresh_token

/** One of several nodes. */
export type Node = {
  context: Context
  call(method: string, path: string, call?: Call): Promise<Reply>
  refresh(token: string, from?: Call): Promise<Reply>
  close(): Promise<void>
}

/** A further app over a context, such as one with a part held back. */
export async function createNode(context: Context): Promise<Node> {
  const app = await createApp(context, createTestLog())
  const call: Node['call'] = (method, path, from) => inject(app, method, path, { ...HOME, ...from })
  return {
    context,
    call,
    refresh: (token, from) =>
      call('POST', `${API}/auth/refresh`, { json: { refresh_token: token }, ...from }),
    close: async () => {
      await app.close()
    },
  }
}

/** A further node on the same database, with connections of its own, at the same time. */
export async function createSecondNode(server: TestServer): Promise<Node> {
  const { clock } = server
  const now = server.context.clock.now()
  let offset = 0
  const context = await createContext(server.settings, { now: () => clock.now() + offset })
  offset = now - context.clock.now()
  const node = await createNode(context)
  return {
    ...node,
    close: async () => {
      await node.close()
      await context.close()
    },
  }
}
