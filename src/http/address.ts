// IP addresses as networks: what stands for one visitor, and what may be written down about one.

/** The first `count` groups of an IPv6 address, in its shortest spelling. Null when it is none. */
export function ipv6Network(address: string, count: number): string | null {
  const host = URL.parse(`http://[${address}]/`)?.hostname;
  if (host?.startsWith("[") !== true) return null;
  const [head = [], tail = []] = host
    .slice(1, -1)
    .split("::")
    .map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => "0");
  return `${[...head, ...zeros, ...tail].slice(0, count).join(":")}::/${count * 16}`;
}
