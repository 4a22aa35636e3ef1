/**
 * A name as a part of a file's name, which has 255 bytes: letters of all scripts stay as they are, since a `%` for
 * each of their bytes makes three of one. `decodeURIComponent` gives it back.
 */
export function namePart(name: string): string {
  return name.replace(/[^\p{L}\p{M}\p{N}._~-]/gu, encodeURIComponent)
}
