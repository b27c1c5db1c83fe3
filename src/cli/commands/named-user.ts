import type { OperatorContext } from '../../context.ts'
import type { User } from '../../database/tables.ts'
import { findNamedUser } from '../../features/users/find-user.ts'
import { CommandFailure } from '../failures.ts'
import { visible } from '../output.ts'

/** @throws CommandFailure when there is no such user */
export async function getNamedUser({ db }: Pick<OperatorContext, 'db'>, name: string): Promise<User> {
  const user = await findNamedUser(db, name)
  if (!user) throw new CommandFailure(`There is no user "${visible(name)}"`)
  return user
}

export const describeUser = ({ username, email }: User): string => `${visible(username)} (${visible(email)})`
