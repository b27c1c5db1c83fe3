import { spawnSync } from 'node:child_process'
import { cpSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'

/** Writes `dist/`: the sources as JavaScript with declarations, for the package. A checkout runs without it, and `npm run types` is what checks it. */
const root = resolve(import.meta.dirname, '..')
/** What the code reads and the compiler passes over. */
const DATA = [
  'features/passwords/common-passwords.bloom',
  'features/email/templates',
  'features/email/messages',
]
rmSync(resolve(root, 'dist'), { recursive: true, force: true })
const compiler = resolve(root, 'node_modules/typescript/bin/tsc')
const { status } = spawnSync(process.execPath, [compiler, '--project', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
for (const path of DATA) cpSync(resolve(root, 'src', path), resolve(root, 'dist', path), { recursive: true })
process.exit(status ?? 1)
