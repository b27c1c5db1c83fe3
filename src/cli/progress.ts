const REDRAW_MS = 100
const BAR_WIDTH = 30
const CLEAR_LINE = '\r\u001B[K'

export type Progress = { update(done: number): void; clear(): void }

/** A bar with count and rate on standard error; nothing when that is no terminal. */
export function createProgress(verb: string, total: number): Progress {
  if (!process.stderr.isTTY) return { update() {}, clear() {} }
  const startedAt = performance.now()
  let drawnAt = Number.NEGATIVE_INFINITY
  let isDrawn = false
  return {
    update(done) {
      const now = performance.now()
      if (now - drawnAt < REDRAW_MS) return
      drawnAt = now
      isDrawn = true
      process.stderr.write(CLEAR_LINE + formatBar(verb, done, total, now - startedAt))
    },
    clear() {
      if (isDrawn) process.stderr.write(CLEAR_LINE)
      isDrawn = false
    },
  }
}

function formatBar(verb: string, done: number, total: number, elapsedMs: number): string {
  const filled = total === 0 ? BAR_WIDTH : Math.min(BAR_WIDTH, Math.floor((BAR_WIDTH * done) / total))
  const bar = '#'.repeat(filled).padEnd(BAR_WIDTH, '-')
  const perSecond = Math.round(done / Math.max(elapsedMs / 1000, 0.001))
  return `${verb} [${bar}] ${format(done)} of ${format(total)}, ${format(perSecond)}/s`
}

const format = (number: number): string => number.toLocaleString('en')
