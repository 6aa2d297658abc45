import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { StartFault } from '../../../domain/instance-life.ts';

/** Machines of ELF headers (elf.h, `e_machine`) by the names Node has for them. */
const MACHINES: Readonly<Record<string, number>> = { x64: 62, arm64: 183, arm: 40, ia32: 3, riscv64: 243, ppc64: 21, s390x: 22 };
const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(MACHINES).map(([name, machine]) => [machine, name]));
/** The kernel reads no more of a `#!` line (execve(2)). */
const HEAD_BYTES = 256;

const NAMES_OF_WEB = ['scf_bootstrap', 'bootstrap'];

/** The path of a package's own program, from the package's root; or why it cannot be started, in a sentence that helps. */
export function programOf(runtime: 'custom' | 'go1' | 'web', handler: string, codeDir: string): string | StartFault {
  const names = runtime === 'web' ? NAMES_OF_WEB : [runtime === 'go1' ? handler : 'bootstrap'];
  const name = names.find((each) => !each.split('/').includes('..') && isFile(join(codeDir, each)));
  if (name === undefined) {
    const message = `The code package has no ${names.map((each) => `"${each}"`).join(' and no ')}: runtime ${runtime} starts it`;
    return { statusCode: runtime === 'go1' ? 437 : 445, message };
  }
  const fault = faultOf(join(codeDir, name));
  return fault === undefined ? `./${name}` : { statusCode: 445, message: `"${name}" cannot be started: ${fault}` };
}

function faultOf(path: string): string | undefined {
  if (!mayRun(path)) return 'it is not executable (chmod 755 it before it is zipped)';
  const head = headOf(path);
  if (head.readUInt32BE(0) === 0x7f454c46) return faultOfElf(head);
  const line = /^#![ \t]*(\S+)[^\n]*(\n?)/.exec(head.toString('latin1'));
  if (!line) return 'it is neither a program for Linux nor a script that begins with "#!"';
  const interpreter = line[1] ?? '';
  if (/\r/.test(line[0])) return 'its first line ends in a carriage return: save it with Unix line ends';
  if (!mayRun(interpreter)) return `its interpreter ${interpreter} is not on this host`;
  return undefined;
}

/** Wrong bytes here are what the kernel calls ENOEXEC; a shell would try to read them as a script. */
function faultOfElf(head: Buffer): string | undefined {
  const littleEndian = head[5] === 1;
  const machine = littleEndian ? head.readUInt16LE(18) : head.readUInt16BE(18);
  const wanted = MACHINES[process.arch];
  if (wanted === undefined || machine === wanted) return undefined;
  return `it is built for ${NAMES.get(machine) ?? `machine ${machine}`}, and this host is ${process.arch}`;
}

function headOf(path: string): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  const file = openSync(path, 'r');
  try {
    readSync(file, head, 0, HEAD_BYTES, 0);
  } finally {
    closeSync(file);
  }
  return head;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function mayRun(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return isFile(path);
  } catch {
    return false;
  }
}
