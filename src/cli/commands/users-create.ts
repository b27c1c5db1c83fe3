import type { OperatorContext } from '../../context.ts'
import { addUser } from '../../features/users/add-user.ts'
import type { NewUser } from '../../features/users/create-user.ts'
import { toProfile } from '../../features/users/profile.ts'
import { CommandFailure } from '../failures.ts'
import { withMigratedTables } from '../open.ts'
import { print, printJson, say } from '../output.ts'
import { isInteractive, openPrompt, readLine } from '../prompt.ts'
import { describeUser } from './named-user.ts'

export type CreateOptions = { username?: string; email?: string; superuser?: boolean; json?: boolean }

/** Creates a user; the password comes from a prompt, or from standard input when that is no terminal. */
export async function createUser(options: CreateOptions): Promise<void> {
  await withMigratedTables(async (context) => {
    const newUser = await (isInteractive() ? askForUser(options) : readUser(options))
    await store(context, newUser, options)
  })
}

async function store(
  context: OperatorContext,
  newUser: NewUser,
  { superuser, json }: CreateOptions,
): Promise<void> {
  const isSuperuser = superuser === true
  const user = await addUser(context, newUser, { isSuperuser })
  say(`Created ${isSuperuser ? 'superuser' : 'user'} ${describeUser(user)}.`)
  await (json ? printJson(toProfile(user)) : print(`${user.id}\n`))
}

async function askForUser({ username, email }: CreateOptions): Promise<NewUser> {
  const prompt = openPrompt()
  try {
    const named = {
      username: username ?? (await prompt.ask('Username: ')).trim(),
      email: email ?? (await prompt.ask('E-mail address: ')).trim(),
    }
    const password = await prompt.askSecretly('Password: ')
    if ((await prompt.askSecretly('Password again: ')) !== password) {
      throw new CommandFailure('The two passwords are not the same; nothing was done')
    }
    return { ...named, password }
  } finally {
    prompt.close()
  }
}

async function readUser({ username = '', email = '' }: CreateOptions): Promise<NewUser> {
  const password = await readLine()
  if (password === '') throw new CommandFailure('There is no password on standard input')
  return { username, email, password }
}
