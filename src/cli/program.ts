import { Command, InvalidArgumentError, Option } from 'commander'
import { VERSION } from '../core/version.js'
import { type CliContext, type GlobalOptions, LOG_LEVELS } from './cli-context.js'
import { COMMANDS, type CommandSpec, GROUPS, type OptionSpec } from './command-table.js'

/** The whole command line. A command's own code is loaded when it runs. */
export function makeProgram(open: (globals: GlobalOptions) => CliContext): Command {
  const program = withHelp(new Command('feast'))
    .description('Feast feature store: define, materialize and serve features.')
    .enablePositionalOptions()
    .version(VERSION, '--version', 'print the version')
    .exitOverride()
    .option('-c, --chdir <dir>', 'feature repo to work in; also FEATURE_REPO_DIR_ENV_VAR')
    .option('-f, --feature-store-yaml <file>', 'feature_store.yaml elsewhere; also FEAST_FS_YAML_FILE_PATH')
    .addOption(
      new Option('--log-level <level>', `how much to say on stderr: ${LOG_LEVELS.join(', ')}`)
        .default('warning')
        .argParser(wordOf(LOG_LEVELS)),
    )
  const groups = new Map<string, Command>()
  for (const spec of COMMANDS) {
    const words = spec.name.split(' ')
    const parent = words.length === 1 ? program : groupIn(program, groups, words[0]!)
    addCommand(parent, words.at(-1)!, spec, () => open(program.opts<GlobalOptions>()))
  }
  return program
}

/** As in Feast, `-h` is free for `--host`. */
function withHelp(command: Command): Command {
  return command.helpOption('--help', 'show help').helpCommand(false)
}

function groupIn(program: Command, groups: Map<string, Command>, name: string): Command {
  // A command may have commands of its own beside its arguments: materialize plan.
  const known = groups.get(name) ?? program.commands.find((command) => command.name() === name)
  if (known) return known.enablePositionalOptions()
  const group = withHelp(program.command(name)).description(GROUPS[name]!)
  groups.set(name, group)
  return group
}

function addCommand(parent: Command, name: string, spec: CommandSpec, open: () => CliContext): void {
  const command = withHelp(parent.command(name))
    .summary(spec.summary)
    .description([spec.summary, spec.details].filter(Boolean).join('\n\n'))
  for (const [text, description] of spec.args ?? []) command.argument(text, description)
  for (const option of spec.options ?? []) command.addOption(optionOf(option))
  command.action(async () => {
    const run = await spec.load()
    await run(open(), command.processedArgs as never, command.opts() as never)
  })
}

function optionOf([flags, description, { fallback, words, many, read } = {}]: OptionSpec): Option {
  const option = new Option(flags, words ? `${description}: ${words.join(', ')}` : description)
  if (fallback !== undefined) option.default(fallback)
  if (words) option.argParser(wordOf(words))
  if (read) option.argParser((text) => readOrExplain(read, text))
  if (many) option.argParser((text, all: readonly string[] = []) => [...all, text])
  return option
}

function readOrExplain(read: (text: string) => unknown, text: string): unknown {
  try {
    return read(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

/** One of a few words, whatever its case. */
function wordOf(words: readonly string[]): (text: string) => string {
  return (text) => {
    const word = words.find((known) => known === text.toLowerCase())
    if (word !== undefined) return word
    throw new InvalidArgumentError(`Choose from ${words.join(', ')}.`)
  }
}
