/** `squall up`: a cluster of one machine in the foreground. */
import { usualFolder } from '../cluster/home/home.ts'
import { startOneMachine } from '../cluster/up/one-machine.ts'
import { createLogger } from '../std/log.ts'
import { inForeground } from './foreground.ts'
import type { Io } from './io.ts'
import { usualPort } from './remote.ts'
import { levelOf, pathFrom, portFrom, wholeNumber } from './settings.ts'
import { version } from './version.ts'

export interface UpFlags {
  readonly dir?: string
  readonly port?: string
  readonly host?: string
  readonly slots?: string
  readonly json?: boolean
  readonly logLevel?: string
}

export const usualSlots = 4

/** With `--json` one line on stdout once it is ready: `{"kind":"ready","url"}`. */
export async function up(flags: UpFlags, io: Io): Promise<number> {
  const log = createLogger({ level: levelOf(flags.logLevel, 'info'), json: flags.json === true, colour: io.hasColour })
  const options = {
    folder: flags.dir === undefined ? usualFolder() : pathFrom('--dir', flags.dir),
    host: flags.host ?? '127.0.0.1',
    port: portFrom(flags.port, usualPort),
    slots: wholeNumber('--slots', flags.slots, 1) ?? usualSlots,
    version: version(),
    report: (message: string) => log.info(message),
  }
  return await inForeground(io, async () => {
    const machine = await startOneMachine(options)
    const { folder } = options
    io.out(flags.json === true ? `${JSON.stringify({ kind: 'ready', url: machine.url })}\n` : `ready at ${machine.url}, in ${folder}\n`)
    return machine
  })
}
