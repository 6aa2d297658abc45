import { crc32, deflateRawSync } from 'node:zlib';

/** An entry as a test wants it, honest or not. */
export type MadeEntry = {
  readonly name: string;
  readonly data?: string | Buffer;
  /** Unix mode, with the file's type. */
  readonly mode?: number;
  readonly flags?: number;
  readonly method?: number;
  /** What the directory says of the unpacked size; default: the truth. */
  readonly claimedSize?: number;
  readonly claimedCrc?: number;
};

/** Makes a zip file byte by byte, so that it can be wrong in every way a hostile one can. */
export function makeZip(entries: readonly MadeEntry[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = Buffer.from(entry.name);
    const data = Buffer.from(entry.data ?? '');
    const method = entry.method ?? 8;
    const packed = method === 8 ? deflateRawSync(data) : data;
    const size = entry.claimedSize ?? data.length;
    const crc = entry.claimedCrc ?? crc32(data);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE((entry.flags ?? 0) | 0x800, 2);
    common.writeUInt16LE(method, 4);
    common.writeUInt32LE(crc, 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, name, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(((entry.mode ?? 0o100644) << 16) >>> 0, 6);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02'), Buffer.from([20, 3]), common, tail, name]));
    locals.push(local);
    offset += local.length;
  }
  const listing = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(listing.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, listing, end]);
}

/** A sound package with one Python handler. */
export function pythonPackage(text = 'def main_handler(event, context):\n    return 1\n'): Buffer {
  return makeZip([{ name: 'index.py', data: text }]);
}
