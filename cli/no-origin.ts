// What is wrong with an origin that the schema refuses, in a few words. Pure.
import { isOrigin } from "../src/config/origins.ts";

/** Null where nothing of this is wrong with it. */
export function whyNoOrigin(text: string): string | null {
  if (text === "null") return "any page in a sandbox sends null, so it would let in all of them";
  if (text === "") return "it is empty";
  if (text.trim() !== text) return "it has blanks around it";
  if (text.includes("*")) return whyNoWildcard(text);
  if (!text.includes("://")) return whyNoScheme(text);
  const url = URL.parse(text);
  if (url === null) return "it is no URL";
  if (url.username !== "" || url.password !== "" || text.includes("@")) return "it names a user";
  return whyNotExact(text, url);
}

function whyNoScheme(text: string): string {
  if (/^(data|blob|about|javascript):/i.test(text)) return "pages of this kind send null";
  const said = isOrigin(`https://${text}`) ? `: https://${text}` : "";
  return `it does not begin with a scheme and '://'${said}`;
}

/** `url`: what a browser makes of it, which sends only the origin. */
function whyNotExact(text: string, url: URL): string | null {
  const [, scheme = "", host = "", end = ""] = /^([^:]*):\/\/([^/?#]*)(.*)$/s.exec(text) ?? [];
  const sent = url.origin === "null" ? `${scheme.toLowerCase()}://${host}` : url.origin;
  const instead = isOrigin(sent) ? `: ${sent}` : "";
  if (end === "/") return `an origin has no slash at its end${instead}`;
  if (end !== "") return `an origin has no path, query or fragment${instead}`;
  if (/[^!-~]/.test(host)) return `browsers send a name in ASCII, as DNS has it${instead}`;
  if (text !== text.toLowerCase()) return `browsers send it in small letters${instead}`;
  if (/:\d*$/.test(host) && url.port === "" && url.origin !== "null") {
    return `browsers leave out the scheme's usual port${instead}`;
  }
  return instead === "" ? null : `browsers send it as ${sent}`;
}

function whyNoWildcard(text: string): string | null {
  if (text === "*") return "a star alone would let in every page there is";
  if (text.split("*").length > 2) return "it has more than one star";
  if (!text.startsWith("https://")) return "a star is for https alone";
  const [name = "", ...end] = text.slice("https://".length).split(/(?=[/?#])/);
  if (end.length > 0) return "an origin has no path, query or fragment, nor a slash at its end";
  const [host = "", port] = name.split(":");
  const [first = "", ...rest] = host.split(".");
  if (!first.includes("*")) return "the star is not in the first label of the host name";
  if (!/[a-z0-9]/i.test(first)) return "the star needs a letter or digit beside it in its label";
  if (host !== host.toLowerCase()) return "browsers send it in small letters";
  if (host.endsWith(".")) return "the host name ends with a dot";
  if (/[^!-~]/.test(host)) return "browsers send a name in ASCII, as DNS has it";
  if (port === "443") return "browsers leave out the scheme's usual port";
  if (!isOrigin(`https://a-*.${rest.join(".")}.example.com`)) {
    return "a label of the host name is empty, too long, or has another character than a-z, 0-9 and '-'";
  }
  return isOrigin(`https://a-*.${rest.join(".")}`)
    ? null
    : `anybody can register such a name under ${rest.join(".")}`;
}
