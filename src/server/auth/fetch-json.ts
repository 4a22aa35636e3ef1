import { readFile } from 'node:fs/promises'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { rootCertificates } from 'node:tls'

export interface FetchTls {
  readonly rejectUnauthorized: boolean
  /** PEM texts in place of Node's own authorities. */
  readonly ca?: readonly string[]
}

/** Documents of identity providers have a few kilobytes. */
const MAX_BYTES = 1024 * 1024

/** The authorities of the machine and those of the file, as Feast adds them up. */
export async function fetchTls(verify: boolean, caFile: string | undefined): Promise<FetchTls> {
  if (!verify) return { rejectUnauthorized: false }
  if (!caFile) return { rejectUnauthorized: true }
  return { rejectUnauthorized: true, ca: [...rootCertificates, await readFile(caFile, 'utf8')] }
}

/** GETs a JSON object; an answer other than 200 is an error, redirects included. */
export async function fetchJson(
  url: string,
  tls: FetchTls,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const response = await get(url, tls, signal)
  const { statusCode, headers } = response
  if (statusCode !== 200) {
    response.destroy()
    const location = headers.location === undefined ? '' : ` (it leads to ${headers.location})`
    throw new Error(`${url} answered with status ${statusCode}${location}`)
  }
  const text = await textOf(response, url)
  const json = parse(text, url)
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) {
    return json as Readonly<Record<string, unknown>>
  }
  throw new Error(`${url} is not a JSON object`)
}

function get(url: string, tls: FetchTls, signal: AbortSignal): Promise<IncomingMessage> {
  const request = url.startsWith('https:') ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const headers = { accept: 'application/json', 'user-agent': 'feast-node' }
    request(url, { ...tls, ca: tls.ca && [...tls.ca], headers, signal, agent: false }, resolve)
      .once('error', reject)
      .end()
  })
}

async function textOf(response: IncomingMessage, url: string): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > MAX_BYTES) throw new Error(`${url} is longer than ${MAX_BYTES} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parse(text: string, url: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Error(`${url} is not JSON`)
  }
}
