import { buffer } from 'node:stream/consumers';
import { ZipFile } from 'yazl';

/** Zips some small text files; the same files are the same bytes. */
export async function zipOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, text] of Object.entries(files)) zip.addBuffer(Buffer.from(text), name, { mtime: new Date(2026, 0, 1) });
  zip.end();
  return buffer(zip.outputStream);
}
