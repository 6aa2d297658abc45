import type { Readable } from 'node:stream';
import { childrenOf, readStat } from '../proc-fs.ts';

/** The processes of a PID namespace as this host numbers them. bwrap itself is none of them: a signal to it would end the function without its grace. */
export type InnerLeader = {
  /** The namespace's init; 0 until it is known. Its end is the end of all. */
  initPid(): number;
  /** Its start: with the number it names init for ever; empty until it is known. */
  initStart(): string;
  /** The function's process: the first child of init; 0 until it is there. */
  leaderPid(): number;
  /** Resolves once both are there, or bwrap has gone without them. */
  readonly known: Promise<void>;
};

const LOOK_AGAIN_MS = 1;

/** Reads what bwrap writes to its `--info-fd`. */
export function innerLeader(info: Readable): InnerLeader {
  let initPid = 0;
  let initStart = '';
  let leaderPid = 0;
  let isOver = false;
  const known = new Promise<void>((resolve) => {
    let text = '';
    const look = (): void => {
      leaderPid = childrenOf(initPid)[0] ?? 0;
      // It is forked a moment after init; a namespace without one is on its way out.
      if (leaderPid === 0 && readStat(initPid) && !isOver) setTimeout(look, LOOK_AGAIN_MS);
      else resolve();
    };
    info.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    info.on('error', () => undefined); // its close event follows
    info.on('close', () => {
      initPid = Number(/"child-pid":\s*(\d+)/.exec(text)?.[1] ?? 0);
      initStart = readStat(initPid)?.startTicks ?? '';
      if (initPid === 0) resolve();
      else look();
    });
  });
  known.then(
    () => (isOver = true),
    () => undefined,
  );
  return { initPid: () => initPid, initStart: () => initStart, leaderPid: () => leaderPid, known };
}
