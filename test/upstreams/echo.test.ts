// A key that a reply repeats is hidden, whatever it looks like there; nothing else is.
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { cutterOf } from "../../src/upstreams/echo.ts";

const withoutKey = (text: string, key: string): string => cutterOf(key).inText(text);

const KEY = 'Zq7!p/Wd+"k9$Lm2^Xt=rV&c0Bn-Hy_4';
const PLAIN = "wq7dk9lm2xtrvc0bnhy4zz81";

const numbered = (mark: string, digits: number): string =>
  Array.from(KEY, (one) => mark + one.charCodeAt(0).toString(16).padStart(digits, "0")).join("");
const json = JSON.stringify(KEY).slice(1, -1);

describe("a key that a reply repeats", () => {
  test.each([
    ["as it is", KEY],
    ["in capitals", KEY.toUpperCase()],
    ["as in JSON", json],
    ["as in JSON within JSON", JSON.stringify(json).slice(1, -1)],
    ["with its slashes escaped", json.replaceAll("/", "\\/")],
    ["each character escaped", numbered("\\u", 4)],
    [
      "what is no letter escaped",
      KEY.replace(/\W|_/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`),
    ],
    ["percent-encoded", encodeURIComponent(KEY)],
    ["percent-encoded whole", numbered("%", 2)],
    ["in base64", btoa(KEY)],
    ["in base64 after one character", btoa(`:${KEY}`)],
    ["in base64 after two", btoa(`u:${KEY}`)],
    ["in base64 after a user's name", btoa(`user-7:${KEY}`)],
    ["in base64url", btoa(KEY).replaceAll("+", "-").replaceAll("/", "_")],
    ["without its last four", KEY.slice(0, -4)],
    ["without its first four", KEY.slice(4)],
    ["with one character masked", `${KEY.slice(0, 14)}*${KEY.slice(15)}`],
    ["with its middle cut out", `${KEY.slice(0, 13)}…${KEY.slice(-13)}`],
  ])("%s is hidden", (_, spelled) => {
    const hidden = withoutKey(`Refused: Bearer ${spelled}, sorry.`, KEY);
    expect(hidden).toMatch(/^Refused: Bearer .*\[hidden\].*, sorry\.$/);
    for (let at = 0; at + 12 <= spelled.length; at += 1) {
      expect(hidden).not.toContain(spelled.slice(at, at + 12));
    }
  });

  it("is hidden as often as it is there, and what is around it stays", () => {
    const text = `{"a":"${PLAIN}","b":["x${PLAIN}y","${PLAIN}"],"c":"wq7dk9"}`;
    const clean = '{"a":"[hidden]","b":["x[hidden]y","[hidden]"],"c":"wq7dk9"}';
    expect(withoutKey(text, PLAIN)).toBe(clean);
  });

  it("that is short is hidden where it stands alone", () => {
    expect(withoutKey("the key k7x9 of k7x9a, (K7X9)", "k7x9")).toBe(
      "the key [hidden] of k7x9a, ([hidden])",
    );
    expect(withoutKey("the key run of run_1", "run")).toBe("the key run of run_1");
  });

  it("is hidden wherever it stands, whatever it is", () => {
    const any = fc.string({
      unit: fc.constantFrom(..."abcXYZ019-_./+=:!~ "),
      minLength: 12,
      maxLength: 300,
    });
    fc.assert(
      fc.property(
        any.map((key) => key.trim()).filter((key) => key.length >= 12),
        fc.string(),
        fc.string(),
        (key, a, b) => {
          for (const spelled of [key, btoa(key), encodeURIComponent(key)]) {
            expect(withoutKey(a + spelled + b, key)).not.toContain(spelled);
          }
        },
      ),
    );
  });

  it("takes nothing with it that is not its own", () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(withoutKey(text, KEY)).toBe(text);
      }),
    );
    const likeIt = '{"object":"response","assistant_id":"asst_1","response_format":"auto"}';
    for (const key of ["assistant-key-1", "responses-key", "response-1"]) {
      expect(withoutKey(likeIt, key)).toBe(likeIt);
    }
  });

  it("is hidden where only some of its characters are escaped, in any way and in layers", () => {
    const json = (c: string) => `\\u00${c.charCodeAt(0).toString(16)}`;
    const spellings: readonly ((c: string) => string)[] = [
      json,
      (c) => json(c).replace("\\", "\\\\"),
      (c) => `%${c.charCodeAt(0).toString(16)}`,
      (c) => `&#${c.charCodeAt(0)};`,
      (c) => `&#x${c.charCodeAt(0).toString(16)};`,
      (c) => `%26#${c.charCodeAt(0)};`,
    ];
    const some = fc.array(fc.boolean(), { minLength: KEY.length, maxLength: KEY.length });
    fc.assert(
      fc.property(some, fc.constantFrom(...spellings), (isEscaped, spell) => {
        const spelled = Array.from(KEY, (c, at) => (isEscaped[at] ? spell(c) : c)).join("");
        expect(withoutKey(`a ${spelled} b \\" %41 &amp; c`, KEY)).toBe(
          'a [hidden] b \\" %41 &amp; c',
        );
      }),
    );
  });

  it("is hidden inside the texts and names of JSON, which stays JSON", () => {
    const text = `{"a${PLAIN}":1,"b":[{"c":"x ${PLAIN}"},null,true,7],"__proto__":{"d":2}}`;
    const cut = cutterOf(PLAIN).inJson(JSON.parse(text), text);
    expect(JSON.stringify(cut)).toBe(text.replaceAll(PLAIN, "[hidden]"));
    const depth = 200_000;
    const deep = `${"[".repeat(depth)}"${PLAIN}"${"]".repeat(depth)}`;
    let one = cutterOf(PLAIN).inJson(JSON.parse(deep), deep);
    while (Array.isArray(one)) [one] = one;
    expect(one).toBe("[hidden]");
  });

  it("of JSON that does not have it nothing is touched", () => {
    const text = '{"a":"%41 & \\u0026"}';
    const value = Object.freeze(JSON.parse(text));
    expect(cutterOf(KEY).inJson(value, text)).toBe(value);
  });
});
