import { dirname, join, resolve } from 'node:path';
import { choice, duration, integer, list, readSettings, type SettingsCheck, text } from '@evenfall/config';
import { dataDirSetting, HOST_CHECK, hostSetting, peerSettings, processSettings, TLS_CHECK } from '@evenfall/service-main/settings';

/** Settings of the instance agent. */
export const agentSettings = {
  dataDir: text({
    name: 'EVENFALL_AGENT_DATA_DIR',
    doc: 'Folder of unpacked code, temporary folders and the agent’s id, for one process alone; without it `agent` under `EVENFALL_DATA_DIR`.',
    fallback: undefined,
  }),
  agentId: text({
    name: 'EVENFALL_AGENT_NAME',
    doc: 'Id of the agent; without one it is made once and kept in the data folder.',
    fallback: undefined,
    pattern: /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    form: 'letters, digits, ".", "_" and "-", at most 63',
  }),
  capacityMb: integer({
    name: 'EVENFALL_AGENT_CAPACITY_MB',
    doc: 'Memory offered to instances; without it three quarters of the host’s.',
    fallback: undefined,
    min: 64,
    max: 16_777_216,
  }),
  parallelStarts: integer({
    name: 'EVENFALL_AGENT_PARALLEL_STARTS',
    doc: 'Instances that may start at the same time; without it two per core.',
    fallback: undefined,
    min: 1,
    max: 256,
  }),
  drainDeadlineMs: duration({
    name: 'EVENFALL_AGENT_DRAIN_DEADLINE',
    doc: 'How long running attempts have to end, each by its `drain` policy, when the agent is stopped by Ctrl-C or SIGTERM; a second signal kills them. 0s kills at once. What stops the process has to wait a little longer than this.',
    fallback: '25s',
    minMs: 0,
    maxMs: 24 * 3_600_000,
  }),
  logSpoolMb: integer({
    name: 'EVENFALL_AGENT_LOG_SPOOL_MB',
    doc: 'Log lines kept on disk while the event-store is away, in megabytes; what is more is dropped, and counted.',
    fallback: '256',
    min: 0,
    max: 1_048_576,
  }),
  sandbox: choice({
    name: 'EVENFALL_AGENT_SANDBOX',
    doc: 'How instances are kept apart: `process` (namespaces of their own, and as root a user for each), `bubblewrap` (namespaces by that program), `gvisor` (the isolation of `process`, and within it a kernel of its own for each instance, by `runsc`: for untrusted code), `none` (no boundary: code that is trusted as the agent is), or `auto`: `process`, else as an ordinary user `bubblewrap`, else `none` with a warning. Where the requested isolation does not work the agent does not start.',
    fallback: 'auto',
    choices: ['auto', 'process', 'bubblewrap', 'gvisor', 'none'],
  }),
  network: choice({
    name: 'EVENFALL_AGENT_NETWORK',
    doc: 'Network of functions: `private`, one for each instance with a way out through the host (root with CAP_SYS_ADMIN and CAP_NET_ADMIN); `none`, one for each with nothing in it but its loopback; `host`, the one of all, in which they reach each other’s ports and the host’s loopback; or `auto`: `private` where that works, else `none` with a warning, and `host` with a warning only where functions have no namespaces at all.',
    fallback: 'auto',
    choices: ['auto', 'private', 'none', 'host'],
  }),
  subnet: text({
    name: 'EVENFALL_AGENT_SUBNET',
    doc: 'Addresses for instances with a `private` network, four for each, in a range that nothing else on this network uses. Agents of one host that have the same one share it: each claims a sixteenth.',
    fallback: '10.213.0.0/16',
    pattern: /^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/,
    form: 'the first address of a private range, "/" and its bits, from 8 to 22',
  }),
  networkAllow: list({
    name: 'EVENFALL_AGENT_NETWORK_ALLOW',
    doc: 'Private ranges that functions with a `private` network may reach, such as that of a database; all others, the host itself and a cloud’s metadata are closed to them.',
    fallback: undefined,
    pattern: /^(25[0-5]|2[0-4]\d|1?\d?\d)(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}\/(3[0-2]|[12]?\d)$/,
    form: 'addresses with "/" and their bits, with "," between them',
  }),
  uids: text({
    name: 'EVENFALL_AGENT_UIDS',
    doc: 'Unused user ids, one for each instance where the agent is root. Agents of one host that have the same range share it.',
    fallback: '900000-909999',
    pattern: /^[1-9]\d{3,8}-[1-9]\d{3,8}$/,
    form: 'two numbers of at least 1000 with "-" between them, 20 ids or more',
  }),
  ready: integer({
    name: 'EVENFALL_AGENT_READY',
    doc: 'Processes that are kept ready, their runtime loaded, for each runtime (`nodejs`, `python3`) and memory size used in the last 10 minutes; at most 4 in all, in memory that instances leave free. 0 keeps none.',
    fallback: '1',
    min: 0,
    max: 4,
  }),
  codeCacheMb: integer({
    name: 'EVENFALL_AGENT_CODE_CACHE_MB',
    doc: 'Unpacked code packages that are kept, in megabytes; beyond it those that have not been used for longest go. What instances use stays.',
    fallback: '4096',
    min: 0,
    max: 16_777_216,
  }),
  pythonPath: text({
    name: 'EVENFALL_AGENT_PYTHON',
    doc: 'The python3 to run functions with; without one the first on the path.',
    fallback: undefined,
  }),
  searchPath: text({ name: 'PATH', doc: 'Where interpreters are looked for.', fallback: '/usr/local/bin:/usr/bin:/bin' }),
};

/** How an agent gets its certificate by a token. */
const joinSettings = {
  joinToken: text({
    name: 'EVENFALL_AGENT_JOIN_TOKEN',
    doc: 'Token of `evenfall agents token`: with it the agent gets a certificate from the registry at its first start, keeps it in its data folder, and has it renewed. Looked at only while there is none.',
    fallback: undefined,
    secret: true,
    pattern: /^evj_[\w-]{43}$/,
    form: 'what `evenfall agents token` shows',
  }),
  joinTokenFile: text({ name: 'EVENFALL_AGENT_JOIN_TOKEN_FILE', doc: 'File that holds the token instead.', fallback: undefined }),
  joinCa: text({
    name: 'EVENFALL_AGENT_JOIN_CA',
    doc: 'SHA-256 of the certificate of the authority, as `evenfall agents token` prints it: the token is sent to no registry with another one.',
    fallback: undefined,
    pattern: /^[0-9a-f]{64}$/,
    form: '64 hex digits',
  }),
  joinAddress: text({
    name: 'EVENFALL_AGENT_JOIN_ADDRESS',
    doc: 'Where the registry lets agents join (`EVENFALL_JOIN_PORT`).',
    fallback: '127.0.0.1:9195',
    pattern: /^(\[[0-9A-Fa-f:.]+\]|[\w.-]+):\d{1,5}$/,
    form: 'an address as "host:port"',
  }),
};

/** A token goes with the digest of the authority, and not with a certificate that was issued by hand. */
const JOIN_CHECK: SettingsCheck<typeof joinSettings & Pick<ReturnType<typeof processSettings>, 'tlsKeyFile'>> = {
  of: ['joinToken', 'joinTokenFile', 'joinCa', 'tlsKeyFile'],
  fault({ joinToken, joinTokenFile, joinCa, tlsKeyFile }) {
    if (joinToken === undefined && joinTokenFile === undefined) return undefined;
    if (joinToken !== undefined && joinTokenFile !== undefined)
      return 'EVENFALL_AGENT_JOIN_TOKEN and EVENFALL_AGENT_JOIN_TOKEN_FILE are both set; write one of them';
    if (joinCa === undefined)
      return 'EVENFALL_AGENT_JOIN_TOKEN needs EVENFALL_AGENT_JOIN_CA: the token must not be sent to an unknown server';
    return tlsKeyFile === undefined ? undefined : 'EVENFALL_AGENT_JOIN_TOKEN and EVENFALL_TLS_KEY are both set; write one of them';
  },
};

/** As for every process; an agent that joins has its certificate by then. */
const AGENT_HOST_CHECK: SettingsCheck<typeof hostSetting & typeof joinSettings & ReturnType<typeof processSettings>> = {
  of: [...HOST_CHECK.of, 'joinCa'],
  fault: (settings) => (settings.joinCa === undefined ? HOST_CHECK.fault(settings) : undefined),
};

/** Everything the agent reads as a process of its own. */
export const agentProcess = {
  dataRoot: dataDirSetting,
  ...hostSetting,
  ...processSettings('instance-agent'),
  registryAddress: peerSettings.registryAddress,
  schedulerAddress: peerSettings.schedulerAddress,
  eventStoreAddress: peerSettings.eventStoreAddress,
  ...joinSettings,
  ...agentSettings,
};

/** Folders that functions need, or that others use. */
const SHARED_FOLDERS: ReadonlySet<string> = new Set(
  ['', 'bin', 'dev', 'etc', 'home', 'lib', 'lib64', 'mnt', 'opt', 'proc', 'root', 'run', 'sbin', 'srv', 'sys', 'tmp', 'usr', 'usr/bin', 'usr/lib', 'usr/local', 'usr/local/bin', 'var', 'var/lib', 'var/tmp'].map((name) => `/${name}`), // prettier-ignore
);

/** The folder of the private key is hidden from functions, which may have the agent's user. */
const KEY_FOLDER_CHECK: SettingsCheck<typeof agentProcess> = {
  of: ['tlsKeyFile'],
  fault: ({ tlsKeyFile }) =>
    tlsKeyFile !== undefined && SHARED_FOLDERS.has(dirname(resolve(tlsKeyFile)))
      ? `EVENFALL_TLS_KEY="${tlsKeyFile}": its folder cannot be hidden from functions; put it into a folder of its own`
      : undefined,
};

/** Reads the environment, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  const settings = readSettings(agentProcess, env, [AGENT_HOST_CHECK, TLS_CHECK, KEY_FOLDER_CHECK, JOIN_CHECK]);
  const { dataRoot, tlsKeyFile } = settings;
  const dataDir = settings.dataDir ?? join(dataRoot, 'agent');
  const identityDir = join(dataDir, 'identity');
  const hidden = [dataRoot, identityDir, ...(tlsKeyFile === undefined ? [] : [dirname(tlsKeyFile)])];
  return { ...settings, dataDir, identityDir, hidden };
}
