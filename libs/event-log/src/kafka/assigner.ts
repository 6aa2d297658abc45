import kafkajs, { type PartitionAssigner } from 'kafkajs';

/** What a member says of itself when it joins: the partitions it had, as of a generation of the group. */
export type Claim = { readonly generation: number; readonly partitions: readonly number[] };

const { AssignerProtocol } = kafkajs;
const NAME = 'evenfall-sticky';
const VERSION = 1;
const NO_CLAIM: Claim = { generation: -1, partitions: [] };

/** A partition assigner of kafkajs that shares partitions evenly and moves as few as it can. Every member claims what it had. */
export function stickyAssigner(topic: string, partitionCount: number, claim: () => Claim): PartitionAssigner {
  return () => ({
    name: NAME,
    version: VERSION,
    protocol: ({ topics }) => ({
      name: NAME,
      metadata: AssignerProtocol.MemberMetadata.encode({ version: VERSION, topics, userData: Buffer.from(JSON.stringify(claim())) }),
    }),
    async assign({ members }) {
      const claims = new Map(members.map(({ memberId, memberMetadata }) => [memberId, claimOf(memberMetadata)]));
      return [...shareOut(claims, partitionCount)].map(([memberId, partitions]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: VERSION,
          assignment: { [topic]: partitions },
          userData: Buffer.alloc(0),
        }),
      }));
    },
  });
}

/** Who gets which partitions: shares differ by one at most, and a member keeps what it claims as far as its share goes. */
export function shareOut(claims: ReadonlyMap<string, Claim>, partitionCount: number): Map<string, number[]> {
  // Of two that claim a partition the one of the later generation had it last.
  const claimants = [...claims].sort(([a, { generation: x }], [b, { generation: y }]) => y - x || (a < b ? -1 : 1));
  const ownerOf = new Map<number, string>();
  for (const [member, { partitions }] of claimants) {
    for (const partition of partitions) {
      if (partition >= 0 && partition < partitionCount && !ownerOf.has(partition)) ownerOf.set(partition, member);
    }
  }
  const shares = new Map([...claims.keys()].sort().map((member): [string, number[]] => [member, []]));
  for (const [partition, member] of [...ownerOf].sort(([a], [b]) => a - b)) shares.get(member)?.push(partition);
  // The larger shares go to those who claim most: they give up least.
  const least = Math.floor(partitionCount / shares.size);
  const larger = partitionCount % shares.size;
  const bySize = [...shares.values()].sort((a, b) => b.length - a.length);
  const kept = new Set<number>();
  bySize.forEach((share, i) => {
    share.splice(least + (i < larger ? 1 : 0));
    for (const partition of share) kept.add(partition);
  });
  const free = Array.from({ length: partitionCount }, (_, partition) => partition).filter((partition) => !kept.has(partition));
  bySize.forEach((share, i) => share.push(...free.splice(0, least + (i < larger ? 1 : 0) - share.length)));
  return shares;
}

function claimOf(metadata: Buffer): Claim {
  try {
    const decoded = AssignerProtocol.MemberMetadata.decode(metadata);
    const claim: unknown = JSON.parse(decoded?.userData.toString('utf8') ?? '');
    const { generation, partitions } = claim as Partial<Claim>; // another version may say something else
    return typeof generation === 'number' && Array.isArray(partitions) ? { generation, partitions } : NO_CLAIM;
  } catch {
    return NO_CLAIM;
  }
}
