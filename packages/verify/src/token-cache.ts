/** Remembers what was used last, at most that many. */
export type TokenCache<Value> = {
  get(token: string): Value | undefined
  set(token: string, value: Value): void
  size(): number
}

/** Two generations: once the young one is full it is the old one, and what nobody has asked for since is gone. */
export function createTokenCache<Value>(most: number): TokenCache<Value> {
  const half = Math.floor(most / 2)
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()

  function set(token: string, value: Value): void {
    if (half < 1) return
    if (young.size >= half) {
      old = young
      young = new Map()
    }
    young.set(token, value)
  }

  return {
    get(token) {
      const found = young.get(token)
      if (found !== undefined) return found
      const older = old.get(token)
      if (older === undefined) return undefined
      old.delete(token)
      set(token, older)
      return older
    },
    set,
    size: () => young.size + old.size,
  }
}
