/** A call into native code costs more than a loop over this many characters. */
const SHORT = 40

/** Bytes of the text as UTF-8. */
export function textBytes(text: string): number {
  if (text.length > SHORT) return Buffer.byteLength(text)
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return Buffer.byteLength(text)
  return text.length
}

/** Writes the text as UTF-8. @param bytes what `textBytes` said @returns where it ends */
export function writeText(out: Buffer, at: number, text: string, bytes: number): number {
  if (bytes > SHORT || bytes !== text.length) return at + out.write(text, at, 'utf8')
  // As many bytes as characters: it is ASCII.
  for (let i = 0; i < bytes; i++) out[at + i] = text.charCodeAt(i)
  return at + bytes
}
