import { styleText } from 'node:util'

/** Writes data to standard output, at the pace of who reads it. */
export function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()))
  })
}

export const printJson = (value: unknown): Promise<void> => print(`${JSON.stringify(value, null, 2)}\n`)

/** Tells the operator something on standard error. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

export const warn = (line: string): void => say(`${stylePrefix('yellow')} warning: ${line}`)

export const complain = (line: string): void => say(`${stylePrefix('red')} ${line}`)

const stylePrefix = (color: 'red' | 'yellow'): string =>
  styleText(color, 'postern:', { stream: process.stderr })

/** The text on one line, with what could move the cursor or change the direction of writing made visible. */
export const visible = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0
    return `\\u{${point.toString(16)}}`
  })

/** "1 session", "2,000 sessions". */
export function count(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`
}

/** Lines of cells, each column as wide as `widths` says, and the last without padding. */
export const formatRow = (cells: readonly string[], widths: readonly number[]): string =>
  `${cells
    .map((cell, column) => cell.padEnd(widths[column] ?? 0))
    .join('  ')
    .trimEnd()}\n`

/** Prints rows below their headings, each column as wide as its widest cell. */
export function printTable(headings: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
  const table = [headings, ...rows]
  const widths = headings.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  return print(table.map((row) => formatRow(row, widths)).join(''))
}

/** ISO 8601, in UTC. */
export const timeText = (time: number | null): string | null =>
  time === null ? null : new Date(time).toISOString()
