/** What may go wrong a thousand times a second is told as often as somebody wants to read it. */

/** Hands on each message once in `everyMs` (a minute), and in that time no more than `differentMax` (20) different ones. */
export function sparingly(report: (message: string) => void, everyMs = 60_000, differentMax = 20): (message: string) => void {
  const said = new Set<string>()
  return (message) => {
    if (said.has(message) || said.size >= differentMax) return
    said.add(message)
    setTimeout(() => said.delete(message), everyMs).unref()
    report(message)
  }
}
