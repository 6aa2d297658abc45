import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import type { Clock } from '@evenfall/time';
import type { PackageLimits } from './domain/code-package.ts';
import type { DestinationRules } from './domain/destinations.ts';

/** A code package and its digest. */
export type CodePackage = { readonly sha256: string; readonly data: Buffer };

/** Where functions are kept. Every change is one statement: it happens as a whole or not at all. */
export type FunctionStore = {
  /** Functions of all namespaces, without their versions. */
  count(): Promise<number>;
  /** One version; `latest` tells a missing version from a missing function. */
  find(
    namespace: string,
    name: string,
    version: number,
  ): Promise<{ readonly found: FunctionMessage | undefined; readonly exists: boolean }>;
  list(namespace: string, filter: string, after: string, limit: number): Promise<FunctionMessage[]>;
  /** Published versions with a number below `before`, newest first. */
  listVersions(namespace: string, name: string, before: number, limit: number): Promise<FunctionMessage[]>;
  /** Adds `$LATEST`; undefined if there is one. */
  insert(fn: FunctionMessage, code: CodePackage | undefined): Promise<FunctionMessage | undefined>;
  /** Replaces `$LATEST` if it is still of that revision; undefined if not. */
  replace(fn: FunctionMessage, code: CodePackage | undefined): Promise<FunctionMessage | undefined>;
  /** Adds `$LATEST` as the next version if it is still of that revision; undefined if not. */
  publish(fn: FunctionMessage): Promise<FunctionMessage | undefined>;
  /** Deletes all versions; whether there were any. */
  delete(namespace: string, name: string): Promise<boolean>;
  /** A piece of a package, from 0; undefined if there is no such package. */
  readCode(sha256: string, offset: number, bytes: number): Promise<Buffer | undefined>;
};

/** Tells those who watch of changes, whichever registry made them. */
export type ChangeFeed = {
  /** Changes from now on; ends when some may have been missed. */
  watch(signal: AbortSignal): AsyncIterable<{ readonly namespace: string; readonly name: string }>;
  /** Tells this process's own watchers at once; others hear through the database. */
  announce(namespace: string, name: string): void;
};

/** What every flow is given. */
export type Registry = {
  readonly store: FunctionStore;
  readonly feed: ChangeFeed;
  readonly clock: Clock;
  readonly limits: PackageLimits;
  readonly destinations: DestinationRules;
  readonly inspect: (zip: Buffer, limits: PackageLimits) => Promise<ReadonlySet<string>>;
};
