import { endAllSessions, endSessionsForOperator } from '../../features/sessions/end-sessions.ts'
import { withTables } from '../open.ts'
import { count, printJson, say } from '../output.ts'
import { describeUser, getNamedUser } from './named-user.ts'

/** Ends the sessions of everyone, or of the named user, and every sign-in that is under way. */
export async function endSessions(user: string | undefined, { json }: { json?: boolean }): Promise<void> {
  await withTables(async (context) => {
    const owner = user === undefined ? undefined : await getNamedUser(context, user)
    const ended = await (owner ? endSessionsForOperator(context, owner.id) : endAllSessions(context))
    say(`Ended ${count(ended, 'session')} of ${owner ? describeUser(owner) : 'all users'}.`)
    if (json) await printJson({ ended })
  })
}
