const BUCKET_SECONDS = 60

/** Names that count until a time of their own, in seconds since the epoch. */
export type ExpiringNames = {
  add(name: string, until: number): void
  has(name: string): boolean
  /** Lets go of those whose time has come, within a minute. */
  forget(now: number): void
  size(): number
}

/** Those of one minute are forgotten together: neither a timer for each nor a look at all. */
export function createExpiringNames(): ExpiringNames {
  const times = new Map<string, number>()
  const buckets = new Map<number, string[]>()

  return {
    add(name, until) {
      if ((times.get(name) ?? 0) >= until) return
      times.set(name, until)
      const end = Math.ceil(until / BUCKET_SECONDS) * BUCKET_SECONDS
      const bucket = buckets.get(end)
      if (bucket) bucket.push(name)
      else buckets.set(end, [name])
    },
    has: (name) => times.has(name),
    forget(now) {
      for (const [end, names] of buckets) {
        if (end > now) continue
        buckets.delete(end)
        // Some were added again, with a later time.
        for (const name of names) if (Number(times.get(name)) <= now) times.delete(name)
      }
    },
    size: () => times.size,
  }
}
