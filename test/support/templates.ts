import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after } from 'node:test'
import { checkSettings } from '../../src/core/settings.ts'
import type { TemplateSettings } from '../../src/features/email/templates.ts'
import type { Env } from './child-process.ts'

/** 31 January 2026, 09:30 UTC. */
export const NOW = Date.UTC(2026, 0, 31, 9, 30)

export const templateSettings = (env: Env = {}): TemplateSettings =>
  checkSettings({
    env: { PROJECT_NAME: 'Garden Gate', PUBLIC_URL: 'https://auth.example.com', ...env },
    directory: '/nonexistent',
  }).settings

/** Makes folders with the files that a test names, for as long as the tests of a suite run. */
export function templateFolders(): (files: Readonly<Record<string, string | Buffer>>) => Promise<string> {
  const folders: string[] = []
  after(async () => {
    for (const folder of folders) await rm(folder, { recursive: true, force: true })
  })
  return async (files) => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-templates-'))
    folders.push(folder)
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      await writeFile(join(folder, path), content)
    }
    return folder
  }
}

/** The tags of HTML without what stands in their attributes; isolates, which come and go, are left out. */
export const tagsOf = (html: string): string[] =>
  (html.match(/<[^>]*>/g) ?? [])
    .map((tag) => tag.replaceAll(/"[^"]*"/g, '""'))
    .filter((tag) => !/^<\/?bdi>$/.test(tag))

const VOID = /^<(?:!doctype|meta|img|input|br|link|circle|path)\b/i

/** The first tag that closes nothing, or is never closed. */
export function findUnbalanced(html: string): string | undefined {
  const open: string[] = []
  for (const tag of html.match(/<[^>]*>/g) ?? []) {
    const name = /^<\/?([a-z0-9]+)/i.exec(tag)?.[1] ?? tag
    if (VOID.test(tag)) continue
    if (!tag.startsWith('</')) open.push(name)
    else if (open.pop() !== name) return tag
  }
  return open[0]
}
