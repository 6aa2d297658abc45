import { Command } from 'commander';
import { accessKeyFor } from './access-key.ts';
import { type AgentTokenOptions, createAgentToken, listAgentTokens, revokeAgentToken } from './commands/agent-tokens.ts';
import { createApiClient } from './api-client.ts';
import { type AuthorityOptions, initAuthority, issueCertificate, type IssueOptions } from './commands/authority.ts';
import { allDeadLetters, getDeadLetter, listDeadLetters, purgeDeadLetter, redriveDeadLetter } from './commands/dead-letters.ts';
import {
  provision,
  releaseConcurrency,
  reserveConcurrency,
  showConcurrency,
  unprovision,
  type VersionOptions,
} from './commands/concurrency.ts';
import { deploy } from './commands/deploy.ts';
import {
  countEvents,
  getEvent,
  listEvents,
  type ListOptions,
  terminateEvent,
  type TerminateOptions,
  watchEvent,
} from './commands/events.ts';
import { deleteFunction, getFunction, listFunctions, listVersions, publishFunction } from './commands/functions.ts';
import { invoke, type InvokeOptions } from './commands/invoke.ts';
import { deleteQuota, getQuota, listQuotas, type QuotaOptions, setQuota } from './commands/quotas.ts';
import { type AuditOptions, createKey, type CreateKeyOptions, listAudit, listKeys, revokeKey, rotateKey } from './commands/keys.ts';
import { type LogOptions, showLog } from './commands/logs.ts';
import { purge, type PurgeOptions } from './commands/purge.ts';
import { drainAgent, type DrainOptions, examineAgents, listAgents, listInstances } from './commands/workers.ts';
import type { Context } from './context.ts';
import { createTerminal } from './terminal.ts';

/** The world a command runs in. */
export type Surroundings = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Data folder of the repository, where a platform that was started there keeps its access key. */
  readonly ownDataDir: string;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  readonly readStdin: () => Promise<Uint8Array>;
  readonly stdinHasPayload: boolean;
  readonly stdoutIsTerminal: boolean;
};

type GlobalOptions = { readonly url: string; readonly accessKey?: string; readonly namespace: string; readonly json?: boolean };

/** Builds the command line; nothing runs before it is parsed. */
export function createProgram(world: Surroundings): Command {
  const { env } = world;
  const program = new Command('evenfall')
    .description('Runs functions asynchronously and ends them well.')
    .exitOverride()
    .configureOutput({ writeOut: world.stdout, writeErr: world.stderr })
    .showHelpAfterError('(--help lists the commands and options)')
    .option('--url <address>', 'address of the REST API (EVENFALL_URL)', env['EVENFALL_URL'] || 'http://127.0.0.1:8080')
    .option('--access-key <id:secret>', 'access key (EVENFALL_ACCESS_KEY); for this machine, by default the one in the data folder')
    .option('-n, --namespace <name>', 'namespace of the function', 'default')
    .option('--json', 'print JSON for machines');

  const run: Run =
    <A extends unknown[]>(command: (context: Context, ...args: A) => Promise<void>) =>
    async (...given: unknown[]): Promise<void> => {
      const self = given.at(-1) as Command; // commander hands over: arguments, options, command
      await command(await contextOf(self.optsWithGlobals<GlobalOptions>(), world), ...(given.slice(0, -1) as A));
    };

  program
    .command('deploy <folder>')
    .description('create or update the function that function.json in the folder describes')
    .option('--publish', 'publish it as a version', false)
    .option('--with-node-modules', 'put node_modules into the package too', false)
    .action(run(deploy));

  const ca = program.command('ca').description('certificates of services and agents, for TLS between them');
  const authorityDir = ['--dir <folder>', 'folder of the authority', '.evenfall/ca'] as const;
  ca.command('init')
    .description('make the authority')
    .option(...authorityDir)
    .action(run((context, options: AuthorityOptions) => initAuthority(context, options)));
  ca.command('issue <identity>')
    .description('issue a certificate: gateway, registry, queue, scheduler, event-store, or agent/<name>')
    .option(...authorityDir)
    .option('--out <folder>', 'folder of the certificate (default: that of the authority)')
    .option('--days <n>', 'how long it is valid', '90')
    .option(
      '--name <host>',
      'host name or address, again for each; clients look at the identity alone',
      (name: string, names: string[]) => [...names, name],
      [] as string[],
    )
    .action(run((context, identity: string, options: IssueOptions) => issueCertificate(context, identity, options)));

  const functions = program.command('functions').description('functions and their versions');
  functions
    .command('list')
    .option('--filter <text>', 'part of the name')
    .action(run((context, options: { filter?: string }) => listFunctions(context, options)));
  functions
    .command('get <function>')
    .option('--qualifier <version>')
    .action(run((context, name: string, options: { qualifier?: string }) => getFunction(context, name, options)));
  functions.command('delete <function>').action(run((context, name: string) => deleteFunction(context, name)));
  functions
    .command('publish <function>')
    .option('--description <text>')
    .action(run((context, name: string, options: { description?: string }) => publishFunction(context, name, options)));
  const concurrency = functions.command('concurrency').description('memory reserved for a function, instances kept ready of its versions');
  concurrency.command('get <function>').action(run((context, name: string) => showConcurrency(context, name)));
  concurrency
    .command('reserve <function> <megabytes>')
    .description('reserve this much memory: the function gets no more, and no other function gets any of it; 0 turns the function off')
    .action(run((context, name: string, megabytes: string) => reserveConcurrency(context, name, megabytes)));
  concurrency.command('release <function>').action(run((context, name: string) => releaseConcurrency(context, name)));
  concurrency
    .command('provision <function> <instances>')
    .description('keep so many instances of a published version ready')
    .requiredOption('--qualifier <version>')
    .action(run((context, name: string, instances: string, options: VersionOptions) => provision(context, name, instances, options)));
  concurrency
    .command('unprovision <function>')
    .requiredOption('--qualifier <version>')
    .action(run((context, name: string, options: VersionOptions) => unprovision(context, name, options)));
  functions.command('versions <function>').action(run((context, name: string) => listVersions(context, name)));

  program
    .command('invoke <function>')
    .description('call a function and wait for its answer, or hand it an event')
    .option('--payload <json>', 'the payload')
    .option('--file <path>', 'file that holds the payload; "-" is standard input')
    .option('--qualifier <version>', 'version or alias')
    .option('--async', 'hand over an event and print its id')
    .option('--delay <duration>', 'not before this has passed, e.g. 30s')
    .option('--idempotency-key <key>', 'the same key is the same event')
    .option('--wait', 'wait for the end of the event')
    .action(run((context, name: string, options: InvokeOptions) => invoke(context, name, options)));

  const events = program.command('events').description('events: look, watch, end');
  events
    .command('list <function>')
    .option('--state <state...>', 'only those in these states')
    .option('--qualifier <version>')
    .option('--limit <number>', 'at most so many, up to 100', '20')
    .option('--order <order>', 'desc or asc')
    .option('--order-by <time>', 'start_time or end_time')
    .option('--page-token <token>')
    .option('--total', 'say how many there are in all')
    .action(run((context, name: string, options: ListOptions) => listEvents(context, name, options)));
  events
    .command('count [function]')
    .description('how many are in which state; without a function, of all of the namespace')
    .action(run((context, name: string | undefined) => countEvents(context, name)));
  events.command('get <id>').action(run((context, id: string) => getEvent(context, id)));
  events
    .command('watch <id>')
    .description('every change until the end')
    .action(run((context, id: string) => watchEvent(context, id)));
  events
    .command('terminate <id>')
    .description('end an event: at once, or gracefully')
    .option('--graceful', 'ask first')
    .option('--signal <name>', 'with this signal, e.g. SIGINT')
    .option('--grace <duration>', 'and so much time, e.g. 5s')
    .option('--escalation <signal:wait>', 'then this signal and so much more time, e.g. SIGINT:2s; again for further steps', andMore)
    .option('--scope <scope>', "signal the function's process (main) or all of its group (group)")
    .option('--reason <text>', 'for the receipt')
    .option('--wait', 'wait for the end')
    .action(run((context, id: string, options: TerminateOptions) => terminateEvent(context, id, options)));

  const deadLetters = program.command('dead-letters').description('events that failed for good, or waited too long');
  deadLetters
    .command('list <function>')
    .option('--limit <number>', 'at most so many, up to 100', '20')
    .option('--page-token <token>')
    .action(run((context, name: string, options: { limit: string; pageToken?: string }) => listDeadLetters(context, name, options)));
  deadLetters.command('get <id>').action(run((context, id: string) => getDeadLetter(context, id)));
  deadLetters
    .command('redrive <id>')
    .description('a new event with its payload')
    .action(run((context, id: string) => redriveDeadLetter(context, id)));
  deadLetters.command('purge <id>').action(run((context, id: string) => purgeDeadLetter(context, id)));
  for (const what of ['redrive', 'purge'] as const)
    deadLetters
      .command(`${what}-all <function>`)
      .description(`${what} every one the function has now`)
      .action(run((context, name: string) => allDeadLetters(context, name, what)));

  program
    .command('logs <id>')
    .description('log lines of an event')
    .option('-f, --follow', 'until its end')
    .option('--attempt <number>', 'only those of this attempt')
    .option('--instance <id>', 'only those of this instance')
    .option('--grep <text>', 'only those with this text in them')
    .option('--stream <stream...>', 'only stdout, stderr, platform, or error: further lines of an error')
    .action(run((context, id: string, options: LogOptions) => showLog(context, id, options)));
  const agents = program
    .command('agents')
    .description('worker hosts')
    .action(run((context) => listAgents(context)));
  agents
    .command('drain <id>')
    .description('take nothing new there, and end what runs: it is tried again elsewhere')
    .option('--deadline <duration>', 'kill what still runs after so long')
    .option('--wait', 'wait until nothing is left there')
    .action(run((context, id: string, options: DrainOptions) => drainAgent(context, id, options)));
  agents
    .command('token')
    .description('make a token by which one agent joins, and show it, once')
    .option('--agent <id>', 'for this agent; without, its id is made when it joins')
    .option('--max-memory <megabytes>', 'the agent counts for so much at most')
    .option('--expires <duration>', 'an agent may join by it for so long, e.g. 15m; 1h by default')
    .action(run((context, options: AgentTokenOptions) => createAgentToken(context, options)));
  agents
    .command('tokens')
    .description('list such tokens')
    .action(run((context) => listAgentTokens(context)));
  agents
    .command('revoke-token <id>')
    .description('end a token; the agent that has joined by it gets no further certificate')
    .action(run((context, id: string) => revokeAgentToken(context, id)));
  program
    .command('doctor')
    .description('what worker hosts can do to keep functions apart, and records of the event log that could not be read')
    .action(run((context) => examineAgents(context)));
  program
    .command('instances')
    .description('instances')
    .option('--agent <id>')
    .action(run((context, options: { agent?: string }) => listInstances(context, options)));
  const keys = program.command('keys').description('access keys: who may do what');
  keys
    .command('create')
    .description('make a key and show its secret, once')
    .requiredOption('--role <role>', 'admin, operator, deployer, invoker or viewer')
    .option('--id <id>', 'its id; without, one is made')
    .option('--on <namespace...>', 'where it is good; "*" for all namespaces; by default the one of --namespace')
    .option('--description <text>')
    .option('--expires <duration>', 'it is good for so long, e.g. 720h')
    .option('--scf', 'it can sign requests of SCF')
    .option('--payloads', 'as viewer: it sees payloads, results, errors and logs')
    .action(run((context, options: CreateKeyOptions) => createKey(context, options)));
  keys.command('list').action(run((context) => listKeys(context)));
  keys
    .command('rotate <id>')
    .description('a new secret, shown once')
    .option('--overlap <duration>', 'the secret it has now is good for so long too, e.g. 24h')
    .action(run((context, id: string, options: { overlap?: string }) => rotateKey(context, id, options)));
  keys
    .command('revoke <id>')
    .description('end it for good')
    .action(run((context, id: string) => revokeKey(context, id)));
  addQuotas(program, run);
  program
    .command('audit')
    .description('who changed what, newest first')
    .option('--key <id>', 'only of this key')
    .option('--action <right>', 'only of this right, e.g. functions.write')
    .option('--in <namespace>', 'only in this namespace')
    .option('--subject <name>', 'only about this function, event, agent or key')
    .option('--since <time>', 'e.g. 2026-12-01T00:00:00Z')
    .option('--until <time>')
    .option('--limit <number>', 'at most so many, up to 100', '20')
    .option('--page-token <token>')
    .action(run((context, options: AuditOptions) => listAudit(context, options)));

  program
    .command('purge')
    .description('drop what is past its retention now, instead of within minutes')
    .option('--dry-run', 'drop nothing, show what would be dropped')
    .option('--at <time>', 'with --dry-run: as of this time, e.g. 2026-12-01T00:00:00Z')
    .action(run((context, options: PurgeOptions) => purge(context, options)));
  return program;
}

type Run = <A extends unknown[]>(command: (context: Context, ...args: A) => Promise<void>) => (...given: unknown[]) => Promise<void>;

function addQuotas(program: Command, run: Run): void {
  const quotas = program.command('quotas').description('how much a namespace or an access key may use; "*" is the default of all others');
  quotas
    .command('set <scope> <name>')
    .description('set all limits of a namespace or a key anew, e.g. set namespace team-a --functions 50; what is left out is not limited')
    .option('--rate <number>', 'events and calls a second, at each gateway; 0 for none')
    .option('--burst <number>', 'events that may come at once; by default those of one second')
    .option('--queued <number>', 'events that wait to start')
    .option('--functions <number>', 'functions; of a key those that it created')
    .option('--versions <number>', 'published versions of all functions; of a key those that it published')
    .option('--code-bytes <number>', 'bytes of code packages; of a key those that it uploaded')
    .option('--instances <number>', 'namespaces only: instances at the same time')
    .action(run((context, scope: string, name: string, options: QuotaOptions) => setQuota(context, scope, name, options)));
  quotas
    .command('get <scope> <name>')
    .description('the limits that hold, and what is used of them')
    .action(run((context, scope: string, name: string) => getQuota(context, scope, name)));
  quotas
    .command('list')
    .option('--keys', 'those of access keys instead of those of namespaces')
    .action(run((context, options: { keys?: boolean }) => listQuotas(context, options)));
  quotas
    .command('delete <scope> <name>')
    .description('take a quota away; the default holds then')
    .action(run((context, scope: string, name: string) => deleteQuota(context, scope, name)));
}

/** Collects an option that may be given again. */
function andMore(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

async function contextOf(options: GlobalOptions, world: Surroundings): Promise<Context> {
  const json = options.json ?? false;
  const color = !json && world.stdoutIsTerminal && !world.env['NO_COLOR'];
  return {
    api: createApiClient(options.url, options.accessKey ?? (await accessKeyFor(options.url, world))),
    terminal: createTerminal({ json, color, isTerminal: world.stdoutIsTerminal, stdout: world.stdout, stderr: world.stderr }),
    namespace: options.namespace,
    readStdin: world.readStdin,
    stdinHasPayload: world.stdinHasPayload,
  };
}
