/** `squall state list|get|dump TOPOLOGY`: what a topology keeps in its state directory, also while nothing runs. */
import { viewCommittedState } from '../batch/run/committed-state.ts'
import type { StateView } from '../batch/state/inspect.ts'
import { SquallError } from '../errors.ts'
import { jsonText } from '../std/words.ts'
import { exitCodes } from './exit.ts'
import type { Io } from './io.ts'

export interface StateFlags {
  readonly stateDir?: string
  readonly json?: boolean
}

const linesPerWrite = 10_000

/** With `--json` one line: `{"kind":"state","topology","txid","store","tasks","keyGroups","sizeBytes","operators":[{"operator","keys"}]}`. */
export function stateList(topology: string, flags: StateFlags, io: Io): Promise<number> {
  return withView(topology, flags, ({ manifest: { store, tasks, keyGroups }, txid, sizeBytes, operators }) => {
    if (flags.json === true) {
      io.out(`${JSON.stringify({ kind: 'state', topology, txid: txid ?? null, store, tasks, keyGroups, sizeBytes, operators })}\n`)
      return
    }
    const width = Math.max('operator'.length, ...operators.map(({ operator }) => operator.length))
    const at = txid === undefined ? 'no batch yet' : `batch ${txid}`
    io.out(`${topology}: ${at}, store ${store}, ${tasks} ${tasks === 1 ? 'task' : 'tasks'}, ${keyGroups} key groups, ${sizeBytes} bytes\n`)
    io.out(`${'operator'.padEnd(width)}  keys\n`)
    for (const { operator, keys } of operators) io.out(`${operator.padEnd(width)}  ${keys}\n`)
  })
}

/** The value of one key. With `--json` one line: `{"key","value"}`. */
export function stateGet(topology: string, operator: string, text: string, flags: StateFlags, io: Io): Promise<number> {
  return withView(topology, flags, (view) => {
    checkOperator(view, operator)
    const key = [text, jsonOf(text)].find((one) => one !== undefined && view.get(operator, one) !== undefined)
    if (key === undefined)
      throw new SquallError('state-missing', {
        what: `the state ${operator} has no key ${text}`,
        hint: `list what there is with: squall state dump ${topology} ${operator} --state-dir ${flags.stateDir}; a key that is not text is given as JSON`,
      })
    const value = view.get(operator, key)
    io.out(flags.json === true ? `${jsonText({ key, value })}\n` : `${lineText(value)}\n`)
  })
}

/** `key<TAB>value` in the order of the keys; of all operators, with the operator first, when none is named. With `--json` a line each: `{"operator","key","value"}`. */
export function stateDump(topology: string, operator: string | undefined, flags: StateFlags, io: Io): Promise<number> {
  return withView(topology, flags, (view) => {
    if (operator !== undefined) checkOperator(view, operator)
    for (const of of operator === undefined ? view.operators.map(({ operator: one }) => one) : [operator]) {
      const entries = [...view.entries(of)].map(([key, value]) => ({ text: typeof key === 'string' ? key : jsonText(key), key, value }))
      entries.sort((a, b) => (a.text < b.text ? -1 : 1))
      const lines = entries.map(({ text, key, value }) =>
        flags.json === true
          ? `${jsonText({ operator: of, key, value })}\n`
          : `${operator === undefined ? `${of}\t` : ''}${lineText(text)}\t${lineText(value)}\n`,
      )
      for (let i = 0; i < lines.length; i += linesPerWrite) io.out(lines.slice(i, i + linesPerWrite).join(''))
    }
  })
}

async function withView(topology: string, { stateDir }: StateFlags, show: (view: StateView) => void): Promise<number> {
  if (stateDir === undefined || stateDir === '')
    throw new SquallError('usage', { problem: 'no state directory given', hint: 'add --state-dir DIR, as when the topology ran' })
  const view = await viewCommittedState(stateDir, topology)
  try {
    show(view)
  } finally {
    await view.close()
  }
  return exitCodes.fine
}

function checkOperator(view: StateView, operator: string): void {
  const known = view.operators.map((one) => one.operator)
  if (known.includes(operator)) return
  throw new SquallError('state-missing', {
    what: `there is no state ${operator}`,
    hint: `the topology keeps: ${known.join(', ') || 'nothing'}`,
  })
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

/** Text is itself, unless it would break the line; anything else is JSON. */
function lineText(value: unknown): string {
  // eslint-disable-next-line no-control-regex -- control characters are what would break the line
  return typeof value === 'string' && !/[\0-\x1f\x7f]/.test(value) ? value : jsonText(value)
}
