import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const executablePath = process.env.TEST_CHROMIUM ?? PLACES.find((path) => existsSync(path))

/** Why there is no browser to test with; undefined when there is one. */
export const withoutBrowser: string | undefined =
  executablePath === undefined ? 'there is no Chromium; TEST_CHROMIUM says where one is' : undefined

/** A real Chromium, without a window. */
export const launchBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: executablePath ?? '',
    // Where the tests run as root, Chromium has no sandbox.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  })
