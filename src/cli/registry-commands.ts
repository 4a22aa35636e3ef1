import type { CommandSpec } from './command-table.js'

/** `feast registry …` */
export const REGISTRY_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'registry copy',
    summary: 'Copy a registry, all projects, to another place',
    details:
      'A place is a path, an s3:// URI, a database URL (sqlite:///…, postgresql://…), or . for the registry of ' +
      'feature_store.yaml. The copy is read back and compared; the source is only read.',
    args: [
      ['<from>', 'registry to copy'],
      ['<to>', 'where to'],
    ],
    options: [
      ['--overwrite', 'replace what the target holds'],
      ['--json', 'print JSON'],
    ],
    load: async () => (await import('./commands/registry-copy.js')).registryCopy,
  },
]
