import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { ZipFile } from 'yazl';
import { Failure } from './failure.ts';

/** What no function needs: other tools' files, and what is made anew where it runs. */
const LEFT_OUT = new Set(['.git', '.hg', '.svn', '.DS_Store', '.venv', '__pycache__', '.pytest_cache', '.idea', '.vscode', '.evenfall']);
/** One time for all files, so that the same files make the same package. */
const SOME_TIME = new Date(Date.UTC(2000, 0, 1, 12));

export type PackageOptions = { readonly withNodeModules: boolean };

/** Zips a folder: the same files always make the same bytes. The description of the function stays out. */
export async function packageFolder(dir: string, options: PackageOptions): Promise<Buffer> {
  const files = (await filesIn(dir, '', options)).filter((path) => path !== 'function.json').sort();
  if (files.length === 0) throw new Failure(`There is nothing to deploy in ${dir}.`, 2);
  const zip = new ZipFile();
  for (const path of files) {
    const full = join(dir, path);
    const { mode } = await stat(full);
    zip.addBuffer(await readFile(full), path, { mtime: SOME_TIME, forceDosTimestamp: true, mode: mode & 0o111 ? 0o100755 : 0o100644 });
  }
  zip.end();
  return buffer(zip.outputStream);
}

async function filesIn(root: string, under: string, options: PackageOptions): Promise<string[]> {
  const entries = await readdir(join(root, under), { withFileTypes: true });
  const files: string[] = [];
  for (const entry of entries) {
    if (LEFT_OUT.has(entry.name) || entry.name.endsWith('.pyc')) continue;
    if (entry.name === 'node_modules' && !options.withNodeModules) continue;
    const path = under === '' ? entry.name : `${under}/${entry.name}`;
    if (entry.isDirectory()) files.push(...(await filesIn(root, path, options)));
    else if (entry.isFile()) files.push(path);
    else if (entry.isSymbolicLink() && entry.name !== '.bin' && !under.endsWith('.bin')) {
      throw new Failure(`${join(root, path)} is a link; a package holds files and folders only.`, 2);
    }
  }
  return files;
}
