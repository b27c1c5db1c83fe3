import { deriveKey } from '../../core/security/secrets.ts'
import { generateSecretKey } from '../../core/settings/secret-key.ts'
import { checkSettings } from '../../core/settings.ts'
import { CommandFailure } from '../failures.ts'
import { announce } from '../open.ts'
import { print, say } from '../output.ts'
import { getSecretKey } from '../secret-key.ts'

export const generateSecret = (): Promise<void> => print(`${generateSecretKey()}\n`)

/** Prints the key of HS256 access tokens in base64url, as a JWK has it in `k` (RFC 7518 section 6.4.1). */
export async function showHs256(): Promise<void> {
  const settings = announce(checkSettings())
  const { algorithm, publicUrl } = settings
  if (algorithm !== 'HS256') {
    throw new CommandFailure(
      `ALGORITHM is ${algorithm}, so there is no shared key: APIs verify with the public keys at ${publicUrl}/.well-known/jwks.json`,
    )
  }
  const key = deriveKey(getSecretKey(settings), 'access-hs256')
  say('Whoever has this key can make access tokens: keep it as secret as a password.')
  await print(`${key.toString('base64url')}\n`)
}
