import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
const ROOT = resolve(import.meta.dirname, '../../..')
const MODULES = join(ROOT, 'node_modules')
const TSC = join(MODULES, 'typescript/bin/tsc')

/** A project that has installed the package from its tarball, and nothing else from elsewhere. */
export type Project = {
  folder: string
  /** Paths in the tarball. */
  files: string[]
}

/** Packs the package as its publisher does, and installs the tarball into an empty project in a temporary folder. */
export async function installPackage(): Promise<Project> {
  const folder = await mkdtemp(join(tmpdir(), 'postern-verify-'))
  const source = await copySource(join(folder, 'source'))
  const { stdout } = await npm(source, 'pack', '--json', '--pack-destination', folder)
  const [packed] = Object.values(JSON.parse(stdout.slice(stdout.search(/^[[{]/m)))) as [
    { filename: string; files: { path: string }[] },
  ]
  const project = join(folder, 'project')
  await mkdir(project)
  await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await npm(project, 'install', join(folder, packed.filename))
  for (const name of ['fastify', 'express', 'hono', '@types']) await lend(project, name)
  return { folder: project, files: packed.files.map(({ path }) => path) }
}

/** Without what an earlier build has left. */
async function copySource(root: string): Promise<string> {
  const source = join(root, 'packages/verify')
  await cp(join(ROOT, 'packages/verify'), source, {
    recursive: true,
    filter: (path) => !path.endsWith('/verify/dist') && !path.endsWith('/node_modules'),
  })
  await cp(join(ROOT, 'tsconfig.json'), join(root, 'tsconfig.json'))
  await symlink(MODULES, join(root, 'node_modules'))
  return source
}

/** Frameworks are the user's own: those that are installed here serve for that. */
const lend = (project: string, name: string): Promise<void> =>
  symlink(join(MODULES, name), join(project, 'node_modules', name))

const npm = (cwd: string, ...parameters: string[]) =>
  run('npm', [...parameters, '--offline', '--no-audit', '--no-fund', '--loglevel=error'], { cwd })

/** What the compiler says of a file with these options; nothing if it is content. */
export async function checkTypes(
  { folder }: Project,
  name: string,
  text: string,
  compilerOptions: object,
): Promise<string> {
  const config = join(folder, `tsconfig.${name}.json`)
  await writeFile(join(folder, `${name}.ts`), text)
  await writeFile(config, JSON.stringify({ compilerOptions, files: [`${name}.ts`] }))
  try {
    await run(process.execPath, [TSC, '--project', config])
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

/** Runs a program within the project; what it wrote. */
export async function runProgram({ folder }: Project, name: string, text: string): Promise<string> {
  const file = join(folder, `${name}.js`)
  await writeFile(file, text)
  const { stdout } = await run(process.execPath, [file], { cwd: folder, timeout: 20_000 })
  return stdout.trim()
}
