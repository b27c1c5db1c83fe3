import { HOUR, MINUTE, type Timestamp } from '../../core/clock.ts'
import type { Catalogue } from './catalogues.ts'
import { findDevice } from './user-agents.ts'

/** Ends a line, or does not show; what joins letters (U+200C, U+200D) stays. */
const UNSEEN = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}[\p{Cf}--[\u200C\u200D]]]/gv
/** Of scripts that are written from right to left. */
const RIGHT_TO_LEFT = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC\u{10800}-\u{10FFF}\u{1E800}-\u{1EFFF}]/u
const ISOLATES = /[\u2068\u2069]/g

/** The text on one line of what shows, cut to a length in code points. */
export function oneLine(text: string, maxLength: number): string {
  const line = text
    .slice(0, 4 * maxLength)
    .replace(UNSEEN, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
  const characters = [...line]
  return characters.length > maxLength ? `${characters.slice(0, maxLength - 1).join('')}…` : line
}

/** What parts a domain for browsers (UTS #46 section 2.3). */
const FULL_STOPS = /[.\u3002\uFF0E\uFF61]/g

/**
 * The same for what a stranger may have chosen: mail clients make links of whatever looks like a domain, but not with a
 * ONE DOT LEADER, which looks like a full stop and is one again once a name is normalised (NFKC). After a scheme they
 * would, and so none stays.
 */
export const unlinked = (text: string, maxLength: number): string =>
  oneLine(text.replaceAll('://', ' '), maxLength).replace(FULL_STOPS, '\u2024')

/** A value whose direction leaves the words around it alone (UAX #9, isolates); nothing is added where there is no need. */
export const isolate = ({ direction }: Catalogue, value: string): string =>
  direction === 'rtl' || RIGHT_TO_LEFT.test(value) ? `\u2068${value}\u2069` : value

export const withoutIsolates = (text: string): string => text.replace(ISOLATES, '')

/** A message's paragraphs, which have an empty line between them. */
export const paragraphsOf = (message: string): string[] =>
  message.split(/\n{2,}/).filter((text) => text !== '')

/** A code in groups that can be kept in mind: of 4, or of 3 where that comes out even. */
export function groupCode(code: string): string[] {
  const size = code.length % 4 !== 0 && code.length % 3 === 0 ? 3 : 4
  return code.match(new RegExp(`.{1,${size}}`, 'gu')) ?? []
}

export const formatTime = (catalogue: Catalogue, at: Timestamp): string =>
  isolate(catalogue, catalogue.dateFormat().format(at))

/** "10 minutes", "24 hours", "7 days": rounded down, but for the moments that have passed since. */
export function formatDuration(catalogue: Catalogue, durationMs: number): string {
  const minutes = Math.max(1, Math.round(durationMs / MINUTE))
  const hours = Math.floor((durationMs + 5 * MINUTE) / HOUR)
  const isInMinutes = minutes < 60 || (minutes < 120 && minutes % 60 !== 0)
  if (isInMinutes) return catalogue.format('common.minutes', { count: minutes })
  if (hours < 49) return catalogue.format('common.hours', { count: hours })
  return catalogue.format('common.days', { count: Math.floor((hours + 1) / 24) })
}

/** "Firefox on Windows": never the header itself, in which anything may stand. */
export function formatDevice(catalogue: Catalogue, userAgent: string): string {
  const { program, system } = findDevice(userAgent)
  if (program !== undefined && system !== undefined) {
    const values = { program: isolate(catalogue, program), system: isolate(catalogue, system) }
    return catalogue.format('common.device_on', values)
  }
  const known = program ?? system
  return known === undefined ? catalogue.format('common.device_unknown', {}) : isolate(catalogue, known)
}
