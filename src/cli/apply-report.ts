import type { RecordKind } from '../core/definition.js'
import type { ApplyPlan, ObjectChange } from '../feature-store/feature-store.js'
import { emphasis, print, printNotice } from './output.js'

const WORDS = { create: 'Created', update: 'Updated', delete: 'Deleted' } as const

/** `feature view` for `featureView`. */
export function kindText(kind: RecordKind): string {
  return kind.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}

/** Prints the changes in Feast's words; what is only planned is said in the same words. */
export function printChanges(plan: ApplyPlan): void {
  for (const line of [...plan.inferred, ...plan.warnings.map((warning) => `Warning: ${warning}`)]) {
    printNotice(line)
  }
  if (plan.changes.length === 0 && plan.infra.length === 0) {
    print('No changes')
    return
  }
  for (const change of plan.changes) printChange(change)
  if (plan.changes.length === 0) print('No changes to registry')
  print()
  for (const { action, table } of plan.infra) print(`${WORDS[action]} sqlite table ${emphasis(table)}`)
  if (plan.infra.length === 0) print('No changes to infrastructure')
}

function printChange({ action, kind, name, fields }: ObjectChange): void {
  print(`${WORDS[action]} ${kindText(kind)} ${emphasis(name)}`)
  for (const { field, from, to } of fields) print(`\t${field}: ${from} -> ${to}`)
}

/** What the registry has and the repo has not, which apply leaves alone. */
export function printOrphans({ orphans }: ApplyPlan): void {
  if (orphans.length === 0) return
  printNotice('In the registry but not in this repo; `feast apply --prune` would delete:')
  for (const { kind, name } of orphans) printNotice(`  ${kindText(kind)} ${name}`)
}
