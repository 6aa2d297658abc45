import type { Cluster } from 'kafkajs';
import type { Clock } from '@evenfall/time';

/** Coordinator of a group, as kafkajs' consumer uses it. */
type Coordinator = {
  joinGroup(request: object): Promise<{ readonly memberId: string; readonly generationId: number }>;
  syncGroup(request: object): Promise<unknown>;
  heartbeat(request: object): Promise<unknown>;
};
type WithCoordinator = { findGroupCoordinator(request: object): Promise<Coordinator> };

export type MembershipEvents = {
  /** The coordinator has answered: membership may be current again. */
  readonly onHeartbeat: () => void;
  /** The member has left the group: its partitions belong to another member, or will at once. */
  readonly onExpelled: () => void;
};

/** Whether a member of a group is still one, as far as it knows. kafkajs does not offer what is needed for that. */
export type Membership = {
  /** Observes the calls of a consumer to its coordinator. `cluster` is what kafkajs hands to partition assigners. */
  watch(cluster: Cluster): void;
  /** Puts the assignment of the last join in force. Returns whether it follows the one before without a gap. */
  settle(): boolean;
  /** Generation of the group in which the last assignment was made; -1 before any. */
  generation(): number;
  /** Whether this member can be sure that its partitions are still its own. */
  isCurrent(): boolean;
  /** Ends the membership. */
  end(): void;
};

const EXPELLED = ['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION'];

/**
 * Follows one member of a group. Membership is current for one session after the last call to the coordinator that was answered, counted
 * from when it was *sent*: a process that was stopped and goes on finds old answers in its sockets. It is not current while the group is
 * being joined anew, since the partitions may be assigned to others from the moment that all members have joined.
 */
export function createMembership(clock: Clock, sessionTimeoutMs: number, events: MembershipEvents): Membership {
  let lastSeenMs = -Infinity;
  let isSettled = false;
  let settled = { memberId: '', generation: -1 };
  let joined = settled;

  const expel = (): void => {
    isSettled = false;
    settled = { memberId: '', generation: settled.generation };
    events.onExpelled();
  };
  const ask = async <T>(asking: () => Promise<T>): Promise<T> => {
    const sentMs = clock.monotonic();
    try {
      const answer = await asking();
      lastSeenMs = Math.max(lastSeenMs, sentMs);
      events.onHeartbeat();
      return answer;
    } catch (error) {
      const type = error instanceof Error && 'type' in error ? String(error.type) : '';
      if (type === 'REBALANCE_IN_PROGRESS') lastSeenMs = Math.max(lastSeenMs, sentMs); // an answer too: the session goes on
      if (EXPELLED.includes(type)) expel();
      throw error;
    }
  };
  const overrides = (coordinator: Coordinator): Coordinator => ({
    async joinGroup(request) {
      isSettled = false;
      const answer = await ask(() => coordinator.joinGroup(request));
      joined = { memberId: answer.memberId, generation: answer.generationId };
      return answer;
    },
    syncGroup: (request) => ask(() => coordinator.syncGroup(request)),
    heartbeat: (request) => ask(() => coordinator.heartbeat(request)),
  });

  return {
    watch(cluster) {
      // The types do not show it; kafkajs 2.2.4 looks its coordinator up this way before every join.
      const watched = cluster as unknown as WithCoordinator;
      const find = watched.findGroupCoordinator.bind(watched);
      watched.findGroupCoordinator = async (request) => {
        const coordinator = await find(request);
        const own = overrides(coordinator);
        return new Proxy(coordinator, {
          get: (target, name) => (Object.hasOwn(own, name) ? Reflect.get(own, name) : Reflect.get(target, name)) as unknown,
        });
      };
    },
    settle() {
      const follows =
        joined.memberId === settled.memberId && (joined.generation === settled.generation || joined.generation === settled.generation + 1);
      settled = joined;
      isSettled = true;
      return follows;
    },
    generation: () => settled.generation,
    isCurrent: () => isSettled && clock.monotonic() - lastSeenMs < sessionTimeoutMs,
    end() {
      isSettled = false;
      settled = { memberId: '', generation: settled.generation };
    },
  };
}
