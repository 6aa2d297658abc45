const KIB = 1024;
const MIB = 1024 * KIB;

/** Of all memory, so much stays for functions that reserve nothing, whatever is reserved (SCF keeps 12,800 of 128,000 MB). */
export const UNRESERVED_SHARE = 0.1;
/** Instances of one version that may be provisioned. */
export const MOST_PROVISIONED = 10_000;

/** A code package: bytes of the zip file, bytes of all that is in it, and how many files and folders. */
export type PackageLimits = { readonly maxZipBytes: number; readonly maxUnpackedBytes: number; readonly maxEntries: number };
export const PACKAGE_LIMITS: PackageLimits = { maxZipBytes: 50 * MIB, maxUnpackedBytes: 500 * MIB, maxEntries: 20_000 };

/** What a synchronous call takes and gives, in bytes. The result of an asynchronous event is bounded by the event model. */
export const CALL_LIMITS = { payloadBytes: 6 * MIB, resultBytes: 6 * MIB } as const;

/** Memory of one instance in megabytes: the least, or a multiple of the step. */
export const MEMORY_MB = { least: 64, step: 128, most: 131_072, default: 128 } as const;

/** Megabytes of temporary files, and processes and threads, of one instance. */
export const INSTANCE_BOUNDS = {
  tmpMb: { least: 64, most: 4_096, default: 512 },
  maxProcesses: { least: 16, most: 4_096, default: 256 },
} as const;

export const RETRIES = { least: 0, most: 8, default: 2 } as const;
/** Signals of an escalation after the first. */
export const MOST_ESCALATION_STEPS = 8;

/** Lengths of texts, in characters. */
export const TEXT_LIMITS = { description: 1_000, handler: 128, webhookUrl: 2_048 } as const;
/** Names and values of all environment variables, and of all annotations, in bytes of UTF-8. */
export const ENVIRONMENT_BYTES: number = 4 * KIB;
export const ANNOTATIONS_BYTES: number = 4 * KIB;

/** What one worker host may offer and hold: memory in megabytes, starts at the same time, instances. */
export const HOST_LIMITS = { memoryMb: { least: 64, most: 16_777_216 }, parallelStarts: 256, instances: 20_000 } as const;
/** The id of an agent as an operator sets it. */
export const AGENT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
export const AGENT_ID_RULE = 'letters, digits, ".", "_" and "-", at most 63';
