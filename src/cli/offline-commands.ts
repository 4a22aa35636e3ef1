import type { CommandSpec } from './command-table.js'
import { OUTPUT_OPTIONS } from './output-options.js'

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
  {
    name: 'offline logs',
    summary: 'Show what a server logged of a feature service',
    details:
      "From the service's logging destination: keys, request values, each feature with its time and status. " +
      'The result goes to the screen, to --output or to --table.',
    args: [['<service>', 'feature service']],
    options: [
      ['-s, --start-date <time>', 'served from here'],
      ['-e, --end-date <time>', 'up to here'],
      ...OUTPUT_OPTIONS,
      ['--json', 'print JSON'],
    ],
    load: async () => (await import('./commands/offline-logs.js')).offlineLogs,
  },
]
