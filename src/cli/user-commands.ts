import type { Command } from 'commander'
import type { CreateOptions } from './commands/users-create.ts'
import type { ImportOptions } from './commands/users-import.ts'
import { isInteractive } from './prompt.ts'

/** `postern users ...` */
export function addUserCommands(program: Command): void {
  const users = program
    .command('users')
    .description(
      'create, list, disable, enable, unlock, promote, demote and import users, and remove passwords',
    )
  addCreate(users)
  addList(users)
  addSetActive(users)
  addRemovePassword(users)
  addSetSuperuser(users)
  addImport(users)
}

const CREATE_HELP = `
The password is asked for twice on a terminal, and is else the first line of standard input. It is never taken
from the command line or the environment, where others can see it. The id of the new user is printed.

Examples:
  $ postern users create --superuser
  $ postern users create --username ada --email ada@example.com < password.txt`

function addCreate(users: Command): void {
  users
    .command('create')
    .description('create a user')
    .option('--username <name>', 'asked for on a terminal when absent')
    .option('--email <address>', 'asked for on a terminal when absent')
    .option('--superuser', 'give the user every right')
    .option('--json', 'print the profile as JSON')
    .addHelpText('after', CREATE_HELP)
    .action(async (options: CreateOptions, command: Command) => {
      const isComplete = options.username !== undefined && options.email !== undefined
      if (!isComplete && !isInteractive()) {
        command.error('--username and --email are needed when standard input is no terminal')
      }
      const { createUser } = await import('./commands/users-create.ts')
      await createUser(options)
    })
}

function addList(users: Command): void {
  users
    .command('list')
    .description('list every user, the oldest first')
    .option('--json', 'print an array of profiles')
    .addHelpText(
      'after',
      `\nExamples:\n  $ postern users list\n  $ postern users list --json | jq -r '.[].email'`,
    )
    .action(async (options: { json?: boolean }) => {
      const { listUsers } = await import('./commands/users-list.ts')
      await listUsers(options)
    })
}

/** A command for one user. Names may begin with a dash; `--help` and `--version` need a `--` before them. */
const addNamed = (users: Command, verb: string): Command =>
  users.command(`${verb} <name>`).allowUnknownOption()

function addSetActive(users: Command): void {
  addNamed(users, 'disable')
    .description('shut a user out and end their sessions; NAME is a username, an e-mail address or an id')
    .addHelpText('after', '\nExamples:\n  $ postern users disable ada')
    .action(async (name: string) => (await import('./commands/users-active.ts')).setActive(name, false))
  addNamed(users, 'enable')
    .description('let a disabled user sign in again')
    .addHelpText('after', '\nExamples:\n  $ postern users enable ada@example.com')
    .action(async (name: string) => (await import('./commands/users-active.ts')).setActive(name, true))
  addNamed(users, 'unlock')
    .description('forget the failed sign-ins of a user who has to wait because of them')
    .addHelpText('after', '\nExamples:\n  $ postern users unlock ada')
    .action(async (name: string) => (await import('./commands/users-unlock.ts')).unlock(name))
}

const REMOVE_PASSWORD_HELP = `
For one that has leaked. They set a new one as if they had forgotten it, by mail to the address of the account: look first
whether it is theirs, and else disable them. Nobody but you tells them.

Examples:
  $ postern users remove-password ada`

function addRemovePassword(users: Command): void {
  addNamed(users, 'remove-password')
    .description('let a password open nothing any more, and end the sessions of its user')
    .addHelpText('after', REMOVE_PASSWORD_HELP)
    .action(async (name: string) => {
      const { removePassword } = await import('./commands/users-remove-password.ts')
      await removePassword(name)
    })
}

const DEMOTE_HELP = `
It counts from their next request on; their sessions go on, without what is for superusers. That the last one is demoted is
not refused: \`postern doctor\` says when there is none left.

Examples:
  $ postern users demote ada`

function addSetSuperuser(users: Command): void {
  addNamed(users, 'promote')
    .description('give a user every right, from their next request on')
    .addHelpText('after', '\nExamples:\n  $ postern users promote ada')
    .action(async (name: string) => (await import('./commands/users-superuser.ts')).setRights(name, true))
  addNamed(users, 'demote')
    .description('take the rights of a superuser from a user')
    .addHelpText('after', DEMOTE_HELP)
    .action(async (name: string) => (await import('./commands/users-superuser.ts')).setRights(name, false))
}

const IMPORT_HELP = `
Takes users with bcrypt and argon2id hashes, who then sign in with the passwords they have. Who cannot be taken
is listed with the reason; that is no failure. FILE is only read. While the import runs on SQLite, a server on
the same database has to wait with its writes.

Examples:
  $ postern users import --sqlite app.db --dry-run
  $ postern users import --sqlite app.db --json > report.json`

function addImport(users: Command): void {
  users
    .command('import')
    .description("bring in the users of a FastAPI app's table `users`, all in one transaction")
    .requiredOption('--sqlite <file>', 'the SQLite database of the app')
    .option('--dry-run', 'do everything, report, and take it back')
    .option('--json', 'print the report as JSON, with everyone who was left')
    .addHelpText('after', IMPORT_HELP)
    .action(async (options: ImportOptions) => {
      const { importFromSqlite } = await import('./commands/users-import.ts')
      await importFromSqlite(options)
    })
}
