export { type Authority, EARLIER_MS, type Issued, makeAuthority, makeSigningRequest, openAuthority } from './authority.ts';
