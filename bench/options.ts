import { Command, InvalidArgumentError, Option } from 'commander';

/** What the command line asks for. */
export type BenchOptions = {
  readonly rounds: number;
  readonly runtime: 'nodejs' | 'python3';
  /** A data folder to use and to leave behind. Default: one that is made and removed. */
  readonly data?: string;
  /** `list` alone: how many events it reads among, one figure a pass. */
  readonly stored?: readonly number[];
  /** `cold` alone: processes kept ready of each kind. */
  readonly ready: number;
};

/** Reads `<case> [options]`. A wrong one ends the process with code 1 and a sentence, `--help` with what there is. */
export function readCommand(argv: readonly string[], cases: readonly string[]): { name: string; options: BenchOptions } {
  let chosen = '';
  const command = new Command('npm run bench --')
    .description('Runs one benchmark against a platform of its own and prints JSON lines; the last has the median.')
    .argument('<case>', `one of ${cases.join(', ')}`, (name: string) => {
      if (cases.includes(name)) return name;
      throw new InvalidArgumentError(`It is one of ${cases.join(', ')}.`);
    })
    .option('--rounds <n>', 'measured rounds, after one that warms up', countFrom(1), 5)
    .addOption(new Option('--runtime <runtime>', 'runtime of the functions').choices(['nodejs', 'python3']).default('nodejs'))
    .option('--data <dir>', 'data folder to use and to leave behind')
    .option('--stored <list>', 'list: numbers of events it reads among, such as 1000000,10000000', (text) =>
      text.split(',').map(countFrom(1)),
    )
    .option('--ready <n>', 'cold: processes kept ready of each kind', countFrom(0), 1)
    .showHelpAfterError()
    .action((name: string) => {
      chosen = name;
    });
  command.parse([...argv], { from: 'user' });
  return { name: chosen, options: command.opts<BenchOptions>() };
}

function countFrom(least: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d{1,9}$/.test(text) && count >= least) return count;
    throw new InvalidArgumentError(`It is a number from ${least} on.`);
  };
}
