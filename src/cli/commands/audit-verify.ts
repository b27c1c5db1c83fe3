import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { OperatorContext } from '../../context.ts'
import { BREAKS, type Break } from '../../features/audit/chain.ts'
import { findChainKey } from '../../features/audit/chain-key.ts'
import { findChain } from '../../features/audit/chain-queries.ts'
import { readKept, verifyAgainst } from '../../features/audit/verify-against.ts'
import { type Verification, verifyChain } from '../../features/audit/verify-chain.ts'
import { CommandFailure, FAILED } from '../failures.ts'
import { withTables } from '../open.ts'
import { complain, count, printJson, say, visible, warn } from '../output.ts'
import { createProgress } from '../progress.ts'
import { getSecrets } from '../secret-key.ts'

export type VerifyOptions = { against?: string; json?: boolean }

/** Verifies the chain of events, and with `against` that it still has what a file tells of. */
export async function verifyAudit({ against, json }: VerifyOptions): Promise<void> {
  await withTables(async (context) => {
    const key = await getChainKey(context)
    const chain = await findChain(context.db)
    const progress = createProgress('Verifying', (chain?.seq ?? 0) - (chain?.pruned_seq ?? 0))
    let compared = 0
    const result = await verifyChain(context.db, key, progress.update)
    if (against !== undefined && !result.broken) {
      const comparison = await compareWith(context, against)
      result.broken = comparison.broken
      compared = comparison.compared
    }
    progress.clear()
    tell(result, against === undefined ? undefined : compared)
    if (json) await printJson(toJson(result, compared))
    if (result.broken) process.exitCode = FAILED
  })
}

async function getChainKey({ db, settings }: OperatorContext): Promise<Buffer> {
  const key = await findChainKey(db, getSecrets(settings))
  if (key) return key
  throw new CommandFailure(
    'Nothing can be verified: no server has begun the audit log yet, its key is gone, or it was sealed with another SECRET_KEY',
  )
}

async function compareWith(
  { db }: OperatorContext,
  file: string,
): Promise<{ compared: number; broken: Break | undefined }> {
  let compared = 0
  for await (const line of createInterface({
    input: createReadStream(file),
    crlfDelay: Number.POSITIVE_INFINITY,
  })) {
    const kept = readKept(line.replace(/^\uFEFF/, ''))
    if (!kept) continue
    const broken = await verifyAgainst(db, kept)
    if (broken) return { compared, broken }
    compared += 1
  }
  if (compared === 0) {
    throw new CommandFailure(`${visible(file)} tells of no event, so that nothing can be compared with it`)
  }
  return { compared, broken: undefined }
}

function tell({ first, last, unproven, unsealed, broken }: Verification, compared: number | undefined): void {
  if (broken) {
    const where = broken.seq === null ? '' : ` at number ${broken.seq}`
    const which = broken.id === null ? '' : ` (event ${visible(broken.id)})`
    complain(`The audit log does not hold${where}${which}: ${BREAKS[broken.what]}.`)
    say(last < first ? 'Nothing before it was verified.' : `Numbers ${first} to ${last} hold.`)
    return
  }
  const waiting = unsealed > 0 ? `, ${count(unsealed, 'event')} not sealed yet` : ''
  say(`The audit log holds: ${count(last - first + 1, 'event')}${waiting}.`)
  if (compared !== undefined) say(`It has all that the file tells of: ${count(compared, 'event')}.`)
  if (unproven > 0) {
    warn(
      `${count(unproven, 'event')} written without SECRET_KEY, by an operator, an older version, or anybody who can write to the database`,
    )
  }
}

const toJson = ({ first, last, unproven, unsealed, broken }: Verification, compared: number) => ({
  holds: broken === undefined,
  first,
  last,
  unproven,
  unsealed,
  compared,
  broken: broken ? { ...broken, meaning: BREAKS[broken.what] } : null,
})
