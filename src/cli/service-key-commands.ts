import { type Command, Option } from 'commander'
import { SCOPES } from '../core/scopes.ts'
import type { CreateOptions } from './commands/service-keys.ts'

/** `postern service-keys ...` */
export function addServiceKeyCommands(program: Command): void {
  const keys = program
    .command('service-keys')
    .description('create, list and revoke the keys by which your services call this server')
  addCreate(keys)
  addList(keys)
  addRevoke(keys)
}

const CREATE_HELP = `
The key is printed once and kept nowhere: send it as the bearer token of each request. revocations:read follows the feed of
revocations, tokens:introspect asks what a token stands for.

Examples:
  $ postern service-keys create --name orders --scope revocations:read tokens:introspect`

function addCreate(keys: Command): void {
  keys
    .command('create')
    .description('make a key, and print it')
    .requiredOption('--name <name>', 'what the service is called, for your list')
    .addOption(new Option('--scope <scope...>', 'what it may do').choices(SCOPES).makeOptionMandatory())
    .option('--json', 'print {"id", "key"}')
    .addHelpText('after', CREATE_HELP)
    .action(async (options: CreateOptions) => (await import('./commands/service-keys.ts')).create(options))
}

function addList(keys: Command): void {
  keys
    .command('list')
    .description('list the keys, the oldest first; none can be shown again')
    .option('--json', 'print an array')
    .addHelpText('after', '\nExamples:\n  $ postern service-keys list')
    .action(async (options: { json?: boolean }) => (await import('./commands/service-keys.ts')).list(options))
}

function addRevoke(keys: Command): void {
  keys
    .command('revoke <id>')
    .description('take a key back, at once; streams that it has opened end within 10 seconds')
    .addHelpText('after', '\nExamples:\n  $ postern service-keys revoke 019a1f6e-7c1a-7b7e-8a54-3f1d2c9b0e11')
    .action(async (id: string) => (await import('./commands/service-keys.ts')).revoke(id))
}
