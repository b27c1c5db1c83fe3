import { UUID } from '../../core/ids.ts'
import type { Scope } from '../../core/scopes.ts'
import { listServiceKeys } from '../../features/service-keys/queries.ts'
import { createServiceKey, endServiceKey } from '../../features/service-keys/service-keys.ts'
import { CommandFailure } from '../failures.ts'
import { withTables } from '../open.ts'
import { print, printJson, printTable, say, timeText, visible } from '../output.ts'

export type CreateOptions = { name: string; scope: Scope[]; json?: boolean }

const NAME = /^(?=.*\S)[^\p{Cc}\p{Zl}\p{Zp}]{1,100}$/u
const HEADINGS = ['ID', 'NAME', 'SCOPE', 'CREATED', 'LAST USED', 'STATE']

/** Makes a key, and prints it, once. */
export function create({ name, scope, json }: CreateOptions): Promise<void> {
  return withTables(async (context) => {
    if (!NAME.test(name)) throw new CommandFailure('A name has 1 to 100 printable characters')
    const { id, secret } = await createServiceKey(context, { name, scopes: scope })
    say(`Made the key ${id} of ${visible(name)}. It is shown once: keep it as secret as a password.`)
    await (json ? printJson({ id, key: secret }) : print(`${secret}\n`))
  })
}

/** Prints every key, without its secret. */
export function list({ json }: { json?: boolean }): Promise<void> {
  return withTables(async (context) => {
    const keys = (await listServiceKeys(context.db)).map(
      ({ id, name, scope, created_at, used_at, revoked_at }) => ({
        id,
        name,
        scope,
        created_at: timeText(created_at),
        used_at: timeText(used_at),
        revoked_at: timeText(revoked_at),
      }),
    )
    if (json) return printJson(keys)
    const rows = keys.map(({ id, name, scope, created_at, used_at, revoked_at }) => [
      id,
      visible(name),
      scope,
      created_at ?? '',
      used_at ?? 'never',
      revoked_at === null ? 'good' : 'revoked',
    ])
    await printTable(HEADINGS, rows)
  })
}

/** Takes a key back. */
export function revoke(id: string): Promise<void> {
  return withTables(async (context) => {
    if (!UUID.test(id) || !(await endServiceKey(context, id.toLowerCase()))) {
      throw new CommandFailure(
        `There is no key ${visible(id)} that could be revoked: see \`postern service-keys list\``,
      )
    }
    say(`Revoked the key ${id}.`)
  })
}
