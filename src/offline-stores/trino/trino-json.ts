/** A value of Trino's JSON; whole numbers past what a double holds come as text. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const LONG_NUMBER = /"(?:[^"\\]|\\.)*"|(?<![\w.])-?\d{16,}(?![\d.eE])/g

/** JSON.parse that loses no digit of a BIGINT. */
export function parseTrinoJson(text: string): Json {
  if (!/\d{16}/.test(text)) return JSON.parse(text) as Json
  return JSON.parse(text.replace(LONG_NUMBER, (token) => (token[0] === '"' ? token : `"${token}"`))) as Json
}
