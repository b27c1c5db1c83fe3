import { disableUser, enableUser } from '../../features/users/set-active.ts'
import { withTables } from '../open.ts'
import { say } from '../output.ts'
import { describeUser, getNamedUser } from './named-user.ts'

/** Shuts a user out, or lets them in again; that they are so already is no failure. */
export async function setActive(name: string, isActive: boolean): Promise<void> {
  await withTables(async (context) => {
    const user = await getNamedUser(context, name)
    const hasChanged = await (isActive ? enableUser : disableUser)(context, user.id)
    const state = isActive ? 'enabled' : 'disabled'
    say(
      hasChanged
        ? `${isActive ? 'Enabled' : 'Disabled, and ended all sessions of,'} ${describeUser(user)}.`
        : `${describeUser(user)} is ${state} already.`,
    )
  })
}
