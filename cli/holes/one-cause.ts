// One finding, and not thirty-nine, where as many tenants have one cause in common. Pure.
import type { Path } from "../config-file.ts";

const NAMES_SHOWN = 3;

export interface ByTenant {
  readonly id: string;
  readonly path: Path;
  readonly message: string;
  readonly cure: string | null;
  /** What several tenants have in common, where the message cannot show it: it names one of them. */
  readonly cause?: string;
}

/**
 * Of findings with one cause the first, which says for which other tenants it holds. They have one cause
 * when they are about the same member, and say the same but for the tenant's own name.
 */
export function oneEach<Found extends ByTenant>(
  findings: readonly Found[],
): (Found & { readonly tenants?: readonly string[] })[] {
  const groups = Map.groupBy(findings, causeOf);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    const tenants = [...new Set(group.flatMap(({ path }) => tenantIn(path) ?? []))];
    if (first === undefined || tenants.length < 2) return group;
    return [{ ...first, message: `${first.message} (${soToo(tenants.slice(1))})`, tenants }];
  });
}

function causeOf(finding: ByTenant): string {
  const { id, path, cure } = finding;
  const tenant = tenantIn(path);
  if (tenant === null) return JSON.stringify([id, path, finding.message]);
  const member = path.slice(2).filter((part) => typeof part === "string");
  return JSON.stringify([id, member, cure, finding.cause ?? withoutName(finding.message, tenant)]);
}

function tenantIn([first, tenant]: Path): string | null {
  return first === "tenants" && tenant !== undefined ? String(tenant) : null;
}

/** As messages name it: `tenant acme`, `tenants.acme.upstream`, `tenants.acme:`; never a part of `acme2`. */
function withoutName(message: string, tenant: string): string {
  const name = tenant.replaceAll(/[^\w-]/g, "\\$&");
  return message.replaceAll(
    new RegExp(`(?<![\\w-])(tenant |tenants\\.)${name}(?![\\w-])`, "g"),
    "$1*",
  );
}

function soToo(others: readonly string[]): string {
  const shown = others.slice(0, NAMES_SHOWN);
  const rest = others.length - shown.length;
  const more = rest === 0 ? "" : rest === 1 ? " and one more" : ` and ${rest} others`;
  return `so too tenant${others.length === 1 ? "" : "s"} ${shown.join(", ")}${more}`;
}
