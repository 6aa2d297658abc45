import { basename, join } from 'node:path';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { encodeBecome } from '../../../domain/frames.ts';
import type { ReadyKind } from '../../../domain/ready-pool.ts';
import type { InstanceNetwork, ProcessEvents, ReadyProcess } from '../../../ports.ts';
import { environmentOf } from '../launch/environment.ts';
import { hasPrivateTmp } from '../isolation/launch.ts';
import type { DriverHost } from '../launch/driver-host.ts';
import { startProcess } from '../launch/start-process.ts';

/** One that needs longer is not used: to start another is faster. */
const ANSWERS_WITHIN_MS = 500;

export type ReadySupport = {
  /** Folder of all packages. */
  readonly codeRoot: string;
};

export type ReadyOptions = {
  readonly id: string;
  /** Closed with the process, unless an instance has claimed both. */
  readonly network: InstanceNetwork;
  onUp(): void;
  onGone(): void;
};

/**
 * Starts a process of a kind through the same launch as every instance's, its runtime loaded, without a function. `onUp` reports that it waits,
 * `onGone` that it ended unclaimed. undefined if it cannot be started.
 */
export function startReady(
  host: DriverHost,
  { codeRoot }: ReadySupport,
  kind: ReadyKind,
  { id, network, onUp, onGone }: ReadyOptions,
): ReadyProcess | undefined {
  let state: 'BOOTING' | 'UP' | 'CLAIMED' | 'GONE' = 'BOOTING';
  let instance: { readonly id: string } | undefined;
  let onAnswer: ((answered: boolean) => void) | undefined;
  let listener: ProcessEvents | undefined;
  let ending: Promise<void> | undefined;
  /** What it reports before it has a listener: a warning of its interpreter belongs to the instance that it becomes. */
  const held: ((events: ProcessEvents) => void)[] = [];
  const pass = (what: (events: ProcessEvents) => void): void => {
    if (listener) what(listener);
    else held.push(what);
  };

  const fn = { ...FunctionMessage.create(), ...kind };
  const spec = { instanceId: id, fn, codeDir: codeRoot, variables: { defaults: {}, fixed: {} }, network };
  const events: ProcessEvents = {
    onChannel(chunk) {
      if (state === 'BOOTING') {
        state = 'UP';
        onUp();
        return;
      }
      pass((to) => to.onChannel(chunk));
      onAnswer?.(true);
    },
    onOutput: (stream, chunk) => pass((to) => to.onOutput(stream, chunk)),
    onExit(exitCode, signal, spawnFault) {
      const wasClaimed = state === 'CLAIMED';
      state = 'GONE';
      pass((to) => to.onExit(exitCode, signal, spawnFault));
      onAnswer?.(false);
      if (!wasClaimed) void end();
    },
  };
  const started = startProcess(host, spec, events, { becameId: () => instance?.id });
  if ('statusCode' in started) {
    network.close();
    return undefined;
  }
  const end = (): Promise<void> => {
    ending ??= (async () => {
      state = 'GONE';
      started.killGroup();
      await started.sweep();
      network.close();
      onGone();
    })();
    return ending;
  };
  return {
    kind,
    id,
    isUp: () => state === 'UP',
    end,
    async become(of, to) {
      if (state !== 'UP') return undefined;
      state = 'CLAIMED';
      instance = { id: of.instanceId };
      const temporaryDir = hasPrivateTmp(host.launch) ? '/tmp' : join(host.temporaryRoot, id);
      const variables = environmentOf({ ...of, agentId: host.agentId, home: host.temporaryRoot, temporaryDir });
      const answered = new Promise<boolean>((resolve) => {
        onAnswer = resolve;
        const late = setTimeout(() => resolve(false), ANSWERS_WITHIN_MS);
        onAnswer = (yes) => {
          clearTimeout(late);
          resolve(yes);
        };
      });
      const shown = hasPrivateTmp(host.launch) ? await Promise.race([started.show(basename(of.codeDir)), answered]) : true;
      if (shown) started.write(encodeBecome(of.codeDir, variables));
      if (!shown || !(await answered) || isGone()) {
        void end();
        return undefined;
      }
      return {
        process: started,
        network,
        begin() {
          listener = to;
          for (const what of held.splice(0)) what(to);
        },
        end,
      };
    },
  };

  /** In a function of its own, because it may have changed behind an await. */
  function isGone(): boolean {
    return state === 'GONE';
  }
}
