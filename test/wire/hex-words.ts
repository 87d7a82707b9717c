/** Bytes as hexadecimal, in groups of a word. */
export function hexWords(bytes: Uint8Array): string {
  return (
    Buffer.from(bytes)
      .toString('hex')
      .match(/.{1,8}/g) ?? []
  ).join(' ')
}
