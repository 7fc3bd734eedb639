// The Worker's secrets in tests. Made up; recognisable, so that a test can look for them everywhere.

export const UPSTREAM_KEYS = {
  acme: "sk-acme-canary-7f3d9b21c4",
  globex: "sk-globex-canary-e81a06d5f2",
} as const;

export const TEST_SECRETS = {
  UPSTREAM_KEY_ACME: UPSTREAM_KEYS.acme,
  UPSTREAM_KEY_GLOBEX: UPSTREAM_KEYS.globex,
  AUDIT_SUBJECT_KEY: "subject-canary-5b20",
  AUDIT_SIGNING_KEY: JSON.stringify({
    kty: "OKP",
    crv: "Ed25519",
    kid: "test-1",
    x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
  }),
} as const;
