import { readFileSync } from 'node:fs';
import { type AddressRange, DEVICE_PREFIX } from '../../domain/subnet.ts';

/** Where this host sends packets; everywhere is 2 ** 32 addresses from 0 on. */
export type Route = AddressRange & { readonly device: string };

/** The routes of this host, but for those to instances: little-endian hexadecimal numbers (proc_pid_net(5), `route`). */
export function routes(): Route[] {
  return readFileSync('/proc/net/route', 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .flatMap(([device = '', destination = '', , , , , , mask = '']) =>
      device === '' || device.startsWith(DEVICE_PREFIX) ? [] : [{ device, first: numberOf(destination), count: 2 ** 32 - numberOf(mask) }],
    );
}

function numberOf(hex: string): number {
  return Buffer.from(hex.padStart(8, '0'), 'hex').readUInt32LE(0);
}
