import { LEFT_REASONS, type LeftReason } from '../../features/users/import-rules.ts'
import { openImportSource } from '../../features/users/import-source.ts'
import { type ImportReport, importUsers, type LeftUser } from '../../features/users/import-users.ts'
import { CommandFailure, INTERRUPTED } from '../failures.ts'
import { withMigratedTables } from '../open.ts'
import { count, print, printJson, visible } from '../output.ts'
import { createProgress } from '../progress.ts'

export type ImportOptions = { sqlite: string; dryRun?: boolean; json?: boolean }

const SHOWN_PER_REASON = 20

/** Brings in the users of the FastAPI original, all that can be, or none when it fails or is interrupted. */
export async function importFromSqlite({ sqlite, dryRun = false, json }: ImportOptions): Promise<void> {
  const source = openImportSource(sqlite)
  const interruption = interruptOnSignal()
  const progress = createProgress('Importing', source.total)
  try {
    const report = await withMigratedTables((context) =>
      importUsers(context, source.rows, {
        isDryRun: dryRun,
        signal: interruption.signal,
        onProgress: progress.update,
      }),
    )
    progress.clear()
    await (json ? printJson(toJson(report, dryRun)) : print(toText(report, dryRun)))
  } finally {
    progress.clear()
    interruption.stop()
    source.close()
  }
}

/** The first signal ends the import in order, the second at once. */
function interruptOnSignal() {
  const controller = new AbortController()
  const interrupt = () =>
    controller.abort(new CommandFailure('interrupted; nothing was imported', INTERRUPTED))
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  return {
    signal: controller.signal,
    stop() {
      process.off('SIGINT', interrupt)
      process.off('SIGTERM', interrupt)
    },
  }
}

const toJson = ({ taken, left }: ImportReport, isDryRun: boolean) => ({
  dry_run: isDryRun,
  taken,
  left: left.map(({ sourceId, username, email, reason }) => ({
    source_id: sourceId,
    username,
    email,
    reason,
  })),
})

function toText({ taken, left }: ImportReport, isDryRun: boolean): string {
  const would = isDryRun ? ['Would take', 'would leave'] : ['Took', 'left']
  const lines = [`${would[0]} ${count(taken, 'user')}, ${would[1]} ${left.length.toLocaleString('en')}.`]
  for (const [reason, group] of groupByReason(left)) {
    lines.push('', `${count(group.length, 'user')} left: ${LEFT_REASONS[reason]}`)
    lines.push(...group.slice(0, SHOWN_PER_REASON).map(toLine))
    const hidden = group.length - SHOWN_PER_REASON
    if (hidden > 0) lines.push(`  and ${hidden.toLocaleString('en')} more; --json shows all`)
  }
  return `${lines.join('\n')}\n`
}

const groupByReason = (left: readonly LeftUser[]): Map<LeftReason, LeftUser[]> =>
  Map.groupBy(left, ({ reason }) => reason)

const toLine = ({ sourceId, username, email }: LeftUser): string =>
  `  ${visible(sourceId)}  ${visible(username ?? '(no username)')}  ${visible(email ?? '(no address)')}`
