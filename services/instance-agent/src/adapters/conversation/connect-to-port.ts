import type { Socket } from 'node:net';
import type { InstanceNetwork } from '../../ports.ts';

const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;

/**
 * Tries to connect to a port of an instance until a process accepts; hands the connection over. Returns what stops it. With a `uid`, only that
 * user counts: another instance that listens there is not the one that is meant.
 */
export function connectToPort(
  network: InstanceNetwork,
  port: number,
  uid: number | undefined,
  onOpen: (socket: Socket) => void,
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let breakOff: () => void = () => undefined;
  const once = (pauseMs: number): void => {
    breakOff = network.connect(port, (result) => {
      // A port of the ephemeral range can be connected to from itself while no process listens (simultaneous open, RFC 9293 3.5).
      const isIt = !(result instanceof Error) && result.localPort !== port && network.isWith(result, uid, port);
      if (isIt) return onOpen(result);
      if (!(result instanceof Error)) result.destroy();
      timer = setTimeout(once, pauseMs, Math.min(pauseMs * 2, LONGEST_PAUSE_MS));
    });
  };
  once(FIRST_PAUSE_MS);
  return () => {
    clearTimeout(timer);
    breakOff();
  };
}
