import { setSuperuser } from '../../features/users/set-superuser.ts'
import { withTables } from '../open.ts'
import { say } from '../output.ts'
import { describeUser, getNamedUser } from './named-user.ts'

/** Gives a user the rights of a superuser, or takes them; that they are so already is no failure. */
export async function setRights(name: string, isSuperuser: boolean): Promise<void> {
  await withTables(async (context) => {
    const user = await getNamedUser(context, name)
    const hasChanged = await setSuperuser(context, user.id, isSuperuser)
    const gained = `a superuser ${hasChanged ? 'now' : 'already'}`
    const lost = hasChanged ? 'a superuser no longer' : 'no superuser'
    say(`${describeUser(user)} is ${isSuperuser ? gained : lost}.`)
  })
}
