import { join } from 'node:path';
import { copyPostgresTemplate, eventually, tempDir } from '@evenfall/testkit';
import { type Cluster, type ClusterOptions, type Exit, startCluster } from '../../tools/cluster/cluster.ts';
import { environmentContains, functionPidsCarrying, isAlive, pidsWithEnvironment } from './processes.ts';
import { createRestClient, type RestClient } from './rest-client.ts';
import { headersOf, ownUserIds } from './stack.ts';

export type { ClusterProcess, Exit } from '../../tools/cluster/cluster.ts';

/** Every service as a process of its own, on ports and in a folder of a test's own. */
export type TestCluster = Cluster & {
  readonly dataDir: string;
  /** What a caller sends who has the key. */
  readonly headers: Readonly<Record<string, string>>;
  readonly rest: RestClient;
  /** The logs of all processes, as lines `name line`. */
  lines(): readonly string[];
  /** Processes that ended without a request, as `name exit`. */
  deaths(): readonly string[];
  /** Value of a metric of one process, all labels together; 0 if it has not been counted yet. */
  metric(process: string, name: string): Promise<number>;
  /** Processes of its functions that are alive. */
  functionPids(): number[];
  /** Stops what runs, checks that nothing is left, and takes the folder away. Answers how each process ended. */
  dispose(): Promise<ReadonlyMap<string, Exit>>;
};

export type TestClusterOptions = Omit<ClusterOptions, 'dataDir' | 'onLine' | 'onDeath'>;

export async function startTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  const dir = tempDir('cluster');
  const lines: string[] = [];
  const deaths: string[] = [];
  let cluster: Cluster;
  try {
    copyPostgresTemplate(join(dir.path, 'postgres'));
    cluster = await startCluster({
      ...options,
      dataDir: dir.path,
      env: { EVENFALL_LOG_LEVEL: 'warn', EVENFALL_LOG_FORMAT: 'text', ...ownUserIds(), ...options.env },
      onLine: (name, line) => void lines.push(`${name} ${line}`),
      onDeath: ({ name }, exit) => void deaths.push(`${name} ${exit}`),
    });
  } catch (error) {
    dir.remove();
    throw error;
  }
  const agents = cluster.processes.filter(({ name }) => name.startsWith('agent-'));
  // Agents of several clusters have the same names: what they run lies in the cluster's own folder.
  const functionPids = (): number[] =>
    agents.flatMap(({ name }) => functionPidsCarrying(`EVENFALL_AGENT_ID=${name}`)).filter((pid) => environmentContains(pid, dir.path));
  return {
    ...cluster,
    dataDir: dir.path,
    headers: headersOf(cluster.accessKey),
    rest: createRestClient(cluster.http, headersOf(cluster.accessKey)),
    lines: () => lines,
    deaths: () => deaths,
    async metric(process, name) {
      const text = await (await fetch(`${cluster.process(process).addresses['metrics'] ?? ''}/metrics`)).text();
      const values = [...text.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))];
      return values.reduce((sum, [, value]) => sum + Number(value), 0);
    },
    functionPids,
    async dispose() {
      const exits = await cluster.stop();
      const own = (): number[] => [
        ...cluster.processes.map(({ pid }) => pid).filter(isAlive),
        ...pidsWithEnvironment(dir.path),
        ...functionPids(),
      ];
      try {
        await eventually(() => own().length === 0, 10_000);
      } finally {
        for (const pid of own()) process.kill(pid, 'SIGKILL');
        dir.remove();
      }
      return exits;
    },
  };
}
