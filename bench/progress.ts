const CLEAR_LINE = '\r\u001B[K'

/** What is under way, on one line of standard error; on lines of their own where that is no terminal. */
export function createProgress(total: number) {
  const startedAt = performance.now()
  let title = ''
  let started = 0
  const seconds = () => `${Math.round((performance.now() - startedAt) / 1000)} s`
  const isTerminal = process.stderr.isTTY
  return {
    begin(name: string) {
      started += 1
      title = `[${started}/${total}] ${name}`
      process.stderr.write(isTerminal ? `${CLEAR_LINE}${title}` : `${seconds()} ${title}\n`)
    },
    report(text: string) {
      if (isTerminal) process.stderr.write(`${CLEAR_LINE}${title}: ${text} (${seconds()})`)
    },
    clear() {
      if (isTerminal) process.stderr.write(CLEAR_LINE)
    },
  }
}
