import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { type FileCoverage, readCoverage, reportCoverage } from './coverage.ts'

const SOURCE = `/** A type alone is no code. */
export type Size = { width: number }

export function grade({ width }: Size): string {
  if (width > 10) {
    return 'wide'
  }
  return width > 5 ? 'middle' : 'narrow'
}
`

describe('coverage', () => {
  let folder: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'postern-coverage-'))
    await mkdir(join(folder, 'src'))
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await writeFile(join(folder, 'src/grade.ts'), SOURCE)
    await writeFile(join(folder, 'src/unused.ts'), 'export const unused = 1\n')
    await writeFile(join(folder, 'src/types.ts'), 'export type Nothing = never\n')
  })
  after(() => rm(folder, { recursive: true }))

  const measure = async (name: string, ...widths: number[]): Promise<FileCoverage[]> => {
    const reports = join(folder, name)
    for (const width of widths) {
      const program = `import { grade } from './src/grade.ts'; grade({ width: ${width} })`
      const env = { ...process.env, NODE_V8_COVERAGE: reports }
      await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
        cwd: folder,
        env,
      })
    }
    return readCoverage(reports, folder)
  }

  test('a branch that no process took is found, though every process took another', async () => {
    const [grade] = await measure('some', 20, 7)
    assert.deepEqual(grade, {
      file: 'src/grade.ts',
      codeLines: 4,
      uncoveredLines: [],
      uncoveredBranches: [8],
    })
  })

  test('what each process took alone adds up', async () => {
    const [grade] = await measure('all', 20, 7, 1)
    assert.deepEqual([grade?.uncoveredLines, grade?.uncoveredBranches], [[], []])
  })

  test('a file that nothing loads counts as not covered, one of types alone does not count', async () => {
    const [, types, unused] = await measure('files', 20)
    assert.deepEqual([types?.codeLines, types?.uncoveredLines], [0, []])
    assert.deepEqual([unused?.codeLines, unused?.uncoveredLines], [1, [1]])
  })

  test('the gate wants 95 % of lines, and every branch in security and sessions', () => {
    const file = {
      file: 'src/app.ts',
      codeLines: 100,
      uncoveredLines: [3, 4, 5, 9],
      uncoveredBranches: [3, 9],
    }
    const fifth = { ...file, uncoveredLines: [3, 4, 5, 9, 10, 11] }
    const strict = { ...file, file: 'src/core/security/tokens.ts' }
    assert.ok(reportCoverage([file]).passed)
    assert.match(
      reportCoverage([fifth]).lines.join('\n'),
      /FAILED: 94.00 %[\s\S]*src\/app.ts: lines 3-5, 9-11$/,
    )
    assert.match(reportCoverage([strict]).lines.join('\n'), /FAILED: 96.00 %[\s\S]*tokens.ts: lines 3, 9$/)
  })
})
