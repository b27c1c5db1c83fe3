import { glob, readdir, readFile } from 'node:fs/promises'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** One source file and what of it no process of the run has executed. */
export type FileCoverage = {
  file: string
  codeLines: number
  /** Line numbers, from 1. */
  uncoveredLines: number[]
  /** Lines on which a branch or function begins that was never taken. */
  uncoveredBranches: number[]
}

type Range = { startOffset: number; endOffset: number; count: number }
type Script = { url: string; functions: { ranges: Range[] }[] }

/**
 * Reads what NODE_V8_COVERAGE wrote to `folder`, every process that ran, and takes the union. Node's own
 * test coverage is not used: merging processes, it drops branches that one process left out and another never reached.
 */
export async function readCoverage(folder: string, root: string): Promise<FileCoverage[]> {
  const files = (await Array.fromAsync(glob('src/**/*.ts', { cwd: root }))).sort()
  const sources = new Map<string, { file: string; code: string; covered: Uint8Array }>()
  for (const file of files) {
    const code = blankComments(stripTypeScriptTypes(await readFile(join(root, file), 'utf8')))
    sources.set(pathToFileURL(join(root, file)).href, { file, code, covered: new Uint8Array(code.length) })
  }
  for (const name of await readdir(folder)) {
    const report: { result: Script[] } = JSON.parse(await readFile(join(folder, name), 'utf8'))
    for (const script of report.result) {
      const covered = sources.get(script.url)?.covered
      if (covered) addExecuted(covered, script)
    }
  }
  return [...sources.values()].map(({ file, code, covered }) => measure(file, code, covered))
}

/** Ranges nest, an inner one overruling the outer. */
function addExecuted(covered: Uint8Array, { functions }: Script): void {
  const ranges = functions.flatMap((item) => item.ranges)
  ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset)
  const executed = new Uint8Array(covered.length)
  for (const { startOffset, endOffset, count } of ranges)
    executed.fill(count > 0 ? 1 : 0, startOffset, endOffset)
  for (const [offset, value] of executed.entries()) covered[offset] ||= value
}

function measure(file: string, code: string, covered: Uint8Array): FileCoverage {
  const result: FileCoverage = { file, codeLines: 0, uncoveredLines: [], uncoveredBranches: [] }
  let offset = 0
  let inside = false
  for (const [index, line] of code.split('\n').entries()) {
    const words = [...line.matchAll(/\w+/g)].map((word) => covered[offset + word.index] === 1)
    if (words.length > 0) result.codeLines++
    if (words[0] === false) result.uncoveredLines.push(index + 1)
    for (const executed of words) {
      if (!executed && !inside) result.uncoveredBranches.push(index + 1)
      inside = !executed
    }
    offset += line.length + 1
  }
  return result
}

/** Keeps every offset; comments beside code stay, being neither more nor less covered than it. */
function blankComments(code: string): string {
  return code.replace(/^[ \t]*(\/\/.*|\/\*[\s\S]*?\*\/)/gm, (comment) => comment.replace(/[^\n]/g, ' '))
}

const LINES_WANTED = 0.95
const EVERY_BRANCH = ['src/core/security/', 'src/features/sessions/']
const SHOWN = 20

/** What a check after the tests found. */
export type CheckReport = { passed: boolean; lines: string[] }

/** Checks the gate: 95 % of all lines, and every branch where tokens and sessions are decided. */
export function reportCoverage(files: FileCoverage[]): CheckReport {
  const total = files.reduce((sum, file) => sum + file.codeLines, 0)
  const missing = files.reduce((sum, file) => sum + file.uncoveredLines.length, 0)
  const share = total === 0 ? 1 : 1 - missing / total
  const enough = share >= LINES_WANTED
  const missed = files.filter(missesBranch)
  const passed = enough && missed.length === 0
  const percent = (share * 100).toFixed(2)
  const lines = [
    `coverage gate ${passed ? 'passed' : 'FAILED'}: ${percent} % of ${total} lines, ${LINES_WANTED * 100} wanted`,
    ...(enough ? [] : listLines(files)),
    ...missed.map((file) => `never taken: ${file.file}: lines ${listRanges(file.uncoveredBranches)}`),
  ]
  return { passed, lines }
}

function missesBranch({ file, uncoveredBranches }: FileCoverage): boolean {
  return uncoveredBranches.length > 0 && EVERY_BRANCH.some((path) => file.startsWith(path))
}

function listLines(files: FileCoverage[]): string[] {
  return files
    .filter((file) => file.uncoveredLines.length > 0)
    .sort((a, b) => b.uncoveredLines.length - a.uncoveredLines.length)
    .slice(0, SHOWN)
    .map((file) => `not covered: ${file.file}: lines ${listRanges(file.uncoveredLines)}`)
}

/** "3-5, 9" for [3, 4, 5, 9]. */
function listRanges(numbers: number[]): string {
  const ranges: [number, number][] = []
  for (const number of new Set(numbers)) {
    const last = ranges.at(-1)
    if (last && last[1] === number - 1) last[1] = number
    else ranges.push([number, number])
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ')
}
