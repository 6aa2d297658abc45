import type { Duplex } from 'node:stream';
import { signalName } from './child-status.ts';

/** Longer than any line of a launcher. */
const MAX_LINE = 4096;

/** What a launcher reports about its function; native/README.md lists the lines. */
export type LauncherEvents = {
  /** The function's process waits for its variables, with all its isolation in place. */
  onStarted(pid: number): void;
  onExited(exitCode: number | null, signal: string | null): void;
  /** A step of the start failed: which one, and the error of the kernel. */
  onFault(text: string): void;
  /** Any other line, such as a report of a launcher inside a sandbox: its first word, and the rest. */
  onOther?(what: string, value: string): void;
};

/** The agent's end of descriptor 4 of a launcher. */
export type Control = {
  /** The PID namespace's init, as this host numbers it; 0 until it is known, or without one. */
  initPid(): number;
  /** Shows a package to a function that was started ahead; answers whether it worked. */
  show(codeName: string): Promise<boolean>;
  /** Has the launcher end everything of its function. */
  end(): void;
  /** How that went: how many processes of its user were still there, after a look that found none; undefined if some are left or the launcher has ended without a report. */
  readonly gone: Promise<number | undefined>;
};

/** Reads a launcher, which is this platform's own program: its reports are trusted. Only within a sandbox could its function have got access to it. */
export function openControl(socket: Duplex, events: LauncherEvents): Control {
  let initPid = 0;
  let rest = '';
  let settle: (count: number | undefined) => void = () => undefined;
  const gone = new Promise<number | undefined>((resolve) => (settle = resolve));
  const shown: ((yes: boolean) => void)[] = [];
  const obey = (line: string): void => {
    const space = line.indexOf(' ');
    const [what, value] = space < 0 ? [line, ''] : [line.slice(0, space), line.slice(space + 1)];
    const number = Number(value);
    if (what === 'init') initPid = number;
    else if (what === 'started') events.onStarted(number);
    else if (what === 'exited') events.onExited(number, null);
    else if (what === 'killed') events.onExited(null, signalName(number));
    else if (what === 'fault') events.onFault(value);
    else if (what === 'gone') settle(number);
    else if (what === 'left') settle(undefined);
    else if (what === 'shown' || what === 'hidden') shown.shift()?.(what === 'shown');
    else events.onOther?.(what, value);
  };
  socket.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE) socket.destroy(); // that is no launcher any more
    lines.forEach(obey);
  });
  socket.on('error', () => undefined); // its close event follows
  socket.on('close', () => {
    settle(undefined);
    for (const answer of shown.splice(0)) answer(false);
  });
  return {
    initPid: () => initPid,
    show(codeName) {
      return new Promise((resolve) => {
        if (socket.destroyed) return resolve(false);
        shown.push(resolve);
        socket.write(`show ${codeName}\n`);
      });
    },
    end() {
      if (!socket.destroyed) socket.write('end\n');
    },
    gone,
  };
}
