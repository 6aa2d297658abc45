export { findAccessKey, type Finder } from './find-key.ts';
export { ensureKeyFile, ensureSealingKeyFile, type KeptKey, keyFileOf, readKeyFile } from './key-file.ts';
