import type { Ability } from './ability.ts';

/** What an operator can do about what a host cannot. */
const ADVICE: Readonly<Record<string, string>> = {
  sandbox:
    'Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0), or run the agent as root; until then run only code you trust.',
  'own-users': 'Run the agent as root (in a container: with CAP_SETUID, CAP_SETGID, CAP_SETPCAP, CAP_CHOWN, CAP_KILL, CAP_DAC_OVERRIDE).',
  'private-tmp': 'Allow the agent to mount (CAP_SYS_ADMIN).',
  bubblewrap: 'Not needed: EVENFALL_AGENT_SANDBOX=process isolates as well. To use it anyway, install it.',
  gvisor: 'For untrusted code: install gVisor’s runsc, and set EVENFALL_AGENT_SANDBOX=gvisor. Not needed otherwise.',
  'own-network':
    'EVENFALL_AGENT_NETWORK=auto gives every instance a network of its own where the host allows it: root with CAP_SYS_ADMIN, or user namespaces. Until then functions reach the host’s loopback and each other’s ports.',
  'way-out':
    'Run the agent as root with CAP_NET_ADMIN. EVENFALL_AGENT_NETWORK=host gives functions the host’s network, with all that is in it.',
  'complete-end': 'Linux 5.14 or newer with cgroup v2 mounted, and a tree the agent may write to (systemd: Delegate=yes).',
  'memory-limit': 'Give the agent a writable cgroup with the memory controller (systemd: Delegate=memory pids).',
  'cpu-share': 'Give the agent a writable cgroup with the cpu controller (systemd: Delegate=cpu memory pids).',
  'process-limit': 'Give the agent a writable cgroup with the pids controller, or run it as root.',
  'ready-processes': 'Use EVENFALL_AGENT_SANDBOX=process. Instances start without them, only later.',
  python3: 'Install python3, or name one with EVENFALL_AGENT_PYTHON.',
  disk: 'Make room: code, logs that wait, and without a private /tmp the functions’ files lie here.',
};

/** The findings as text for a terminal: what is available, what is not, and what to do about it. */
export function examinationText(abilities: readonly Ability[]): string {
  const width = Math.max(...abilities.map(({ name }) => name.length));
  return abilities
    .map(({ name, available, detail }) => {
      const line = `${available ? '✓' : '✗'} ${name.padEnd(width)}  ${detail.replaceAll('\n', '; ')}`;
      const advice = available ? undefined : ADVICE[name];
      return advice === undefined ? line : `${line}\n  ${' '.repeat(width)}  → ${advice}`;
    })
    .join('\n');
}
