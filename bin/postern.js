#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { keepCompiledCode } from './compile-cache.js'
import { requireSupportedNode } from './node-version.js'

requireSupportedNode()
keepCompiledCode()
// The packed file has `dist`; a checkout runs its sources.
const built = new URL('../dist/cli/main.js', import.meta.url)
const source = new URL('../src/cli/main.ts', import.meta.url)
const { main } = await import(existsSync(source) ? source.href : built.href)
await main(process.argv)
