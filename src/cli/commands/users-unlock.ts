import { createPseudonyms } from '../../core/security/pseudonyms.ts'
import { unlockUser } from '../../features/passwords/unlock-user.ts'
import { withTables } from '../open.ts'
import { say } from '../output.ts'
import { getSecretKey } from '../secret-key.ts'
import { describeUser, getNamedUser } from './named-user.ts'

/** Forgets a user's failed sign-ins; that there are none is no failure. */
export async function unlock(name: string): Promise<void> {
  await withTables(async (context) => {
    const user = await getNamedUser(context, name)
    const pseudonym = createPseudonyms(getSecretKey(context.settings))
    const hadFailures = await unlockUser({ ...context, pseudonym }, user)
    say(
      hadFailures
        ? `Unlocked ${describeUser(user)}: failed sign-ins are forgotten.`
        : `${describeUser(user)} has no failed sign-ins.`,
    )
  })
}
