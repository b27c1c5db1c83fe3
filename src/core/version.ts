import { readFileSync } from 'node:fs'

/** The version in package.json, two folders up both from `src/core` and from `dist/core`. */
export const VERSION: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version
