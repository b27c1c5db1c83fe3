import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import type { OperatorContext } from '../../context.ts'
import { StartupError } from '../../core/problems.ts'
import { readPrivateKey, type SigningKey } from '../../core/security/keyring.ts'
import { stateOf } from '../../features/keys/key-states.ts'
import { listSigningKeys } from '../../features/keys/queries.ts'
import {
  importKey,
  type KeyKeeper,
  revokeKey,
  rotateKeys,
  type Succession,
} from '../../features/keys/rotate-keys.ts'
import { CommandFailure } from '../failures.ts'
import { withTables } from '../open.ts'
import { printJson, printTable, say, timeText } from '../output.ts'
import { getSecretKey } from '../secret-key.ts'

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
  return withKeeper(async (keeper) => {
    const succession = await rotateKeys(keeper)
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
  return withKeeper(async (keeper) => {
    const succession = await revokeKey(keeper, kid)
    if (succession === 'notFound') {
      throw new CommandFailure(`There is no key ${kid} that could be revoked: see \`postern keys list\``)
    }
    say(`Revoked the key ${kid}.`)
    if (succession) say(`Key ${succession.key.kid} (${succession.key.algorithm}) signs from now on.`)
    if (json) await printJson(succession ? toJson(succession) : null)
  })
}

const toJson = ({ key, at }: Succession) => ({ kid: key.kid, signs_from: timeText(at) })

/** Publishes the private key of a file, or of standard input. */
export function importFile(file: string, { json }: Options): Promise<void> {
  return withKeeper(async (keeper, { settings }) => {
    if (settings.algorithm === 'HS256') throw new CommandFailure(NO_KEY)
    const key = await readKey(file, settings.algorithm)
    if ((await importKey(keeper, key)) === 'known')
      throw new CommandFailure(`The key ${key.kid} is known already`)
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

function withKeeper(work: (keeper: KeyKeeper, context: OperatorContext) => Promise<void>): Promise<void> {
  return withTables((context) => {
    const { settings, database, clock } = context
    const secrets = { secretKey: getSecretKey(settings), secretKeyPrevious: settings.secretKeyPrevious }
    return work({ database, clock, secrets }, context)
  })
}
