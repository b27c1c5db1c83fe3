import { createHmac } from 'node:crypto'
import type { StoredChain, StoredEvent } from '../../database/tables.ts'

/** The columns that tell what happened, in the order in which they are signed. Changing it breaks every chain. */
const FACTS = [
  'id',
  'occurred_at',
  'type',
  'actor',
  'actor_id',
  'actor_name',
  'user_id',
  'session_id',
  'ip',
  'user_agent',
  'request_id',
  'detail',
] as const

export type Facts = Pick<StoredEvent, (typeof FACTS)[number]>

/** An event of the chain, by its number and hash. */
export type Place = Readonly<{ seq: number; hash: string }>

export const BEGINNING: Place = { seq: 0, hash: '' }

/** What an operator without the server's secret writes, and nodes of an older version, has no MAC. */
const MAY_LACK_MAC = ['operator', 'unknown']

/** HMAC-SHA-256 in base64url. JSON is the same whatever the database, and keeps values apart; the label keeps uses apart. */
const sign = (key: Buffer, label: 'event' | 'link' | 'head', values: readonly (string | number | null)[]) =>
  createHmac('sha256', key)
    .update(JSON.stringify([label, ...values]))
    .digest('base64url')

const valuesOf = (facts: Facts) => FACTS.map((name) => facts[name])

/** Proves that an event was written by who has the key. Made as it is recorded. */
export const signEvent = (key: Buffer, facts: Facts): string => sign(key, 'event', valuesOf(facts))

/** The hash of an event at a place of the chain. Made as it is sealed. */
export const linkEvent = (key: Buffer, previous: Place, event: Facts & Pick<StoredEvent, 'mac'>): string =>
  sign(key, 'link', [previous.hash, previous.seq + 1, event.mac, ...valuesOf(event)])

type Head = Omit<StoredChain, 'id' | 'sealed_key' | 'mac'>

/** Signs where the chain begins and ends. Made with every batch that is sealed or pruned. */
export const signHead = (key: Buffer, { pruned_seq, pruned_hash, seq, hash, sealed_at }: Head): string =>
  sign(key, 'head', [pruned_seq, pruned_hash, seq, hash, sealed_at])

export const isGenuineHead = (key: Buffer, chain: StoredChain): boolean => signHead(key, chain) === chain.mac

/** What can be wrong with the chain, for people. */
export const BREAKS = {
  head_missing: 'the row that says where the chain ends is gone',
  head_forged: 'the row that says where the chain ends was not written by a server',
  missing: 'the event is gone',
  changed: 'the event was changed after it was recorded',
  forged: 'the event was not recorded by a server',
  out_of_place: 'the event does not follow the one before it',
  not_sealed_here: 'the event was put into the chain by somebody else',
  was_pruned: 'the event had been pruned, and is there again',
  differs: 'the event is another one than in the file',
} as const

/** The first place where a chain does not hold. */
export type Break = { what: keyof typeof BREAKS; seq: number | null; id: string | null }

/** What is wrong with an event, wherever it stands. */
export function findFault(key: Buffer, event: Facts & Pick<StoredEvent, 'mac'>) {
  if (event.mac === null) return MAY_LACK_MAC.includes(event.actor) ? undefined : 'forged'
  return event.mac === signEvent(key, event) ? undefined : 'changed'
}

/** Follows the chain over events in the order of their numbers, to the last of them or the first break. */
export function followChain(
  key: Buffer,
  from: Place,
  events: readonly StoredEvent[],
): { reached: Place; broken?: Break } {
  let reached = from
  for (const event of events) {
    const what = findBreak(key, reached, event)
    if (what === 'missing') return { reached, broken: { what, seq: reached.seq + 1, id: null } }
    if (what) return { reached, broken: { what, seq: event.seq, id: event.id } }
    reached = { seq: reached.seq + 1, hash: event.hash ?? '' }
  }
  return { reached }
}

function findBreak(key: Buffer, previous: Place, event: StoredEvent): Break['what'] | undefined {
  const seq = event.seq ?? 0
  if (seq > previous.seq + 1) return 'missing'
  if (seq !== previous.seq + 1) return 'not_sealed_here'
  return (
    findFault(key, event) ?? (event.hash === linkEvent(key, previous, event) ? undefined : 'out_of_place')
  )
}
