// J13, J14, J17 and J31-J33: the token as it is written, from its letters to its size and depth.
import { base64url } from "../../support/tokens.ts";
import {
  accepted,
  claims,
  claimsOf,
  each,
  type Forge,
  goodToken,
  header,
  headerText,
  type Maker,
  type Presented,
  payload,
  type Row,
  rejoined,
  replied,
  respelled,
  signatureOf,
} from "./forge.ts";

/** What HTTP would refuse to carry, or change on its way. */
const unsendable = (spell: (token: string) => string): Maker =>
  respelled((token) => ({ unsendable: spell(token) }));

/** The JSON forms, whose commas alone make two credentials of them (J34), and the reader by itself. */
const asJson = (write: (head: string, body: string, signature: string) => string) => ({
  sent: replied("invalid_request", rejoined(write)),
  read: rejoined((...parts) => ({ unsendable: write(parts[0], parts[1], parts[2]) })),
});

const flattened = asJson((head, body, signature) =>
  JSON.stringify({ payload: body, protected: head, signature }),
);
const general = asJson((head, body, signature) =>
  JSON.stringify({ payload: body, signatures: [{ protected: head, signature }] }),
);
const polyglot = asJson(
  (head, body, signature) =>
    `{"${head}.e30.":"","protected":"${head}","payload":"${body}","signature":"${signature}"}`,
);

export const J13: Row = {
  id: "J13",
  attack: "a token in one of the JSON forms, or in two forms at once",
  reply: "invalid_token",
  variants: {
    "flattened JSON": flattened.sent,
    "flattened JSON, as the reader sees it": flattened.read,
    "general JSON": general.sent,
    "general JSON, as the reader sees it": general.read,
    "both forms in one text": polyglot.sent,
    "both forms in one text, as the reader sees it": polyglot.read,
    "JSON of one member": rejoined((_, body) => JSON.stringify({ payload: body })),
    "JSON whose only name is a token": respelled((token) => `{"${token}":""}`),
    "JSON in three parts": rejoined(
      (head, body, signature) => `{"${head}.${body}.":"${signature}"}`,
    ),
    "a JSON text": respelled((token) => JSON.stringify(token)),
    "a JSON list": respelled((token) => JSON.stringify([token])),
    "JSON in base64url": rejoined((head, body, signature) =>
      base64url({ payload: body, protected: head, signature }),
    ),
    "a good token in braces": respelled((token) => `{${token}}`),
  },
};

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/** A letter with one of the bits set that its place does not use. */
const twinOf = (letter: string): string => ALPHABET[ALPHABET.indexOf(letter) ^ 1] ?? "";

/** A spare bit set in the last letter of a part. */
const spareBit = (part: string): string => part.slice(0, -1) + twinOf(part.slice(-1));

const middle = (token: string, text: string): string =>
  `${token.slice(0, 20)}${text}${token.slice(20)}`;

/** Header and payload are signed as they are spelled here; a signature's spelling nobody signs. */
const inParts = (name: string, spell: (part: string) => string): Record<string, Maker> => ({
  [`${name} in the header`]: async (forge) => {
    const [head, body] = halves(forge);
    const input = `${spell(head)}.${body}`;
    return `${input}.${await signatureOf(forge.key, input)}`;
  },
  [`${name} in the payload`]: async (forge) => {
    const [head, body] = halves(forge);
    const input = `${head}.${spell(body)}`;
    return `${input}.${await signatureOf(forge.key, input)}`;
  },
  [`${name} in the signature`]: rejoined(
    (head, body, signature) => `${head}.${body}.${spell(signature)}`,
  ),
});

/** Header and payload, each of a length that leaves bits of its last letter unused. */
function halves(forge: Forge): readonly [head: string, body: string] {
  const { alg, kid } = forge.key;
  return [
    uneven((x) => base64url({ alg, kid, typ: "at+jwt", x })),
    uneven((x) => base64url(claimsOf(forge, { x }))),
  ];
}

function uneven(encode: (filling: string) => string): string {
  const [part = ""] = ["", "x", "xx"].map(encode).filter(({ length }) => length % 4 !== 0);
  return part;
}

export const J14: Row = {
  id: "J14",
  attack: "another spelling of the same bytes",
  reply: "invalid_token",
  variants: {
    ...inParts("one =", (part) => `${part}=`),
    ...inParts("two =", (part) => `${part}==`),
    ...inParts("unused bits", spareBit),
    ...inParts("three letters too many", (part) => `${part}===`),
    ...inParts("a blank", (part) => middle(part, " ")),
    ...inParts("a tab", (part) => middle(part, "\t")),
    ...inParts(
      "an escaped letter",
      (part) => `%${part.charCodeAt(0).toString(16)}${part.slice(1)}`,
    ),
    ...inParts("a dash of the other alphabet", (part) => `${part.slice(0, -4)}+/+/`),
    ...inParts("a letter that is skipped by some", (part) => middle(part, "!")),
    "a line's end in the middle": unsendable((token) => middle(token, "\n")),
    "a carriage return in the middle": unsendable((token) => middle(token, "\r\n")),
    "a line's end after it": unsendable((token) => `${token}\n`),
    "a blank after it": unsendable((token) => `${token} `),
    "a blank before it": unsendable((token) => ` ${token}`),
    "NUL after it": unsendable((token) => `${token}\0`),
    "a letter of full width": unsendable((token) => middle(token, "ａ")),
    "a letter beyond ASCII whose low byte is a letter": unsendable((token) => middle(token, "š")),
    "quotes around it": respelled((token) => `"${token}"`),
    "the dots escaped": respelled((token) => token.replaceAll(".", "%2e")),
    "the dots of full width": unsendable((token) => token.replaceAll(".", "．")),
    "no header": rejoined((_, body, signature) => `.${body}.${signature}`),
    "no payload": rejoined((head, _, signature) => `${head}..${signature}`),
    "nothing but dots": () => "..",
  },
};

const spelled = (name: string): string =>
  `\\u${name.charCodeAt(0).toString(16).padStart(4, "0")}${name.slice(1)}`;

/** Before or after the true one, in the same letters or in others. */
const twice = (
  names: readonly string[],
  maker: (write: (members: string) => string) => Maker,
): Record<string, Maker> =>
  Object.fromEntries(
    names.flatMap((name) =>
      Object.entries({
        [`${name} after the true one`]: (members: string) => `{${members},"${name}":"x"}`,
        [`${name} before the true one`]: (members: string) => `{"${name}":"x",${members}}`,
        [`${name} spelled ${spelled(name)} after it`]: (members: string) =>
          `{${members},"${spelled(name)}":"x"}`,
        [`${name} spelled ${spelled(name)} before it`]: (members: string) =>
          `{"${spelled(name)}" : "x",${members}}`,
      }).map(([title, write]) => [title, maker(write)]),
    ),
  );

export const J17: Row = {
  id: "J17",
  attack: "a member that is there twice",
  reply: "invalid_token",
  variants: {
    ...twice(["alg", "kid", "typ"], headerText),
    ...twice(["exp", "iss", "sub", "aud", "org_id", "scope", "iat"], payload),
    "the header's, one level down": headerText((members) => `{${members},"x":{"a":1,"a":2}}`),
    "the header's, in a list": headerText((members) => `{${members},"x":[[{"a":1,"\\u0061":2}]]}`),
    "the header's, of no other meaning": headerText((members) => `{"x":1,${members},"x":1}`),
    "a claim's, one level down": payload((members) => `{${members},"x":{"a":1,"a":2}}`),
    "a claim's, two levels down": payload((members) => `{${members},"x":{"y":{"a":1,"a":1}}}`),
    "a claim's, in the fifteenth level": payload(
      (members) => `{${members},"x":${'{"y":'.repeat(13)}{"a":1,"a":1}${"}".repeat(13)}}`,
    ),
    "a claim's, in a list": payload((members) => `{${members},"x":[{"a":1,"\\u0061":1}]}`),
    "an object that hides another's members": payload(
      (members) => `{${members},"x":{"a":1},"x":{"b":1}}`,
    ),
    "an empty name": payload((members) => `{${members},"":1,"":2}`),
    "the prototype": payload((members) => `{${members},"__proto__":{},"__proto__":{}}`),
    "a name with a quote in it": payload((members) => `{${members},"a\\"":1,"a\\u0022":2}`),
    "what only looks as if it were": accepted(
      payload(
        (members) => `{${members},"x":{"sub":"{\\"sub\\":1,\\"sub\\":2}"},"y":["sub","sub"]}`,
      ),
    ),
  },
};

const BOM = [0xef, 0xbb, 0xbf];
const inFront = (bytes: readonly number[], text: string): Uint8Array =>
  new Uint8Array([...bytes, ...new TextEncoder().encode(text)]);
const utf16 = (text: string, big: boolean): Uint8Array => {
  const bytes = new Uint8Array(text.length * 2);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < text.length; at += 1) view.setUint16(at * 2, text.charCodeAt(at), !big);
  return bytes;
};

export const J31: Row = {
  id: "J31",
  attack: "JSON in another encoding than plain UTF-8",
  reply: "invalid_token",
  variants: {
    "a mark before the payload": payload((members) => inFront(BOM, `{${members}}`)),
    "two marks before the payload": payload((members) => inFront([...BOM, ...BOM], `{${members}}`)),
    "a mark before the header": headerText((members) => inFront(BOM, `{${members}}`)),
    "a mark after the payload": payload((members) => `{${members}}\ufeff`),
    "a mark within the payload": payload((members) => `{\ufeff${members}}`),
    "UTF-16, low byte first": payload((members) => utf16(`{${members}}`, false)),
    "UTF-16, high byte first": payload((members) => utf16(`{${members}}`, true)),
    "UTF-16 with its mark": payload((members) => utf16(`\ufeff{${members}}`, true)),
    "the header in UTF-16": headerText((members) => utf16(`{${members}}`, false)),
    "a byte that is no UTF-8": payload((members) =>
      inFront([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x2c], `${members}}`),
    ),
    "an overlong letter": payload((members) =>
      inFront([0x7b, 0x22, 0xc1, 0xa1, 0x22, 0x3a, 0x31, 0x2c], `${members}}`),
    ),
    "half a character in three bytes": payload((members) =>
      inFront([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x2c], `${members}}`),
    ),
    "NUL after the payload": payload((members) => `{${members}}\0`),
    "NUL before the payload": payload((members) => `\0{${members}}`),
    "a comment in the payload": payload((members) => `{/* x */${members}}`),
    "a comma too many": payload((members) => `{${members},}`),
    "two texts": payload((members) => `{${members}}{}`),
    "a payload that is a list": payload((members) => `[{${members}}]`),
    "a payload that is null": payload(() => "null"),
    "a payload that is a text": payload(() => '"text"'),
    "a header that is a list": headerText((members) => `[{${members}}]`),
    "a header that is null": headerText(() => "null"),
    "a header cut short": headerText((members) => `{${members}`),
  },
};

const MIB = 1024 * 1024;

/** A good token of one of these lengths: its last claim is as long as that takes. */
const ofLength =
  (least: number, most: number): Maker =>
  async (forge) => {
    const without = await goodToken(forge, { x: "" });
    let letters = Math.floor(((least - without.length) * 3) / 4) - 3;
    for (;;) {
      const token = await goodToken(forge, { x: "x".repeat(letters) });
      if (token.length > most) throw new Error("no token is so long");
      if (token.length >= least) return token;
      letters += 1;
    }
  };

const headerOfBytes = (bytes: number): Maker =>
  headerText((members) => {
    const start = `{${members},"x":"`;
    return `${start}${"x".repeat(bytes - start.length - 2)}"}`;
  });

const headerOfMembers = (count: number): Maker =>
  headerText((members) => {
    const more = Array.from({ length: count - 3 }, (_, index) => `"${index}":0`);
    return `{${members},${more.join(",")}}`;
  });

const unsigned =
  (head: (forge: Forge) => string): Maker =>
  (forge): Presented =>
    `${base64url(head(forge))}.${base64url("{}")}.AAAA`;

export const J32: Row = {
  id: "J32",
  attack: "a token that costs more to read than to send",
  reply: "invalid_token",
  variants: {
    "a letter over 16 KiB": ofLength(16 * 1024 + 1, 16 * 1024 + 2),
    "128 KB, well signed": claims({ x: "x".repeat(96 * 1024) }),
    "8 MB of one letter": () => "x".repeat(8 * MIB),
    "8 MB in three parts": rejoined(
      (head, _, signature) => `${head}.${"A".repeat(8 * MIB)}.${signature}`,
    ),
    "8 MB of signature": rejoined((head, body) => `${head}.${body}.${"A".repeat(8 * MIB)}`),
    "five million dots": () => ".".repeat(5_000_000),
    "sixteen thousand dots": () => ".".repeat(16_000),
    "a header of 300,000 members": unsigned(
      () => `{${Array.from({ length: 300_000 }, (_, index) => `"${index}":0`).join(",")}}`,
    ),
    "a header a million deep": unsigned(() => `${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`),
    "a header 2,500 deep": unsigned(() => `${"[".repeat(2_500)}${"]".repeat(2_500)}`),
    "a header of 1,025 bytes": headerOfBytes(1_025),
    "a header of 5,000 bytes": headerOfBytes(5_000),
    "a header of 33 members": headerOfMembers(33),
    "a header of 100 members": headerOfMembers(100),
    "a header of 17 levels": headerText((members) => `{${members},"x":${nested(16)}}`),
    "a header of 1,024 bytes": accepted(headerOfBytes(1_024)),
    "a header of 32 members": accepted(headerOfMembers(32)),
    "16 KiB at most": accepted(ofLength(16 * 1024 - 1, 16 * 1024)),
  },
};

function nested(levels: number): string {
  return "[".repeat(levels) + "]".repeat(levels);
}

export const J33: Row = {
  id: "J33",
  attack: "claims in too many levels",
  reply: "invalid_token",
  variants: {
    ...each(
      [17, 18, 32, 100, 500, 1_000, 2_500],
      (levels) => `${levels} levels of lists`,
      (levels) => payload((members) => `{${members},"x":${nested(levels - 1)}}`),
    ),
    ...each(
      [17, 32, 100, 500, 800],
      (levels) => `${levels} levels of objects`,
      (levels) =>
        payload(
          (members) => `{${members},"x":${'{"a":'.repeat(levels - 1)}1${"}".repeat(levels - 1)}}`,
        ),
    ),
    "17 levels in turn": payload(
      (members) => `{${members},"x":${'[{"a":'.repeat(8)}1${"}]".repeat(8)}}`,
    ),
    "17 levels in the audience": claims({ aud: JSON.parse(nested(16)) }),
    "17 levels in the scopes": claims({ scope: JSON.parse(nested(16)) }),
    "2,500 levels in the details": payload(
      (members) => `{${members},"authorization_details":${nested(2_499)}}`,
    ),
    "2,500 levels that do not end": payload((members) => `{${members},"x":${"[".repeat(2_500)}`),
    "16 levels of lists": accepted(payload((members) => `{${members},"x":${nested(15)}}`)),
    "a header in too many levels": header({ x: JSON.parse(nested(16)) }),
  },
};
