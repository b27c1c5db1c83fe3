import { setSuperuser } from '../../features/users/set-superuser.ts'
import { withTables } from '../open.ts'
import { say } from '../output.ts'
import { describeUser, getNamedUser } from './named-user.ts'

/** Makes a user a superuser: that they are one already is no failure. */
export async function promote(name: string): Promise<void> {
  await withTables(async (context) => {
    const user = await getNamedUser(context, name)
    const hasChanged = await setSuperuser(context, user.id, true)
    say(`${describeUser(user)} is a superuser ${hasChanged ? 'now' : 'already'}.`)
  })
}

/** Takes the rights of a superuser from a user: that they have none is no failure. */
export async function demote(name: string): Promise<void> {
  await withTables(async (context) => {
    const user = await getNamedUser(context, name)
    const hasChanged = await setSuperuser(context, user.id, false)
    say(`${describeUser(user)} is ${hasChanged ? 'a superuser no longer' : 'no superuser'}.`)
  })
}
