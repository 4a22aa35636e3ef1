import type { CommandSpec } from './command-table.js'

/** `feast offline …`, besides append. */
export const OFFLINE_COMMANDS: readonly CommandSpec[] = [
  {
    name: 'offline clean',
    summary: 'Remove what processes that died left in the offline store',
    details:
      'Tables and folders of requests that began more than a day ago. Requests tidy up after themselves; this is for ' +
      'those that were killed.',
    options: [['--json', 'print JSON']],
    load: async () => (await import('./commands/offline-clean.js')).offlineClean,
  },
]
