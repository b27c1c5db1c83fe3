// Plain JavaScript that any Node can read: it is what tells people that theirs is too old.

/** @param {string} version as in `process.versions.node` */
export function isNodeSupported(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major >= 26 || (major === 24 && minor >= 16)
}

/** Ends the process with one line when this Node cannot run Postern. */
export function requireSupportedNode() {
  if (isNodeSupported(process.versions.node)) return
  process.stderr.write(
    `Postern needs Node.js 24.16 or later in the 24 line, or 26 and later; this is ${process.versions.node}.\n`,
  )
  process.exit(1)
}
