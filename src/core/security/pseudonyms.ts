import { createHmac } from 'node:crypto'
import { deriveKey } from './secrets.ts'

const MAC_BYTES = 16

/** Stands for what it is made from, alike on every node, and tells nothing about it to who lacks the secret. */
export type Pseudonym = (...parts: string[]) => string

/** Names for counters: addresses and what people typed as their name are kept nowhere as they are. */
export function createPseudonyms(secretKey: string): Pseudonym {
  const key = deriveKey(secretKey, 'limits')
  return (...parts) =>
    createHmac('sha256', key)
      .update(JSON.stringify(parts))
      .digest()
      .subarray(0, MAC_BYTES)
      .toString('base64url')
}
