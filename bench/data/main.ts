/** `npm run data`: writes the made-up data of the example topologies anew. The same each time: a test compares it with what is there. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { madeUp } from './made-up.ts'

const folder = join(import.meta.dirname, '../../../topologies/data')
for (const [name, lines] of Object.entries(madeUp())) {
  writeFileSync(join(folder, name), `${lines.join('\n')}\n`)
  console.log(`${name}: ${lines.length} lines`)
}
