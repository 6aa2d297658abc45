import { buffer } from 'node:stream/consumers';
import { ZipFile } from 'yazl';

/** Zips some small files; the same files are the same bytes. Scripts with a `#!` line and programs are executable. */
export async function zipOf(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    const isProgram = bytes.subarray(0, 2).toString() === '#!' || bytes.subarray(0, 4).toString('latin1') === '\x7fELF';
    zip.addBuffer(bytes, name, { mtime: new Date(2026, 0, 1), mode: isProgram ? 0o100755 : 0o100644 });
  }
  zip.end();
  return buffer(zip.outputStream);
}
