/** The machine a measurement was made on, and what of it was used: by this process, and by others meanwhile. */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGb: number
  readonly os: string
  /** processes that ran or waited for a core in the last minute */
  readonly load: number
}

const ticksPerSecond = 100

export function describeMachine(): Machine {
  const { platform, arch } = process
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    os: `${platform} ${arch}`,
    load: Number((loadavg()[0] as number).toFixed(1)),
  }
}

/** CPU time of all threads of this process so far, in seconds. */
export function ownCpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** CPU time of all threads of a process so far, in seconds. */
export function cpuSecondsOf(pid: number): number {
  const fields = textOf(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ')
    .map(Number)
  return ((fields[11] ?? 0) + (fields[12] ?? 0)) / ticksPerSecond
}

/** What a process has resident, in megabytes. */
export function rssMbOf(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(textOf(`/proc/${pid}/status`))?.[1]
  return (Number(kilobytes ?? 0) * 1_024) / 1e6
}

/** CPU time of the whole machine so far, in seconds; 0 where it cannot be known. */
export function machineCpuSeconds(): number {
  const line = /^cpu +(.*)/.exec(textOf('/proc/stat'))?.[1]
  if (line === undefined) return 0
  const [user = 0, nice = 0, system = 0, , , irq = 0, softIrq = 0, stolen = 0] = line.split(' ').map(Number)
  return (user + nice + system + irq + softIrq + stolen) / ticksPerSecond
}

/** The most memory that this process has had resident, in megabytes. */
export function peakRssMb(): number {
  // `maxRSS` of a fresh process on Linux starts with what its parent had, so the kernel's own mark comes first
  const kilobytes = /^VmHWM:\s+(\d+) kB/m.exec(textOf('/proc/self/status'))?.[1]
  return kilobytes === undefined ? (process.resourceUsage().maxRSS * 1_024) / 1e6 : (Number(kilobytes) * 1_024) / 1e6
}

export function rssMb(): number {
  return process.memoryUsage.rss() / 1e6
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}
