import { setImmediate } from 'node:timers/promises';
import { isRefusal, refuse, type Refusal } from '@evenfall/errors';

/** A message of this size takes a tenth of a millisecond to decode. */
const LARGE_BYTES = 256 * 1024;

/** A large message that has come and has not been decoded. */
class Undecoded {
  readonly decode: () => unknown;
  constructor(decode: () => unknown) {
    this.decode = decode;
  }
}

/**
 * Decodes small messages as they come. grpc-js puts a large one together, has it decoded and calls the handler in one turn of the event loop, 70 ms for
 * 32 MB: such a one is decoded by {@link messageOf}, in a turn of its own. Of what has a fault the refusal comes in the place of the message.
 */
export function decoding(
  decode: (bytes: Buffer) => unknown,
  fault: ((bytes: Buffer) => Refusal | undefined) | undefined,
): (bytes: Buffer) => unknown {
  const checked = fault ? (bytes: Buffer): unknown => fault(bytes) ?? decode(bytes) : decode;
  return (bytes) => (bytes.length <= LARGE_BYTES ? checked(bytes) : new Undecoded(() => checked(bytes)));
}

/** The message that a deserializer answered. Throws its refusal, or INVALID_REQUEST for a large one that cannot be decoded. */
export async function messageOf<T>(given: T): Promise<T> {
  if (!(given instanceof Undecoded)) return passed(given);
  await setImmediate();
  const message = passed(decoded(given) as T); // of the type that the deserializer is of
  await setImmediate();
  return message;
}

function decoded({ decode }: Undecoded): unknown {
  try {
    return decode();
  } catch (error) {
    throw refuse('INVALID_REQUEST', { detail: error instanceof Error ? error.message : String(error) });
  }
}

function passed<T>(message: T): T {
  if (isRefusal(message)) throw message;
  return message;
}
