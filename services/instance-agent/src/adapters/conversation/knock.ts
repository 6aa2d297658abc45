import { connect, type Socket } from 'node:net';
import { uidOfListener } from './peer-uid.ts';

const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 50;

/**
 * Tries to connect to a port of this host until somebody answers; hands the connection over. Returns what stops it. With a `uid`, only that
 * user counts: another instance that listens there is not the one that is meant.
 */
export function knock(port: number, uid: number | undefined, onOpen: (socket: Socket) => void): () => void {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let trying: Socket | undefined;
  const once = (pauseMs: number): void => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    trying = socket;
    const again = (): void => {
      socket.destroy();
      if (!stopped) timer = setTimeout(once, pauseMs, Math.min(pauseMs * 2, LONGEST_PAUSE_MS));
    };
    socket.once('error', again);
    socket.once('connect', () => {
      socket.off('error', again);
      trying = undefined;
      // A port of the ephemeral range can be connected to from itself while nobody listens (simultaneous open, RFC 9293 3.5).
      if (socket.localPort === port || (uid !== undefined && uidOfListener(port) !== uid)) again();
      else if (stopped) socket.destroy();
      else onOpen(socket);
    });
  };
  once(FIRST_PAUSE_MS);
  return () => {
    stopped = true;
    clearTimeout(timer);
    trying?.destroy();
  };
}
