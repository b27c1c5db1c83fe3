import { canMail } from '../../features/email/require-mail.ts'
import { removePasswordForOperator } from '../../features/passwords/remove-password.ts'
import { CommandFailure } from '../failures.ts'
import { withTables } from '../open.ts'
import { say } from '../output.ts'
import { describeUser, getNamedUser } from './named-user.ts'

/** Takes a user's password away; that there is none is no failure. */
export async function removePassword(name: string): Promise<void> {
  await withTables(async (context) => {
    const user = await getNamedUser(context, name)
    if (!canMail(context)) {
      throw new CommandFailure(
        'Nothing sends mail, so that a new password could not be set: set SMTP_URL, or shut them out with `postern users disable`',
      )
    }
    const hadPassword = await removePasswordForOperator(context, user.id)
    say(
      hadPassword
        ? `Removed the password, and ended all sessions of, ${describeUser(user)}: a new one is set by mail.`
        : `${describeUser(user)} has no password.`,
    )
  })
}
