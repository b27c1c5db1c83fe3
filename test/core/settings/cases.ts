import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { StartupError } from '../../../src/core/problems.ts'
import { checkSettings, loadSettings, type Settings } from '../../../src/core/settings.ts'

export const SECRET = 'Zk3vX9_qLw7-RtY2pBn5sHd8fGj1mCa4eUoI6'
export const OTHER_SECRET = 'aQ8-wE7_rT6yU5iO4pA3sD2fG1hJ0kLzXcVbN'
export const POSTGRES = 'postgresql://postern:pa55word@db.example/auth'

export type Env = Record<string, string | undefined>

export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'postern-settings-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** The settings of an environment alone; nothing is read or written. */
export function settingsOf(env: Env): Settings {
  return loadSettings({ env: { SECRET_KEY: SECRET, ...env }, directory: '/nowhere' }).settings
}

/** Why the settings are refused. */
export function errorOf(env: Env, directory = '/nowhere'): string {
  try {
    checkSettings({ env, directory })
  } catch (error) {
    assert.ok(error instanceof StartupError)
    return error.message
  }
  return assert.fail(`accepted ${JSON.stringify(env)}`)
}

/** The lines of an error that name a variable each. */
export const linesOf = (message: string): string[] => message.split('\n').slice(1)
