import { DAY, HOUR, SECOND } from '../../src/core/clock.ts'
import type { Place } from './sessions.ts'

/** Settings under which the model predicts: each limit is a different one, so that none hides another. */
export const LIMITS = {
  reuseWindowMs: 30 * SECOND,
  recoveryMs: DAY,
  refreshTokenTtlMs: 3 * DAY,
  sessionMaxAgeMs: 10 * DAY,
  accessTokenTtlMs: HOUR / 2,
}

/** A refresh token in somebody's hands. */
export type Held = { generation: number; text: string }
export type Party = 'owner' | 'thief'

/** Something that was served to `place`. */
type Service = { at: number; place: Place }
type Generation = Service & {
  /** Late services of the same successor, of which there may be one. */
  recovery: Service | undefined
  /** The refresh token of this generation, once anybody has seen it. */
  text: string | undefined
}

/**
 * One session as the design tells it: the list of its generations, each with who brought it about and who came
 * late for it. It knows nothing of rows.
 */
export type ModelSession = {
  startedAt: number
  generations: Map<number, Generation>
  newest: number
  ended: boolean
}

export type Outcome = 'rotated' | 'retried' | 'recovered' | 'reused' | 'invalid'

export function beginSession(at: number, place: Place, text: string): ModelSession {
  const generations = new Map([[0, { at, place, recovery: undefined, text }]])
  return { startedAt: at, generations, newest: 0, ended: false }
}

export const copySession = (session: ModelSession): ModelSession => structuredClone(session)

export function generationOf({ generations }: ModelSession, number: number): Generation {
  const generation = generations.get(number)
  if (!generation) throw new RangeError(`The model knows no generation ${number}`)
  return generation
}

/** The last generation that somebody came late for; null when nobody ever did. */
export function lastRecovered({ generations }: ModelSession): number | null {
  const recovered = [...generations].filter(([, { recovery }]) => recovery).map(([number]) => number)
  return recovered.length === 0 ? null : Math.max(...recovered)
}

/** Whether the session's time is up, by idleness or age. */
export function hasRunOut(session: ModelSession, now: number): boolean {
  const { at } = generationOf(session, session.newest)
  return now - at >= LIMITS.refreshTokenTtlMs || now - session.startedAt >= LIMITS.sessionMaxAgeMs
}

/** What a refresh with the token of `generation` from `place` does; the session changes accordingly. */
export function predictRefresh(session: ModelSession, generation: number, { at, place }: Service): Outcome {
  if (session.ended || hasRunOut(session, at)) return 'invalid'
  if (generation >= session.newest) return rotate(session, generation + 1, { at, place })
  if (generation < session.newest - 1) return end(session)
  const successor = generationOf(session, session.newest)
  if (isInWindow(successor, { at, place })) return 'retried'
  if (!mayRecover(session, at)) return end(session)
  successor.recovery = { at, place }
  return 'recovered'
}

function rotate(session: ModelSession, to: number, { at, place }: Service): Outcome {
  session.generations.set(to, { at, place, recovery: undefined, text: undefined })
  session.newest = to
  return 'rotated'
}

function end(session: ModelSession): Outcome {
  session.ended = true
  return 'reused'
}

/** Within 30 seconds of the rotation, or of the recovery if there was one, for who brought that about. */
function isInWindow({ at, place, recovery }: Generation, now: Service): boolean {
  const opened = recovery ?? { at, place }
  const isSameCaller = opened.place.ip === now.place.ip && opened.place.userAgent === now.place.userAgent
  return isSameCaller && now.at - opened.at <= LIMITS.reuseWindowMs
}

/** Once for a rotation, not at two successive ones, and not for ever. */
function mayRecover(session: ModelSession, now: number): boolean {
  const { at, recovery } = generationOf(session, session.newest)
  const before = session.generations.get(session.newest - 1)
  return !recovery && !before?.recovery && now - at <= LIMITS.recoveryMs
}
