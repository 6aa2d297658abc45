/** Items of one page of a list: what a caller gets who does not say, and what one page holds at most. */
export const PAGE_SIZES = {
  events: { default: 20, most: 100 },
  deadLetters: { default: 20, most: 100 },
  functions: { default: 20, most: 100 },
  functionVersions: { default: 20, most: 100 },
  auditRecords: { default: 20, most: 100 },
  logLines: { default: 1_000, most: 1_000 },
  agents: { default: 1_000, most: 1_000 },
  instances: { default: 1_000, most: 1_000 },
  accessKeys: { default: 100, most: 100 },
  agentTokens: { default: 100, most: 100 },
  quotas: { default: 100, most: 100 },
  putAsideRecords: { default: 100, most: 100 },
} as const;
