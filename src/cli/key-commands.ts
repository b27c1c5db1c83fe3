import type { Command } from 'commander'

type JsonOption = { json?: boolean }

/** `postern keys ...` */
export function addKeyCommands(program: Command): void {
  const keys = program
    .command('keys')
    .description('rotate, list, revoke and import the keys that sign access tokens')
  addList(keys)
  addRotate(keys)
  addRevoke(keys)
  addImport(keys)
}

function addList(keys: Command): void {
  keys
    .command('list')
    .description('list the keys: which signs, which will next, which only verify, and until when')
    .option('--json', 'print an array')
    .addHelpText('after', "\nExamples:\n  $ postern keys list\n  $ postern keys list --json | jq '.[].kid'")
    .action(async (options: JsonOption) => (await import('./commands/keys.ts')).listKeys(options))
}

const ROTATE_HELP = `
The server does so by itself every KEY_ROTATION_DAYS. The next key has to have been published for an hour, so that every API
knows it; the one that signs now goes on verifying until its last token has expired. Nobody is signed out.

Examples:
  $ postern keys rotate`

function addRotate(keys: Command): void {
  keys
    .command('rotate')
    .description('let the next key sign')
    .option('--json', 'print {"kid", "signs_from"}')
    .addHelpText('after', ROTATE_HELP)
    .action(async (options: JsonOption) => (await import('./commands/keys.ts')).rotate(options))
}

const REVOKE_HELP = `
For a key that has leaked. From now on no token that it signed is believed, here or at any API that follows the feed of
revocations; others drop it within 5 minutes. When it signs, the next key does at once. Whoever had such a token gets
another one by their next refresh: nobody is signed out.

Examples:
  $ postern keys list
  $ postern keys revoke CiY1lIkmhCx06KjEdGAmGdFoQLPjptN0V5PIoErFPFs`

function addRevoke(keys: Command): void {
  keys
    .command('revoke <kid>')
    .allowUnknownOption() // one kid in 64 begins with a dash
    .description('drop a key that has leaked, at once')
    .option('--json', 'print {"kid", "signs_from"} of the key that takes over, or null')
    .addHelpText('after', REVOKE_HELP)
    .action(async (kid: string, options: JsonOption) =>
      (await import('./commands/keys.ts')).revoke(kid, options),
    )
}

const IMPORT_HELP = `
FILE has a private key for ALGORITHM, as PEM (PKCS #8) or as a JSON Web Key; - reads standard input. It is published at once,
in place of the key that waits, and signs after the next rotation.

Examples:
  $ openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt | postern keys import -`

function addImport(keys: Command): void {
  keys
    .command('import <file>')
    .description('bring a key of your own')
    .option('--json', 'print {"kid"}')
    .addHelpText('after', IMPORT_HELP)
    .action(async (file: string, options: JsonOption) =>
      (await import('./commands/keys.ts')).importFile(file, options),
    )
}
