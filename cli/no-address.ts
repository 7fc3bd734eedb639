// What is wrong with an address that the schema refuses, in a few words. Pure.
import { BlockList, isIP } from "node:net";

/** RFC 1918, RFC 6598, RFC 3927, RFC 4193 and RFC 4291 §2.5.6. */
const PRIVATE = blockList([
  ["10.0.0.0", 8, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["100.64.0.0", 10, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["fc00::", 7, "ipv6"],
  ["fe80::", 10, "ipv6"],
]);
const THIS_MACHINE = blockList([
  ["127.0.0.0", 8, "ipv4"],
  ["0.0.0.0", 8, "ipv4"],
  ["::", 127, "ipv6"],
]);

/** Null where nothing of this is wrong with it. */
export function whyNoAddress(address: string): string | null {
  if (!/^[!-~]+$/.test(address)) return "it has a character that no URL has";
  const url = URL.parse(address);
  if (url === null) return "it is no URL";
  if (url.username !== "" || url.password !== "") return "it names a user";
  return whyNoHost(url) ?? whyNoEnd(address);
}

function whyNoHost({ protocol, hostname }: URL): string | null {
  const name = hostname.replace(/^\[|\]$|\.$/g, "");
  if (protocol === "http:") return "it begins with http:";
  if (protocol !== "https:") return `it begins with ${protocol}`;
  const family = isIP(name) === 6 ? "ipv6" : "ipv4";
  if (isIP(name) !== 0) {
    if (THIS_MACHINE.check(name, family)) return `${name} is this machine`;
    if (PRIVATE.check(name, family)) return `${name} is an address of a private network`;
    return `${name} is an IP address, and no name`;
  }
  if (/(^|\.)localhost$/.test(name)) return `${name} is this machine`;
  return /\.(local|internal)$/.test(name) ? `${name} is a name of a private network` : null;
}

function whyNoEnd(address: string): string | null {
  if (address.includes("#")) return "it has a fragment";
  return address.includes("?") ? "it has a query" : null;
}

function blockList(subnets: readonly (readonly [string, number, "ipv4" | "ipv6"])[]): BlockList {
  const list = new BlockList();
  for (const [network, prefix, family] of subnets) list.addSubnet(network, prefix, family);
  return list;
}
