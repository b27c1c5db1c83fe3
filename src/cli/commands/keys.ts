import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import type { OperatorContext } from '../../context.ts'
import { StartupError } from '../../core/problems.ts'
import { readPrivateKey, type SigningKey } from '../../core/security/keyring.ts'
import { importKey } from '../../features/keys/import-key.ts'
import { stateOf } from '../../features/keys/key-states.ts'
import { listSigningKeys } from '../../features/keys/queries.ts'
import { revokeKey } from '../../features/keys/revoke-keys.ts'
import { rotateKeys } from '../../features/keys/rotate-keys.ts'
import { type KeyContext, refuseForeignKeys } from '../../features/keys/stored-keys.ts'
import type { Succession } from '../../features/keys/succession.ts'
import { CommandFailure } from '../failures.ts'
import { withTables } from '../open.ts'
import { printJson, printTable, say, timeText } from '../output.ts'
import { getSecrets } from '../secret-key.ts'

type Options = { json?: boolean }

const HEADINGS = ['KEY', 'ALGORITHM', 'STATE', 'PUBLISHED', 'SIGNS FROM', 'UNTIL']

/** Prints every key, the oldest first: a table, or a JSON array with `json`. */
export function listKeys({ json }: Options): Promise<void> {
  return withTables(async ({ db, clock }) => {
    const now = clock.now()
    const keys = (await listSigningKeys(db)).map((key) => ({
      kid: key.kid,
      algorithm: key.algorithm,
      state: stateOf(key, now),
      created_at: timeText(key.created_at),
      signs_from: timeText(key.signs_from),
      signs_until: timeText(key.signs_until),
      revoked_at: timeText(key.revoked_at),
    }))
    if (json) return printJson(keys)
    const rows = keys.map(({ kid, algorithm, state, created_at, signs_from, signs_until }) =>
      [kid, algorithm, state, created_at, signs_from, signs_until].map((cell) => cell ?? '-'),
    )
    await printTable(HEADINGS, rows)
  })
}

/** Lets the next key sign, as soon as it has been published for long enough. */
export function rotate({ json }: Options): Promise<void> {
  return withKeys(async (context) => {
    const succession = await rotateKeys(context)
    if (!succession) throw new CommandFailure(NO_KEY)
    const { key, at, wasSetBefore } = succession
    const already = wasSetBefore ? 'already set to sign' : 'signs'
    say(`Key ${key.kid} (${key.algorithm}) ${already} from ${timeText(at)} on.`)
    if (json) await printJson(toJson(succession))
  })
}

const NO_KEY =
  'There is no key that signs: with ALGORITHM=HS256 it is derived from SECRET_KEY; else start the server once to have one made'

/** Drops a key. */
export function revoke(kid: string, { json }: Options): Promise<void> {
  return withKeys(async (context) => {
    const revoked = await revokeKey(context, kid)
    if (!revoked) {
      throw new CommandFailure(`There is no key ${kid} that could be revoked: see \`postern keys list\``)
    }
    const { successor } = revoked
    say(`Revoked the key ${kid}.`)
    if (successor) say(`Key ${successor.key.kid} (${successor.key.algorithm}) signs from now on.`)
    if (json) await printJson(successor ? toJson(successor) : null)
  })
}

const toJson = ({ key, at }: Succession) => ({ kid: key.kid, signs_from: timeText(at) })

/** Publishes the private key of a file, or of standard input. */
export function importFile(file: string, { json }: Options): Promise<void> {
  return withKeys(async (context, { algorithm }) => {
    if (algorithm === 'HS256') throw new CommandFailure(NO_KEY)
    const key = await readKey(file, algorithm)
    if (!(await importKey(context, key))) throw new CommandFailure(`The key ${key.kid} is known already`)
    say(
      `Published the key ${key.kid} (${key.algorithm}). It signs after the next rotation: \`postern keys rotate\`.`,
    )
    if (json) await printJson({ kid: key.kid })
  })
}

async function readKey(file: string, algorithm: SigningKey['algorithm']): Promise<SigningKey> {
  const text = await (file === '-' ? buffer(process.stdin) : readFile(file)).catch((error) => {
    throw new CommandFailure(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  })
  try {
    return await readPrivateKey(text.toString(), algorithm)
  } catch (error) {
    // What the parser says could hold a part of the key.
    if (error instanceof StartupError) throw new CommandFailure(error.message)
    throw error
  }
}

/** With the secret, which has to be the server's: it could not open what another one has sealed. */
function withKeys(
  work: (context: KeyContext, settings: OperatorContext['settings']) => Promise<void>,
): Promise<void> {
  return withTables(async ({ settings, database, clock }) => {
    const secrets = getSecrets(settings)
    await refuseForeignKeys(database.db, clock.now(), secrets)
    await work({ database, clock, settings: secrets }, settings)
  })
}
