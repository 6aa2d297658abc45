import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { SignalScope, TerminationStep_Delivery as Delivery } from '@evenfall/contracts/v1/termination';
import { type LauncherEvents, openControl } from './launcher-channel.ts';

/** Nothing is ended before: a sandbox whose processes fork all the time does not answer in any time, and one that has few does in some milliseconds. */
const COUNT_WITHIN_MS = 100;
const DELIVERIES: Readonly<Record<string, Delivery>> = { sent: Delivery.DELIVERED, denied: Delivery.DENIED, unsent: Delivery.NO_PROCESS };

/** The agent's end of the messages with a launcher that is the init of a gVisor sandbox: what this host's kernel does not know of its processes. */
export type GvisorChannel = {
  /** Whether the function's process was there. */
  hasStarted(): boolean;
  /** Sends a signal in the sandbox; a stopped process is continued first. UNSPECIFIED if the sandbox ends before it reports whether it did. */
  signal(signal: number, scope: SignalScope): Promise<Delivery>;
  /** Whether processes of the function's group have outlived it. */
  isGroupLeft(): boolean;
  /** Resolves when none is left, or the sandbox has ended. */
  readonly groupEnded: Promise<void>;
  /** Processes beside the function's own; 0 if there is no answer within 100 ms: a sandbox that is suspended, or has ended. */
  countOthers(): Promise<number>;
};

/** `onExited` reports the end of the function's process once it is known whether its group is left. */
export function openGvisorChannel(socket: Duplex, events: Omit<LauncherEvents, 'onStarted' | 'onOther'>): GvisorChannel {
  let hasStarted = false;
  let isGroupLeft = false;
  let exit: (() => void) | undefined;
  let endGroup: () => void = () => undefined;
  const groupEnded = new Promise<void>((resolve) => (endGroup = resolve));
  const sent: ((delivery: Delivery) => void)[] = [];
  const counts: ((count: number) => void)[] = [];
  const over = (isLeft: boolean): void => {
    isGroupLeft = isLeft;
    if (!isLeft) endGroup();
    exit?.();
    exit = undefined;
  };
  openControl(socket, {
    onStarted: () => void (hasStarted = true),
    onExited: (code, signal) => void (exit = () => events.onExited(code, signal)),
    onFault: (text) => events.onFault(text),
    onOther(what, value) {
      const delivery = DELIVERIES[what];
      if (delivery !== undefined) sent.shift()?.(delivery);
      else if (what === 'others') counts.shift()?.(Number(value));
      else if (what === 'grouped' || what === 'ungrouped') over(what === 'grouped');
    },
  });
  socket.on('close', () => {
    over(false);
    for (const answer of sent.splice(0)) answer(Delivery.UNSPECIFIED);
    for (const answer of counts.splice(0)) answer(0);
  });
  const ask = <T>(waiting: ((answer: T) => void)[], line: string, otherwise: T): Promise<T> =>
    new Promise((resolve) => {
      if (socket.destroyed) return resolve(otherwise);
      waiting.push(resolve);
      socket.write(`${line}\n`);
    });
  return {
    hasStarted: () => hasStarted,
    signal: (signal, scope) => ask(sent, `signal ${signal} ${scope === SignalScope.GROUP ? 'group' : 'leader'}`, Delivery.NO_PROCESS),
    isGroupLeft: () => isGroupLeft,
    groupEnded,
    countOthers: () => (hasStarted ? Promise.race([ask(counts, 'others', 0), pause(COUNT_WITHIN_MS, 0)]) : Promise.resolve(0)),
  };
}
