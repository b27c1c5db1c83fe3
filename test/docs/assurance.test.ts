import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { GROUPS, renderAssurance } from '../../tools/assurance/render.ts'
import { groupOf, readRequirements, STATUSES } from '../../tools/assurance/requirements.ts'
import { compareWithRun, findTaggedTests, readTaggedTests } from '../../tools/assurance/tagged-tests.ts'
import { readProjectFile } from '../support/documents.ts'

const requirements = readRequirements()
const tests = findTaggedTests()
const tagged = new Set(tests.flatMap(({ ids }) => ids))
const idsOf = (rows: { id: string }[]) => rows.map(({ id }) => id)

describe('the requirements', () => {
  it('are all there, each once', () => {
    const counts = Object.fromEntries(Object.keys(GROUPS).map((name) => [name, 0]))
    for (const { id } of requirements) counts[groupOf(id)] = (counts[groupOf(id)] ?? 0) + 1
    const expected = Object.fromEntries(Object.entries(GROUPS).map(([name, { rows }]) => [name, rows]))
    assert.deepEqual(counts, expected)
    assert.equal(new Set(idsOf(requirements)).size, requirements.length)
  })

  it('have been judged, where their group has', () => {
    for (const { id, status } of requirements) {
      const isJudged = GROUPS[groupOf(id)]?.isJudged
      assert.ok(
        isJudged ? status !== 'later' && STATUSES.some((known) => known === status) : status === 'later',
        id,
      )
    }
  })

  it('that are met have tests, and that are not have a reason', () => {
    const met = requirements.filter(({ status }) => status === 'met')
    const others = requirements.filter(({ status }) => status === 'open' || status === 'not applicable')
    assert.deepEqual(idsOf(met.filter(({ id }) => !tagged.has(id))), [], 'met without a test')
    assert.deepEqual(idsOf(others.filter(({ why }) => why.length < 20)), [], 'without a reason')
    const foreign = others.filter(({ status }) => status === 'not applicable')
    assert.deepEqual(idsOf(foreign.filter(({ id }) => tagged.has(id))), [], 'not applicable, but with tests')
  })

  it('are the only ones that tests claim to show', () => {
    const known = new Set(idsOf(requirements))
    assert.deepEqual(
      [...tagged].filter((id) => !known.has(id)),
      [],
    )
  })

  it('and their tests are what docs/assurance/README.md says: else run `npm run assurance`', () => {
    assert.equal(readProjectFile('docs/assurance/README.md'), renderAssurance(requirements, tests))
  })
})

describe('tests that claim to show a requirement', () => {
  // Not in one piece, or this file would claim it too.
  const tag = (...ids: string[]) => `[${ids.join(', ')}]`
  const code = [
    `it('${tag('X1.2.3')} holds', () => {})`,
    `    test(\`\${name}: it's kept ${tag('X1.2.3', 'Y-two')}\`, () => {})`,
    `it('has no id [at all]', () => {})`,
    `// it('${tag('Z-1')} is a comment')`,
  ].join('\n')
  const found = readTaggedTests('a.test.ts', code)

  it('are found in the code, with what they take in left open', () => {
    assert.deepEqual(
      found.map(({ ids, title }) => [ids, title]),
      [
        [['X1.2.3'], 'holds'],
        [['X1.2.3', 'Y-two'], "…: it's kept"],
      ],
    )
  })

  it('that did not run are named, and so are those that ran under another title', () => {
    const ran = [
      { file: 'a.test.ts', name: `${tag('X1.2.3')} holds` },
      { file: 'a.test.ts', name: `sqlite: it's kept ${tag('X1.2.3', 'Y-two')}` },
    ]
    assert.deepEqual(compareWithRun(found, ran), [])
    const [first = '', ...more] = compareWithRun(found, ran.slice(1))
    assert.match(first, /^a\.test\.ts: claims X1\.2\.3, but did not run: holds$/)
    assert.deepEqual(more, [])
    const elsewhere = ran.map((test) => ({ ...test, file: 'b.test.ts' }))
    assert.equal(compareWithRun(found, elsewhere).length, 4)
  })
})
