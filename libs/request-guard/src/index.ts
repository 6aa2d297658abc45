export { createGuard, type Guard, type RequestHead } from './guard.ts';
export { HOST_NAME } from './hosts.ts';
export { PAGE_HEADERS, SECURITY_HEADERS } from './security-headers.ts';
