import type { Scene } from './scene.ts'

export type Level = 'ok' | 'info' | 'warning' | 'error'

/** What one check says; `why` and `mend` are there whenever it found something. */
export type Finding = Readonly<{ check: string; level: Level; what?: string; why?: string; mend?: string }>

/** What a check looks for, as people are told of it. */
export type CheckDescription = Readonly<{
  /** GROUP.NAME: stable, for programs that branch on it. */
  id: string
  level: Exclude<Level, 'ok'>
  why: string
  mend: string
}>

export type Check<Facts> = CheckDescription &
  Readonly<{
    /** What is wrong, in a sentence without its full stop, or in several; nothing when all is well. */
    find(facts: Facts): string | readonly string[] | false | undefined
  }>

/** A check whose `gather` throws `Unusable` when something is wrong. */
export const byGathering = (description: CheckDescription): Check<unknown> => ({
  ...description,
  find: () => undefined,
})

/** Checks that judge the same facts. */
export type Group<Facts = never> = Readonly<{
  name: string
  checks: readonly CheckDescription[]
  /** Looks at the world and judges what is there. */
  examine(scene: Scene): Promise<Finding[]>
  judge: (facts: Facts) => Finding[]
}>

/**
 * @param gather changes nothing in the world; undefined where the group does not apply. Where it throws `Unusable`, that
 *   is all that is found
 */
export function defineGroup<Facts>(
  name: string,
  gather: (scene: Scene) => Promise<Facts | undefined> | Facts | undefined,
  checks: readonly Check<NoInfer<Facts>>[],
): Group<Facts> {
  const judge = (facts: Facts) => checks.flatMap((check) => judgeBy(check, facts))
  return {
    name,
    checks,
    judge,
    async examine(scene) {
      try {
        const facts = await gather(scene)
        return facts === undefined ? [] : judge(facts)
      } catch (error) {
        const check = error instanceof Unusable && checks.find(({ id }) => id === error.check)
        if (!check) throw error
        return tell(check, error.found)
      }
    },
  }
}

function judgeBy<Facts>(check: Check<Facts>, facts: Facts): Finding[] {
  const found = [check.find(facts) || []].flat()
  return found.length === 0 ? [{ check: check.id, level: 'ok' }] : tell(check, found)
}

const tell = ({ id, level, why, mend }: CheckDescription, found: readonly string[]): Finding[] =>
  found.map((what) => ({ check: id, level, what, why, mend }))

/** Found while gathering, and then there is nothing for the other checks of the group to judge. */
export class Unusable extends Error {
  readonly check: string
  readonly found: readonly string[]

  constructor(check: string, ...found: readonly string[]) {
    super(`${check}: ${found.join('; ')}`)
    this.check = check
    this.found = found
  }
}

/** Why something could not be looked at, in words that hold no secret. */
export class NotLookedAt extends Error {
  override name = 'NotLookedAt'
}
