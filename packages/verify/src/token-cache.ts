/** Remembers what was used last, at most that many. */
export type TokenCache<Value> = {
  get(token: string): Value | undefined
  set(token: string, value: Value): void
  size(): number
}

type Entry<Value> = { token: string; value: Value }

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** Two generations: once the young one is full it is the old one, and what nobody has asked for since is gone. */
export function createTokenCache<Value>(most: number): TokenCache<Value> {
  const half = Math.floor(most / 2)
  let young = new Map<string, Entry<Value>>()
  let old = new Map<string, Entry<Value>>()

  function add(entry: Entry<Value>): void {
    if (half < 1) return
    if (young.size >= half) {
      old = young
      young = new Map()
    }
    young.set(entry.token, entry)
  }

  return {
    get(token) {
      const found = young.get(token)
      if (found) return found.value
      const older = old.get(token)
      if (!older) return undefined
      old.delete(token)
      add(older)
      return older.value
    },
    set: (token, value) => add({ token: copyOf(token), value }),
    size: () => young.size + old.size,
  }
}

/** A text of its own: what was cut out of a header line may keep the whole line in memory. */
const copyOf = (text: string): string => decoder.decode(encoder.encode(text))
