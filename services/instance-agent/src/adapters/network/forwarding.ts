import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { AddressRange } from '../../domain/subnet.ts';
import type { ClaimNumbers } from './claim-subnet.ts';
import { findLink, readIndex, ROUTE_PROTOCOL, setForwarding } from './netlink/links.ts';
import { readAnswers } from './netlink/message.ts';
import { HOME, type NetworkServer } from './network-server.ts';

const ALL: AddressRange = { first: 0, count: 2 ** 32 };
/** An agent that ends looks whether it is the last one: another one that starts waits for that. */
const LOOKS_WITHIN_MS = 2_000;
const LOOK_MS = 20;

/** Devices of this host that pass on what comes in by them, because agents need it: the kernel requires that of the device by which answers come in as well. */
export type Forwarding = {
  /** Those that pass nothing on now. */
  missing(devices: readonly string[]): string[];
  /** Notes devices as switched on by agents, before they are. */
  note(devices: readonly string[]): void;
  /** All that agents have switched on. */
  noted(): string[];
  switchOn(devices: readonly string[]): Promise<void>;
  /** Switches off what agents have switched on, if this one is the last. */
  close(): Promise<void>;
};

/**
 * `file` is for all agents of a host and records what they have switched on, also after one was killed. `share` distinguishes this one from the others.
 */
export async function openForwarding(server: NetworkServer, file: string, share: AddressRange, hold: ClaimNumbers): Promise<Forwarding> {
  const release = await claimWithRetry(hold, share);
  const noted = (): string[] => linesOf(file);
  return {
    missing: (devices) => devices.filter((device) => !forwards(device)),
    note: (devices) => devices.length > 0 && writeFileSync(file, `${[...new Set([...noted(), ...devices])].join('\n')}\n`, { mode: 0o600 }),
    noted,
    async switchOn(devices) {
      for (const device of devices) await switchTo(server, device, true);
    },
    async close() {
      await release();
      const releaseAll = await hold('forwarding', ALL);
      if (!releaseAll) return; // another one needs them
      try {
        for (const device of noted()) await switchTo(server, device, false).catch(() => undefined); // it may have gone
        rmSync(file, { force: true });
      } finally {
        await releaseAll();
      }
    },
  };
}

async function claimWithRetry(hold: ClaimNumbers, share: AddressRange): Promise<() => Promise<void>> {
  for (let leftMs = LOOKS_WITHIN_MS; leftMs > 0; leftMs -= LOOK_MS) {
    const release = await hold('forwarding', share);
    if (release) return release;
    await pause(LOOK_MS);
  }
  throw new Error('another agent of this host holds the claim that forwarding is needed');
}

/** By its file, which looks after offloads of a device too; by netlink where files of the kernel are read-only, as in a container. */
async function switchTo(server: NetworkServer, device: string, on: boolean): Promise<void> {
  try {
    writeFileSync(fileOf(device), on ? '1' : '0');
  } catch {
    const index = readIndex(await server.netlink(HOME, ROUTE_PROTOCOL, findLink(device)));
    readAnswers(`device ${device}`, await server.netlink(HOME, ROUTE_PROTOCOL, setForwarding(index, on)));
  }
}

function forwards(device: string): boolean {
  try {
    return readFileSync(fileOf(device), 'latin1').trim() !== '0';
  } catch {
    return true; // it has gone
  }
}

function fileOf(device: string): string {
  return `/proc/sys/net/ipv4/conf/${device.replaceAll('.', '/')}/forwarding`;
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'latin1')
      .split('\n')
      .filter((line) => line !== '');
  } catch {
    return [];
  }
}
