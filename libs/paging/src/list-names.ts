/** What pages are pages of, in tokens of lists that two services make tokens of: the one that keeps the list, and the gateway where it leaves out what is another's. */
export const LISTS = { accessKeys: 'access keys', namespaceQuotas: 'namespace quotas', instances: 'instances' } as const;
