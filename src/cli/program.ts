import { styleText } from 'node:util'
import { Command } from 'commander'
import { VERSION } from '../core/version.ts'
import { addAuditCommands } from './audit-commands.ts'
import type { DoctorOptions } from './commands/doctor.ts'
import type { MigrateOptions } from './commands/migrate.ts'
import { addEmailCommands } from './email-commands.ts'
import { addKeyCommands } from './key-commands.ts'
import { complain } from './output.ts'
import { addServiceKeyCommands } from './service-key-commands.ts'
import { addUserCommands } from './user-commands.ts'

const EXAMPLES = `
Examples:
  $ postern serve                                    start the server, on SQLite unless DATABASE_URL says else
  $ postern users create --superuser                 ask for a username, an address and a password
  $ postern users import --sqlite app.db --dry-run   see what of a FastAPI app's users can be brought in
  $ postern sessions end --user ada                  sign somebody out everywhere

Settings come from the environment and from .env in this folder, as for the server.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.`

/** Every command. What a command needs is loaded when it runs. */
export function createProgram(): Command {
  const program = new Command('postern')
    .description('A self-hosted authentication server: accounts, sessions and tokens.')
    .exitOverride()
    .enablePositionalOptions()
    .configureOutput({ outputError: (text) => complain(toLine(text)) })
    .configureHelp({ styleTitle: (title) => styleText('bold', title, { validateStream: false }) })
    .addHelpText('after', EXAMPLES)
  program
    .command('serve')
    .description('run the server until it is told to stop (SIGTERM, Ctrl-C)')
    .addHelpText('after', '\nExamples:\n  $ postern serve\n  $ PORT=9000 LOG_LEVEL=warn postern serve')
    .action(async () => (await import('../serve.ts')).serve())
  addMigrate(program)
  addDoctor(program)
  addUserCommands(program)
  addSessionCommands(program)
  addKeyCommands(program)
  addServiceKeyCommands(program)
  addAuditCommands(program)
  addEmailCommands(program)
  addSecretCommands(program)
  addVersion(program)
  return program
}

/** Commander's message, whose suggestion has a line of its own. */
const toLine = (text: string): string =>
  text
    .replace(/^error: /, '')
    .trim()
    .replaceAll(/\s*\n\s*/g, ' ')

function addMigrate(program: Command): void {
  program
    .command('migrate')
    .description(
      'bring the tables of the database up to this version; the server does so itself when it starts',
    )
    .option('--check', 'change nothing, tell what is pending, and exit with 1 if anything is')
    .option('--json', 'print the names as JSON')
    .addHelpText(
      'after',
      '\nExamples:\n  $ postern migrate\n  $ postern migrate --check || echo "not up to date"',
    )
    .action(async (options: MigrateOptions) => (await import('./commands/migrate.ts')).runMigrate(options))
}

const DOCTOR_HELP = `
Changes nothing, and runs also while settings are wrong or the database is down. Everything that it looks for is in
docs/doctor.md.

Examples:
  $ postern doctor
  $ postern doctor --json | jq '.findings[] | select(.level == "error")'`

function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description(
      'look at settings, database, keys, proxies, TLS, mail, captcha and clock: what is wrong or weak, why, and how to mend it',
    )
    .option('--strict', 'exit with 1 also when there are only warnings')
    .option('--json', 'print {"ok", "findings"} as JSON')
    .addHelpText('after', DOCTOR_HELP)
    .action(async (options: DoctorOptions) => (await import('./commands/doctor.ts')).runDoctor(options))
}

const END_SESSIONS_HELP = `
With --all the keys that sign access tokens are revoked as well, and the servers make a new one: no token is believed that there
was, also of sessions that a restored backup knows nothing of.

Examples:
  $ postern sessions end --user ada@example.com
  $ postern sessions end --all`

function addSessionCommands(program: Command): void {
  const sessions = program.command('sessions').description('end sessions')
  sessions
    .command('end')
    .description('sign out everyone, or one user, on every device')
    .option('--all', 'the sessions of everyone')
    .option('--user <name>', 'the sessions of one user: username, e-mail address or id')
    .option('--json', 'print {"ended": COUNT}')
    .addHelpText('after', END_SESSIONS_HELP)
    .action(async ({ all, user, json }: { all?: true; user?: string; json?: true }, command: Command) => {
      if ((all === true) === (user !== undefined)) {
        command.error('expected one of --all and --user NAME')
      }
      const { endSessions } = await import('./commands/sessions-end.ts')
      await endSessions(user, { json: json === true })
    })
}

const SHOW_HS256_HELP = `
The key is derived from SECRET_KEY, which itself never leaves the server. It is printed in base64url, as "k" of
a JSON Web Key has it: an API's JWT library takes the 32 bytes that it stands for.

Examples:
  $ ALGORITHM=HS256 postern secret show-hs256
  Python:   jwt.decode(token, base64.urlsafe_b64decode(key + "="), algorithms=["HS256"], audience=PUBLIC_URL)
  Node.js:  await jwtVerify(token, Buffer.from(key, 'base64url'), { audience: PUBLIC_URL })`

function addSecretCommands(program: Command): void {
  const secret = program.command('secret').description('make and show secrets')
  secret
    .command('generate')
    .description('print a new random SECRET_KEY; nothing is stored')
    .addHelpText('after', '\nExamples:\n  $ echo "SECRET_KEY=$(postern secret generate)" >> .env')
    .action(async () => (await import('./commands/secret.ts')).generateSecret())
  secret
    .command('show-hs256')
    .description('print the key that access tokens are verified with under ALGORITHM=HS256')
    .addHelpText('after', SHOW_HS256_HELP)
    .action(async () => (await import('./commands/secret.ts')).showHs256())
}

function addVersion(command: Command): void {
  // After a command -V may begin a name.
  const flags = command.parent ? '--version' : '-V, --version'
  command.version(VERSION, flags, 'print the version').helpOption('-h, --help', 'show this help')
  for (const child of command.commands) addVersion(child)
}
