import type { OperatorContext } from '../../context.ts'
import type { User } from '../../database/tables.ts'
import { recordEvent } from '../audit/events.ts'
import { createUser, type NewUser } from './create-user.ts'

/**
 * Creates an account on an operator's behalf: nobody is signed in, and it may be a superuser's.
 * @throws Problem `validation_failed`, `username_taken`, `email_taken`, `server_busy`
 */
export const addUser = (
  context: OperatorContext,
  newUser: NewUser,
  { isSuperuser }: { isSuperuser: boolean },
): Promise<User> =>
  createUser(context, { ...newUser, isSuperuser }, async (trx, user) => {
    const detail = { is_superuser: isSuperuser }
    await recordEvent(trx, context.clock.now(), { type: 'user.created', userId: user.id, detail })
    return user
  })
