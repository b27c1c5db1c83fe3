import { keepCompiledCode } from '../bin/compile-cache.js'
import { requireSupportedNode } from '../bin/node-version.js'

requireSupportedNode()
keepCompiledCode()
// Only now: what follows does not even link on an older Node.
const { serve } = await import('./serve.ts')
await serve()
