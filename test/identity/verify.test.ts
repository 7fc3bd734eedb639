// The layer below the claims: a compact token and a key set in, the verified payload out, whatever it
// is. Here public vectors of other people's making can be run.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createKey, type SigningKey } from "../../dev/issuer.ts";
import { type KeySet, readKeyDocument } from "../../src/identity/key-set.ts";
import { verifyCompact } from "../../src/identity/verify.ts";
import { compactToken } from "../support/tokens.ts";

async function keySetOf(keys: readonly object[]): Promise<KeySet> {
  return await readKeyDocument(new TextEncoder().encode(JSON.stringify({ keys })));
}

interface Vector {
  readonly key: object;
  readonly token: string;
  readonly payload: string;
}

/** Of the RFCs, to the letter. */
const VECTORS: Record<string, Vector> = {
  "RFC 7515 A.2": {
    key: {
      kty: "RSA",
      n: "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
      e: "AQAB",
    },
    token:
      "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    payload: '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}',
  },
  "RFC 7515 A.3": {
    key: {
      kty: "EC",
      crv: "P-256",
      x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
      y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    token:
      "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    payload: '{"iss":"joe",\r\n "exp":1300819380,\r\n "http://example.com/is_root":true}',
  },
  "RFC 7520 4.1": {
    key: {
      kty: "RSA",
      kid: "bilbo.baggins@hobbiton.example",
      use: "sig",
      n: "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw",
      e: "AQAB",
    },
    token:
      "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4.MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
    payload:
      "It’s a dangerous business, Frodo, going out your door. You step onto the road, and if you don't keep your feet, there’s no knowing where you might be swept off to.",
  },
  "RFC 8037 A.4": {
    key: { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" },
    token:
      "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    payload: "Example of Ed25519 signing",
  },
};

const KEYS = {
  RS256: await createKey("RS256"),
  PS256: await createKey("PS256"),
  ES256: await createKey("ES256"),
  EdDSA: await createKey("EdDSA"),
};
const { ES256: KEY } = KEYS;

describe("verifyCompact", () => {
  it.each(Object.entries(VECTORS))("gives the payload of %s", async (_, vector) => {
    const keys = await keySetOf([vector.key]);
    const payload = await verifyCompact(vector.token, keys, { allowMissingKid: true });
    expect(new TextDecoder().decode(payload)).toBe(vector.payload);
  });

  it.each(Object.entries(VECTORS))(
    "refuses %s when any letter of it is another",
    async (_, vector) => {
      const keys = await keySetOf([vector.key]);
      for (const [index, letter] of [...vector.token].entries()) {
        const other = letter === "A" ? "B" : "A";
        const altered = vector.token.slice(0, index) + other + vector.token.slice(index + 1);
        await expect(verifyCompact(altered, keys, { allowMissingKid: true })).rejects.toThrow(
          "invalid_token",
        );
      }
    },
  );

  it.each(Object.entries(KEYS))(
    "gives any bytes that were signed with %s, and none that were signed by a stranger",
    async (algorithm, key) => {
      const keys = await keySetOf([key.publicJwk]);
      const stranger: SigningKey = { ...(await createKey(key.alg)), kid: key.kid };
      const bytes = fc.uint8Array({ maxLength: 2_000 });
      await fc.assert(
        fc.asyncProperty(bytes, async (payload) => {
          const token = await compactToken(key, payload, { alg: algorithm });
          expect(await verifyCompact(token, keys)).toEqual(new Uint8Array(payload));
          await expect(verifyCompact(await compactToken(stranger, payload), keys)).rejects.toThrow(
            "invalid_token: the signature does not fit",
          );
        }),
        { examples: [[new Uint8Array()], [new TextEncoder().encode("[]")]] },
      );
    },
  );

  const { alg: _, ...plain } = KEYS.RS256.publicJwk;
  const { alg: __, ...pss } = KEYS.PS256.publicJwk;
  const PSS = { ...pss, kid: "pss" };
  it.each<[string, object, SigningKey, object, string | null]>([
    ["its own algorithm", KEY.publicJwk, KEY, {}, null],
    ["no other than its own", KEY.publicJwk, KEY, { alg: "EdDSA" }, "not the algorithm of the key"],
    ["one that it fits, when it names none", plain, KEYS.RS256, {}, null],
    ["another that it fits, when it names none", PSS, { ...KEYS.PS256, kid: "pss" }, {}, null],
    [
      "none of another kind, when it names none",
      plain,
      KEYS.RS256,
      { alg: "ES256" },
      "not the alg",
    ],
    ["no token that names another", KEY.publicJwk, KEY, { kid: "x" }, "not one of the issuer's"],
    ["no token that names none", KEY.publicJwk, KEY, { kid: undefined }, "header kid: missing"],
  ])("takes a key for %s", async (_, published, by, header, detail) => {
    const keys = await keySetOf([published]);
    const verified = verifyCompact(await compactToken(by, "payload", { ...header }), keys);
    if (detail === null) expect(new TextDecoder().decode(await verified)).toBe("payload");
    else await expect(verified).rejects.toThrow(detail);
  });

  it("takes a token without a kid only when told to, by any of the first four keys", async () => {
    const token = await compactToken(KEY, "payload", { kid: undefined });
    const allowed = { allowMissingKid: true };
    const others = await Promise.all([1, 2, 3, 4].map(() => createKey("ES256")));
    const behind = (count: number) => [
      ...others.slice(0, count).map(({ publicJwk }) => publicJwk),
      KEYS.EdDSA.publicJwk,
      KEY.publicJwk,
    ];
    for (const count of [0, 1, 3]) {
      const keys = await keySetOf(behind(count));
      expect(await verifyCompact(token, keys, allowed)).toBeInstanceOf(Uint8Array);
      await expect(verifyCompact(token, keys)).rejects.toThrow("kid: missing");
    }
    const five = await keySetOf(behind(4));
    await expect(verifyCompact(token, five, allowed)).rejects.toThrow("more than 4 keys");
  });

  it("knows Ed25519 and EdDSA as two names of one algorithm", async () => {
    for (const [inKey, inToken] of [
      ["EdDSA", "Ed25519"],
      ["Ed25519", "EdDSA"],
      ["Ed25519", "Ed25519"],
    ]) {
      const keys = await keySetOf([{ ...KEYS.EdDSA.publicJwk, alg: inKey }]);
      const token = await compactToken(KEYS.EdDSA, "payload", { alg: inToken });
      expect(await verifyCompact(token, keys)).toBeInstanceOf(Uint8Array);
    }
  });
});
