/**
 * The manifest as it is packed: without `prepare`, which builds a checkout and could not run from the package (npm warns of it).
 * An installation from a git URL is not packed by this and builds as before.
 *
 *     node scripts/packed.js             before packing (`prepack`)
 *     node scripts/packed.js --restore   after it (`postpack`)
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'

const manifest = 'package.json'
/** the manifest as it was; one that is still there is of a packing that was broken off */
const kept = 'dist/.package.json'

if (existsSync(kept)) renameSync(kept, manifest)
if (!argv.includes('--restore')) {
  const text = readFileSync(manifest, 'utf8')
  const packed = JSON.parse(text)
  delete packed.scripts.prepare
  mkdirSync('dist', { recursive: true })
  writeFileSync(kept, text)
  writeFileSync(manifest, `${JSON.stringify(packed, undefined, 2)}\n`)
}
