// Where the config lives in KV. Shared by the Worker that reads it and the commands that write it.

export const BASE_KEY = "c1:base";
export const TENANT_PREFIX = "c1:tenant:";
export const tenantKey = (tenant: string): string => `${TENANT_PREFIX}${tenant}`;
