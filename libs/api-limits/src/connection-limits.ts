import { addressKeyOf } from './address-key.ts';

/** What is looked at of a socket. */
export type LimitedSocket = {
  readonly remoteAddress?: string | undefined;
  once(event: 'close', listener: () => void): unknown;
  destroy(): unknown;
};

export type ConnectionLimits = {
  /** Counts a connection until it is closed, or closes it at once. Answers whether it may stay. */
  admit(socket: LimitedSocket): boolean;
  readonly open: number;
};

export type ConnectionBounds = { readonly total: number; readonly perAddress: number };

/** Counts connections in all and by address. `onRefused` is called for each that is refused. */
export function createConnectionLimits(bounds: ConnectionBounds, onRefused: (address: string) => void = () => undefined): ConnectionLimits {
  const byAddress = new Map<string, number>(); // no more entries than connections
  let open = 0;
  return {
    admit(socket) {
      const address = addressKeyOf(socket.remoteAddress);
      const own = byAddress.get(address) ?? 0;
      if (open >= bounds.total || own >= bounds.perAddress) {
        socket.destroy();
        onRefused(address);
        return false;
      }
      open++;
      byAddress.set(address, own + 1);
      socket.once('close', () => {
        open--;
        const left = (byAddress.get(address) ?? 1) - 1;
        if (left > 0) byAddress.set(address, left);
        else byAddress.delete(address);
      });
      return true;
    },
    get open() {
      return open;
    },
  };
}
