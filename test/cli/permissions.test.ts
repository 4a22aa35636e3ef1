import { appendFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { emptyFolder, runFeast, startFeast } from './run-feast.js'

const PERMISSIONS = `
import { permission, READ } from 'feast-node'

export const readers = permission({
  name: 'readers',
  types: ['FeatureView', 'FeatureService'],
  namePatterns: ['spend.*'],
  actions: [...READ],
  policy: { roles: ['reader', 'auditor'] },
  tags: { team: 'risk' },
})
export const owners = permission({ name: 'owners', types: ['FeatureView'], policy: { groups: ['risk'] } })
`

let repo: string
beforeAll(async () => {
  const folder = emptyFolder()
  await runFeast(folder, ['init', 'demo'])
  repo = join(folder, 'demo/feature_repo')
  writeFileSync(join(repo, 'permissions.ts'), PERMISSIONS)
})

async function feast(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runFeast(repo, args)
  if (code !== 0) throw new Error(`feast ${args.join(' ')}: ${stderr}`)
  return stdout
}

describe('permissions of a feature repo', () => {
  it('are applied, and applied again without change', async () => {
    expect(await feast('apply')).toContain('Created permission readers')
    expect(await feast('apply')).toContain('No changes')
  })

  it('are listed and described', async () => {
    expect((await feast('permissions', 'list')).split('\n').map((line) => line.split(/\s{2,}/))).toEqual([
      ['NAME', 'TYPES', 'NAME_PATTERNS', 'ACTIONS', 'ROLES', 'REQUIRED_TAGS'],
      ['owners', 'FeatureView', '-', expect.stringContaining('CREATE, DESCRIBE'), '-', '-'],
      [
        'readers',
        'FeatureView, FeatureService',
        'spend.*',
        'READ_OFFLINE, READ_ONLINE',
        'auditor, reader',
        '-',
      ],
      [''],
    ])
    expect(JSON.parse(await feast('permissions', 'list', '--tags', 'team:risk', '--json'))).toHaveLength(1)
    const description = JSON.parse(await feast('permissions', 'describe', 'readers', '--json'))
    expect(description.spec).toEqual({
      name: 'readers',
      types: ['FEATURE_VIEW', 'FEATURE_SERVICE'],
      namePatterns: ['spend.*'],
      actions: ['READ_OFFLINE', 'READ_ONLINE'],
      policy: { roleBasedPolicy: { roles: ['reader', 'auditor'] } },
      tags: { team: 'risk' },
    })
  })

  it('are checked for what they leave out', async () => {
    const open = JSON.parse(await feast('permissions', 'check', '--json'))
    const byName = new Map(open.map((one: { name: string }) => [one.name, one]))
    expect(byName.get('user')).toMatchObject({ type: 'Entity', isSecured: false })
    expect(byName.has('spending')).toBe(false)
    expect(await feast('permissions', 'check')).toMatch(/NAME +TYPE\nuser +Entity\n/)
  })

  it('name their roles, and what each may do', async () => {
    expect(await feast('permissions', 'list-roles')).toBe('ROLE NAME\nauditor\nreader\n')
    const rights = await feast('permissions', 'list-roles', '--verbose')
    expect(rights).toMatch(/^reader +spending +FeatureView +READ_ONLINE, READ_OFFLINE$/m)
    expect(rights).toMatch(/^reader +user +Entity +-$/m)
  })

  it('that change are told, and the last one does not go silently', async () => {
    writeFileSync(join(repo, 'permissions.ts'), PERMISSIONS.replace("'auditor'", "'bookkeeper'"))
    expect(await feast('plan')).toMatch(/readers[\s\S]*bookkeeper/)
    rmSync(join(repo, 'permissions.ts'))
    const { stdout, stderr } = await runFeast(repo, ['apply', '--prune', '--yes'])
    expect(stdout).toContain('Deleted permission readers')
    expect(`${stdout}${stderr}`).toContain('No permission is left')
  })

  it.each([
    ["namePatterns: ['(']", /name pattern "\(" cannot be used/],
    ["types: ['View']", /"View" is no type/],
    ['actions: []', /no actions/],
    ['policy: {}', /no policy/],
  ])('with mistakes are refused: %s', async (mistake, message) => {
    const text = `import { permission } from 'feast-node'
export const p = permission({ name: 'p', policy: { roles: ['r'] }, ${mistake} } as never)`
    writeFileSync(join(repo, 'permissions.ts'), text)
    const { code, stderr } = await runFeast(repo, ['apply'])
    rmSync(join(repo, 'permissions.ts'))
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(message) })
  })
})

describe('feast serve', () => {
  const started: ReturnType<typeof startFeast>[] = []
  afterEach(() => {
    for (const child of started.splice(0)) child.kill('SIGKILL')
  })

  async function withAuth(auth: string, env: Readonly<Record<string, string>> = {}) {
    const folder = emptyFolder()
    await runFeast(folder, ['init', 'demo', '--minimal'])
    const guarded = join(folder, 'demo/feature_repo')
    appendFileSync(join(guarded, 'feature_store.yaml'), `\nauth: ${auth}\n`)
    expect((await runFeast(guarded, ['apply'], env)).code).toBe(0)
    return guarded
  }

  it('asks for the tokens of feature_store.yaml, and prints them nowhere', async () => {
    const token = 'f2d1c4a09b7e48d3'
    const env = { APP_TOKEN: token }
    const guarded = await withAuth(`{ type: token, tokens: [{ name: app, token: "\${APP_TOKEN}" }] }`, env)
    const configuration = await runFeast(guarded, ['configuration'], env)
    expect(configuration.stdout).toContain('name: app')
    expect(configuration.stdout).not.toContain(token)
    const child = startFeast(guarded, ['serve', '--port', '0'], env)
    started.push(child)
    let log = ''
    child.stderr.on('data', (text) => {
      log += text
    })
    const port = await new Promise<string>((resolve, reject) => {
      let out = ''
      child.stdout.on('data', (text) => {
        out += text
        const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(out)
        if (found) resolve(found[1]!)
      })
      child.on('exit', (code) => reject(new Error(`it ended with ${code}: ${log}`)))
    })
    const ask = async (authorization?: string) => {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization }
      const body = JSON.stringify({ features: ['nope:f'], entities: { id: [1] } })
      const url = `http://127.0.0.1:${port}/get-online-features`
      return (await fetch(url, { method: 'POST', body, headers })).status
    }
    expect([await ask(), await ask('Bearer f2d1c4a09b7e48d4'), await ask(`Bearer ${token}`)]).toEqual([
      401, 401, 404,
    ])
    expect((await fetch(`http://127.0.0.1:${port}/health`)).status).toBe(200)
    expect(log).not.toContain(token)
  })

  it.each([
    ['{ type: kubernetes }', /auth\.type: .*type oidc/],
    ['{ type: token }', /auth\.tokens/],
    ['{ type: token, tokens: [] }', /auth\.tokens: name at least one token/],
    ['{ type: token, tokens: [{ name: a, token: "" }] }', /auth\.tokens\.0\.token: .*at least 16/],
    ['{ type: token, tokens: [{ name: a, token: secret }] }', /auth\.tokens\.0\.token: .*at least 16/],
    [
      '{ type: token, tokens: [{ name: a, token: "has spaces inside it" }] }',
      /auth\.tokens\.0\.token: .*only letters/,
    ],
    [
      '{ type: token, tokens: [{ name: a, token: 0123456789abcdefx }, { name: b, token: 0123456789abcdefx }] }',
      /auth\.tokens\.1\.token: .*twice/,
    ],
    ['{ type: token, tokens: [{ name: a, token: 0123456789abcdefx, role: r }] }', /auth\.tokens\.0\.role/],
    ['{ type: oidc }', /auth\.auth_discovery_url/],
    ['{ type: oidc, auth_discovery_url: "ftp://x" }', /auth\.auth_discovery_url: .*http/],
    ['{ type: oidc, auth_discovery_url: "http://x", audience: "" }', /auth\.audience: .*empty/],
    ['{ type: oidc, auth_discovery_url: "http://x", audiense: a }', /Did you mean "audience"/],
  ])('refuses %s, while other commands go on', async (auth, message) => {
    const guarded = await withAuth(auth)
    const { code, stderr } = await runFeast(guarded, ['serve', '--port', '0'])
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringMatching(message) })
    expect(stderr).not.toContain('0123456789abcdefx')
  })
})
