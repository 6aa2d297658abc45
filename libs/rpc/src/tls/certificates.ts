import type { experimental } from '@grpc/grpc-js';

/** PEM of the trusted authorities, and of the own certificate and key. */
export type Certificates = { readonly ca: Buffer; readonly certificate: Buffer; readonly key: Buffer };

/** A server adds itself as a listener before it can use certificates. */
const soon = process.nextTick;

type Provider = experimental.CertificateProvider;

/**
 * Hands certificates to every server and channel of grpc-js that uses them, and new ones when there are. The provider of grpc-js that watches files
 * itself takes all certificates away when a file cannot be read for a moment.
 */
export function createCertificates(first: Certificates): Provider & { publish(next: Certificates): void } {
  let latest = first;
  const caListeners = new Set<Parameters<Provider['addCaCertificateListener']>[0]>();
  const identityListeners = new Set<Parameters<Provider['addIdentityCertificateListener']>[0]>();
  const caUpdate = () => ({ caCertificate: latest.ca });
  const identityUpdate = () => ({ certificate: latest.certificate, privateKey: latest.key });
  return {
    addCaCertificateListener(listener) {
      caListeners.add(listener);
      soon(() => listener(caUpdate()));
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
    addIdentityCertificateListener(listener) {
      identityListeners.add(listener);
      soon(() => listener(identityUpdate()));
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
    publish(next) {
      latest = next;
      for (const listener of caListeners) listener(caUpdate());
      for (const listener of identityListeners) listener(identityUpdate());
    },
  };
}
