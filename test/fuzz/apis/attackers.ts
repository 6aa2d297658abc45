import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { pick, randomOf } from '../../support/random.ts';
import { callMethods, streamCode } from './grpc.ts';
import { sendBytes } from './raw.ts';
import { callOperation, deployFunction, leaveStream, sendLines, setQuota } from './rest.ts';
import { callAction, sendForm } from './scf.ts';
import type { Attack, Target } from './target.ts';

/** What the thread of the attackers is given. */
export type Orders = { readonly target: Target; readonly seed: number; readonly seconds: number };
/** What it says: at the end, or every so often. */
export type Report = { readonly attacks: number; readonly outcomes: ReadonlyMap<string, number>; readonly isOver: boolean };

/** They come from addresses of their own: what an address may do is bounded, and the caller beside them has another. */
const ADDRESSES = Array.from({ length: 12 }, (_, i) => `127.0.1.${i + 1}`);
const ATTACKS: readonly [Attack, ...Attack[]] = [
  callOperation,
  callOperation,
  callOperation,
  deployFunction,
  leaveStream,
  sendLines,
  setQuota,
  streamCode,
  sendBytes,
  sendBytes,
  callAction,
  sendForm,
  callMethods,
  callMethods,
];
/** Some 30 attacks a second of each address at the most: what is looked for is what one request can do, not many. */
const PAUSE_MS = 30;
const SAY_EVERY_MS = 5_000;

const { target, seed, seconds } = workerData as Orders; // what the test gave
const outcomes = new Map<string, number>();
let attacks = 0;
const report = (isOver: boolean): void => parentPort?.postMessage({ attacks, outcomes, isOver } satisfies Report);

const untilMs = performance.now() + seconds * 1_000;
const timer = setInterval(() => report(false), SAY_EVERY_MS);
await Promise.all(
  ADDRESSES.map(async (address, index) => {
    const random = randomOf(seed + index);
    while (performance.now() < untilMs) {
      const outcome = await pick(random, ATTACKS)(target, random, address);
      for (const each of [outcome].flat()) outcomes.set(each, (outcomes.get(each) ?? 0) + 1);
      attacks++;
      await sleep(random() * PAUSE_MS);
    }
  }),
);
clearInterval(timer);
report(true);
