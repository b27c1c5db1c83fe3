import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { renderAssurance } from './assurance/render.ts'
import { ROOT, readRequirements } from './assurance/requirements.ts'
import { findTaggedTests } from './assurance/tagged-tests.ts'

const text = renderAssurance(readRequirements(), findTaggedTests())
await writeFile(resolve(ROOT, 'docs/assurance/README.md'), text)
