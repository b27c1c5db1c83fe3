export function isNodeSupported(version: string): boolean
export function requireSupportedNode(): void
