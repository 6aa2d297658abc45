export { type Authority, type Issued, makeAuthority, openAuthority } from './authority.ts';
