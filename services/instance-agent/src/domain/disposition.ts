import { TerminationStep_Disposition as Disposition } from '@evenfall/contracts/v1/termination';

/** What `/proc/PID/status` says of a process, the part that is used here (proc_pid_status(5)). */
export type ProcStatus = {
  /** One letter: R, S, D, T, t, Z, X. */
  readonly state: string;
  readonly peakBytes: number;
  readonly residentBytes: number;
  readonly caught: bigint;
  readonly ignored: bigint;
  readonly blocked: bigint;
  /** Signals that wait for the process or for this thread of it. */
  readonly pending: bigint;
};

export function parseProcStatus(text: string): ProcStatus {
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(text)?.[1] ?? '';
  const mask = (name: string): bigint => BigInt(`0x${field(name) || '0'}`);
  return {
    state: field('State'),
    peakBytes: Number(field('VmHWM') || 0) * 1024,
    residentBytes: Number(field('VmRSS') || 0) * 1024,
    caught: mask('SigCgt'),
    ignored: mask('SigIgn'),
    blocked: mask('SigBlk'),
    pending: mask('ShdPnd') | mask('SigPnd'),
  };
}

/** Of a process that lives where the host's kernel does not see it. */
export const OUT_OF_SIGHT = 'OUT_OF_SIGHT';
/** What neither a handler nor a mask keeps from its default action. */
const UNCATCHABLE = [9, 19];

/** Whether the thread of a status blocks a signal. */
export function blocks({ blocked }: ProcStatus, signal: number): boolean {
  return (blocked & bitOf(signal)) !== 0n;
}

/** Whether a signal is pending for the thread of a status or its process. */
export function isPending({ pending }: ProcStatus, signal: number): boolean {
  return (pending & bitOf(signal)) !== 0n;
}

function bitOf(signal: number): bigint {
  return 1n << BigInt(signal - 1);
}

/**
 * What the process would do with the signal. `reported` is the runtime's own list of signals with a listener, where it reports one: Node catches
 * SIGTERM and SIGINT for itself, so the kernel's view does not describe the function. `status.blocked` is what
 * every thread of it blocks: any other thread receives the signal. Of a process that is out of sight only listeners are known, and signals that cannot be caught.
 */
export function dispositionOf(
  signal: number,
  status: ProcStatus | typeof OUT_OF_SIGHT | undefined,
  reported: number | undefined,
): Disposition {
  if (!status) return Disposition.UNKNOWN;
  if (status === OUT_OF_SIGHT) {
    if (UNCATCHABLE.includes(signal)) return Disposition.DEFAULT;
    const isListened = reported !== undefined && (reported & (1 << (signal - 1))) !== 0;
    return isListened ? Disposition.CAUGHT : Disposition.UNKNOWN;
  }
  const bit = bitOf(signal);
  if (status.ignored & bit) return Disposition.IGNORED;
  if (status.blocked & bit) return Disposition.BLOCKED;
  if (reported !== undefined) return (reported & (1 << (signal - 1))) !== 0 ? Disposition.CAUGHT : Disposition.DEFAULT;
  if (!(status.caught & bit)) return Disposition.DEFAULT;
  return catchesEverything(status.caught) ? Disposition.UNKNOWN : Disposition.CAUGHT;
}

/** SIGURG, SIGXCPU, SIGVTALRM, SIGPROF, SIGIO and SIGPWR: no function listens to all of these, but Go's runtime catches them, with every other. */
const CAUGHT_BY_GO = [23, 24, 26, 27, 29, 30].reduce((mask, signal) => mask | (1n << BigInt(signal - 1)), 0n);

/** Whether a runtime catches signals for itself and decides then: what it would do cannot be seen from outside. */
function catchesEverything(caught: bigint): boolean {
  return (caught & CAUGHT_BY_GO) === CAUGHT_BY_GO;
}
