import { readFileSync } from 'node:fs'

/** The version in this package's package.json, from the build as well as from the sources. */
export function version(): string {
  const found = import.meta.url.endsWith('.ts') ? '../../package.json' : '../../../package.json'
  return (JSON.parse(readFileSync(new URL(found, import.meta.url), 'utf8')) as { version: string }).version
}
