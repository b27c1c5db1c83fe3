import type { Command } from 'commander'
import type { PreviewOptions } from './commands/email-preview.ts'

/** `postern email ...` */
export function addEmailCommands(program: Command): void {
  const email = program.command('email').description('look at the mails that people get')
  addPreview(email)
}

const PREVIEW_HELP = `
Made with PROJECT_NAME, BRAND_COLOR, BRAND_LOGO_URL and what is in EMAIL_TEMPLATES_DIR, and with made-up data: nothing is
sent, and no database is needed. Files of an earlier preview are written over. How to change what they say is in
docs/email-templates.md.

Examples:
  $ postern email preview
  $ EMAIL_TEMPLATES_DIR=./templates postern email preview --locale de --out /tmp/mails`

function addPreview(email: Command): void {
  email
    .command('preview')
    .description('write every mail, and every page that a mail leads to, as files')
    .option('--locale <locale>', 'in this language only')
    .option('--out <folder>', 'where to', 'email-preview')
    .addHelpText('after', PREVIEW_HELP)
    .action(async (options: PreviewOptions) =>
      (await import('./commands/email-preview.ts')).previewEmail(options),
    )
}
