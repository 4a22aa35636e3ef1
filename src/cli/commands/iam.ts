import type { CliContext } from '../cli-context.js'
import { checkWarehouse, type IamRole, iamPolicy } from '../iam-policy.js'
import { printJson, printNotice } from '../output.js'

interface IamFlags {
  readonly role: IamRole
  readonly data?: readonly string[]
  readonly table?: readonly string[]
}

/** `feast iam render`. */
export async function renderIam(
  context: CliContext,
  _: readonly [],
  { role, data = [], table: tables = [] }: IamFlags,
): Promise<void> {
  checkWarehouse({ data, tables })
  const config = await context.config()
  const policy = iamPolicy(role, config, { data, tables })
  printJson(policy)
  if (policy.Statement.length === 0)
    printNotice('Note: nothing in feature_store.yaml needs AWS in this role.')
  if (config.offlineStore.type === 'athena' && data.length === 0 && ['admin', 'job'].includes(role)) {
    printNotice(
      'Note: give --data s3://bucket/prefix/ for where the tables lie; without it they cannot be read.',
    )
  }
}
