import type { StartInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { timeoutMsOf } from '@evenfall/function-model';
import { lineSplitter } from '../domain/line-splitter.ts';
import type { Instance } from './types.ts';

/** The grant of a scheduler of an earlier release, which sends none. */
export const NO_GRANT = Buffer.alloc(0);

/** An instance whose start has been requested; nothing of it exists yet. */
export function newInstance(request: StartInstance, fn: FunctionMessage, nowMs: number): Instance {
  const { instanceId, ahead, grant, packageGrant } = request;
  return {
    id: instanceId,
    fn,
    timeoutMs: timeoutMsOf(fn),
    isAhead: ahead,
    grant,
    packageGrant: packageGrant ?? NO_GRANT,
    life: { kind: 'STARTING' },
    hasBeenReady: false,
    sweptCount: 0,
    start: { requestMs: nowMs, pulledMs: 0, spawnMs: 0, greetMs: 0, isLoaded: false, coldStart: undefined },
    runtime: { network: undefined, conversation: undefined, process: undefined, exit: undefined, handlers: undefined },
    work: {
      current: undefined,
      failed: undefined,
      waiting: [],
      isFree: true,
      isReportedBusy: false,
      hasBegunOne: false,
      callSeq: 0,
    },
    output: {
      splitters: { stdout: lineSplitter(), stderr: lineSplitter() },
      idleLines: [],
      idleBytes: 0,
      isIdleCut: false,
      lastTurn: -1,
      isHeapFull: false,
    },
    hooks: { running: undefined, preStopMs: undefined },
    memory: { peakBytes: 0, readMs: Number.NEGATIVE_INFINITY },
    deadline: { dueMs: Number.POSITIVE_INFINITY, queuedMs: Number.POSITIVE_INFINITY },
  };
}
