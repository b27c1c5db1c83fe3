import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../..')

/** The text of a file of the project, by its path from the root. */
export const readProjectFile = (path: string): string => readFileSync(resolve(ROOT, path), 'utf8')

const SKIPPED = new Set(['node_modules', 'dist', 'data', 'coverage'])

/** The paths of all Markdown files of the project. */
export const findDocuments = (): Promise<string[]> =>
  Array.fromAsync(glob('**/*.md', { cwd: ROOT, exclude: (name) => SKIPPED.has(name) }))

/** The code blocks of a language, in order. */
export function codeBlocks(markdown: string, language: string): string[] {
  const blocks = [...markdown.matchAll(/^```(\S*)\n([\s\S]*?)^```$/gm)]
  return blocks.filter(([, name]) => name === language).map(([, , code = '']) => code)
}

export const withoutCodeBlocks = (markdown: string): string => markdown.replaceAll(/^```[\s\S]*?^```$/gm, '')

/** What stands under a heading, up to the next of its kind. */
export function section(markdown: string, heading: string): string {
  const [, after] = withSeparators(markdown).split(`\n## ${heading}\n`)
  if (after === undefined) throw new Error(`There is no heading "${heading}"`)
  return after.split(/^## /m, 1)[0] ?? ''
}

/** The rows of the first table in a text, without its head: the cells as they are written. */
export function tableRows(markdown: string): string[][] {
  const lines = withSeparators(markdown).split('\n')
  const start = lines.findIndex((line) => /^\|[ |-]+\|$/.test(line))
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'))
  return lines.slice(start + 1, end).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

const withSeparators = (markdown: string): string => `\n${markdown}\n`
