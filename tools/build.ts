import { spawnSync } from 'node:child_process'
import { copyFileSync, rmSync } from 'node:fs'
import { resolve } from 'node:path'

/** Writes `dist/`: the sources as JavaScript with declarations, for the package. A checkout runs without it, and `npm run types` is what checks it. */
const FILTER = 'src/features/passwords/common-passwords.bloom'
const root = resolve(import.meta.dirname, '..')
rmSync(resolve(root, 'dist'), { recursive: true, force: true })
const compiler = resolve(root, 'node_modules/typescript/bin/tsc')
const { status } = spawnSync(process.execPath, [compiler, '--project', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
})
copyFileSync(resolve(root, FILTER), resolve(root, FILTER.replace('src', 'dist')))
process.exit(status ?? 1)
