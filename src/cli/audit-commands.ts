import { type Command, InvalidArgumentError } from 'commander'
import type { ExportOptions } from './commands/audit-export.ts'
import type { VerifyOptions } from './commands/audit-verify.ts'

/** `postern audit ...` */
export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('verify and export the record of what concerns safety')
  addVerify(audit)
  addExport(audit)
}

const VERIFY_HELP = `
Exit code 0 when every event is as it was recorded and none is missing, 1 with the first break when not. Needs
SECRET_KEY. FILE has lines of an earlier export, or of a server's log: what they tell of must still be there, which
also shows that a whole database was set back to an earlier state.

Examples:
  $ postern audit verify
  $ postern audit verify --against audit-2026-01.jsonl --json`

function addVerify(audit: Command): void {
  audit
    .command('verify')
    .description('prove that no event was changed, added, moved or removed')
    .option('--against <file>', 'compare with an earlier export, or the log of a server')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', VERIFY_HELP)
    .action(async (options: VerifyOptions) =>
      (await import('./commands/audit-verify.ts')).verifyAudit(options),
    )
}

const EXPORT_HELP = `
One JSON object a line, the oldest first. TIME is a date (UTC) or a time such as 2026-01-31T09:30:00Z. NAME is a
username, an e-mail address or an id; for somebody who was deleted, the id.

Examples:
  $ postern audit export > audit.jsonl
  $ postern audit export --since 2026-01-01 --type session.reuse_detected
  $ postern audit export --user ada | jq -r '[.occurred_at, .type, .ip] | @tsv'`

function addExport(audit: Command): void {
  audit
    .command('export')
    .description('print events as lines of JSON')
    .option('--since <time>', 'from this time on', toTime)
    .option('--until <time>', 'before this time', toTime)
    .option('--type <type>', 'of this type')
    .option('--user <name>', 'that concern this user')
    .option('--actor <name>', 'that this user did')
    .addHelpText('after', EXPORT_HELP)
    .action(async (options: ExportOptions) =>
      (await import('./commands/audit-export.ts')).exportAudit(options),
    )
}

const TIME = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/

function toTime(text: string): number {
  const time = TIME.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(time)) throw new InvalidArgumentError('Expected a date, or a time with its zone.')
  return time
}
