import type { Passwords } from '../../src/core/security/passwords.ts'
import type { TestServer } from '../kit.ts'

type Verify = Passwords['verify']

/** Puts something in the place of how a server verifies passwords, until what it returns is called. */
export function replaceVerify({ context }: TestServer, replace: (own: Verify) => Verify): () => void {
  const { passwords } = context
  const own = passwords.verify
  passwords.verify = replace(own)
  return () => {
    passwords.verify = own
  }
}
