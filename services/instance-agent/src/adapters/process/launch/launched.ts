import type { Duplex, Readable } from 'node:stream';
import type { InstanceProcess, ProcessEvents, ProcessSpec } from '../../../ports.ts';
import type { InstanceCgroup } from '../isolation/cgroups.ts';
import type { DriverHost } from './driver-host.ts';
import type { InnerLeader } from './inner-leader.ts';
import type { Child } from './spawn-child.ts';

/** What an instance's launcher was started with. */
export type Launched = {
  readonly host: DriverHost;
  readonly spec: ProcessSpec;
  readonly events: ProcessEvents;
  readonly child: Child;
  readonly uid: number | undefined;
  readonly cgroup: InstanceCgroup | undefined;
  /** Removed at the end. */
  readonly folder: string;
  /** Behind bubblewrap alone. */
  readonly inner: InnerLeader | undefined;
  /** Where the init of a gVisor sandbox is talked to; undefined without one. */
  readonly inside: Duplex | undefined;
  readonly channel: Duplex;
  readonly control: Duplex;
  readonly outputs: readonly (Readable | null)[];
  becameId(): string | undefined;
};

/** What can be read about an instance at any time. */
export type Described = Pick<
  InstanceProcess,
  | 'uid'
  | 'isGroupLeft'
  | 'groupEnded'
  | 'blockedByAll'
  | 'reception'
  | 'status'
  | 'residentBytes'
  | 'peakBytes'
  | 'excess'
  | 'temporary'
  | 'filesBytes'
>;
