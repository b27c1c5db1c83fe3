import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { before, describe, it } from 'node:test'
import { VERSION } from '../../src/core/version.ts'
import { AUDIT_EVENT_TYPES } from '../../src/features/audit/events.ts'
import {
  findDocuments,
  ROOT,
  readProjectFile,
  section,
  tableRows,
  withoutCodeBlocks,
} from '../support/documents.ts'

const LINK = /\]\(([^)\s]+)\)/g
/** A path of the project in backticks, a pattern with `*` excepted. */
const PATH = /`((?:src|test|tools|docs|bin|bench)\/[\w./-]*[\w/]|\.ci\/\w+)`/g

describe('documents', () => {
  let documents: string[]
  before(async () => {
    documents = await findDocuments()
  })

  it('every link to a file of the project leads to it, and to a heading where it names one', () => {
    const broken = documents.flatMap((document) =>
      matches(document, LINK)
        .filter((link) => !/^(https?|mailto):/.test(link) && !leadsSomewhere(document, link))
        .map((link) => `${document}: ${link}`),
    )
    assert.deepEqual(broken, [])
  })

  it('every path of the project in backticks is there', () => {
    const missing = documents.flatMap((document) =>
      matches(document, PATH)
        .filter((path) => !existsSync(join(ROOT, path)))
        .map((path) => `${document}: ${path}`),
    )
    assert.deepEqual(missing, [])
  })

  it('the changelog has this version', () => {
    assert.match(readProjectFile('CHANGELOG.md'), new RegExp(`^## \\[?${RegExp.escape(VERSION)}\\]? - `, 'm'))
  })

  it('the list of security events is that of the code', () => {
    const rows = tableRows(section(readProjectFile('docs/audit.md'), 'Events'))
    const documented = rows.flatMap(([types = '']) => types.match(/[a-z]+\.[a-z_]+/g) ?? [])
    assert.deepEqual(documented.sort(), [...AUDIT_EVENT_TYPES].sort())
  })

  it('every decision has its context, decision and consequences, and numbers leave no gap', () => {
    const decisions = documents.filter((path) => path.startsWith('docs/decisions/')).sort()
    for (const [index, path] of decisions.entries()) {
      const text = readProjectFile(path)
      assert.match(path, new RegExp(`/${String(index + 1).padStart(4, '0')}-[a-z0-9-]+\\.md$`))
      assert.match(
        text,
        new RegExp(`^# ${index + 1}\\. .*\\n\\n## Context\\n[^]+\\n## Decision\\n[^]+\\n## Consequences\\n`),
      )
    }
    assert.ok(decisions.length > 0)
  })
})

const matches = (document: string, pattern: RegExp): string[] =>
  [...withoutCodeBlocks(readProjectFile(document)).matchAll(pattern)].map(([, found = '']) => found)

function leadsSomewhere(document: string, link: string): boolean {
  const [path = '', anchor] = link.split('#')
  const target = path === '' ? document : join(dirname(document), path)
  if (!existsSync(join(ROOT, target))) return false
  return (
    anchor === undefined || (!statSync(join(ROOT, target)).isDirectory() && anchors(target).includes(anchor))
  )
}

/** The anchors of a document's headings as GitHub makes them. */
const anchors = (document: string): string[] =>
  [...readProjectFile(document).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  )
