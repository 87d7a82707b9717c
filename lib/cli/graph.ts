/** `squall graph FILE`: the components and what flows between them, as text, Mermaid, SVG or JSON. */
import { writeFile } from 'node:fs/promises'
import { SquallError, reasonOf } from '../errors.ts'
import { graphSvg } from '../topology/graph-svg.ts'
import { graphMermaid, graphOf, graphText } from '../topology/graph.ts'
import { exitCodes } from './exit.ts'
import type { Io } from './io.ts'
import { planOf } from './planned.ts'
import type { CommonFlags } from './settings.ts'

export interface GraphFlags extends CommonFlags {
  readonly mermaid?: boolean
  readonly svg?: string
  readonly json?: boolean
}

/** With `--json` one line: `{"kind":"graph","topology","components":[...],"edges":[...]}`, as `Graph` in lib/topology/graph.ts. */
export async function graph(file: string, { mermaid, svg, json, ...flags }: GraphFlags, io: Io): Promise<number> {
  if (svg === '') throw new SquallError('usage', { problem: 'the name of the SVG file is empty', hint: 'name a file, or - for stdout' })
  const printed = [svg === '-' ? '--svg -' : '', json === true ? '--json' : '', mermaid === true ? '--mermaid' : ''].filter(
    (flag) => flag !== '',
  )
  if (printed.length > 1)
    throw new SquallError('usage', { problem: `${printed.join(' and ')} cannot be printed at once`, hint: 'choose one' })
  const plan = await planOf(file, flags, io)
  if (svg === '-') io.out(graphSvg(plan))
  else if (svg !== undefined) await write(svg, graphSvg(plan))
  if (json === true) io.out(`${JSON.stringify({ kind: 'graph', ...graphOf(plan) })}\n`)
  else if (mermaid === true) io.out(graphMermaid(plan))
  else if (svg === undefined) io.out(graphText(plan))
  else if (svg !== '-') io.out(`${svg} written\n`)
  return exitCodes.fine
}

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text)
  } catch (error) {
    throw new SquallError('file-unwritable', { file, reason: reasonOf(error) }, {}, { cause: error })
  }
}
