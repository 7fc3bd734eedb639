// Which of the known words a misspelt one was probably meant to be. Pure.

/** Null where none is near. Case, and how words are joined, count for nothing: `jwksUri` is `jwks_uri`. */
export function nearest(word: string, known: readonly string[]): string | null {
  const plain = plainOf(word);
  const [best] = known
    .map((name) => ({ name, distance: distanceOf(plain, plainOf(name)) }))
    .filter(({ name, distance }) => isNear(plain, plainOf(name), distance))
    .toSorted((one, other) => one.distance - other.distance);
  return best?.name ?? null;
}

/** A third of the letters may be wrong; and one may be the beginning of the other, as `aud` of `audiences`. */
function isNear(word: string, name: string, distance: number): boolean {
  if (distance <= Math.floor(Math.max(word.length, name.length) / 3)) return true;
  return (
    Math.min(word.length, name.length) >= 3 && (name.startsWith(word) || word.startsWith(name))
  );
}

function plainOf(word: string): string {
  return word.toLowerCase().replaceAll(/[_\-\s.]/g, "");
}

/** Letters to put in, take out, change or swap with the next (optimal string alignment). */
function distanceOf(one: string, other: string): number {
  let before: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row += 1) {
    const now = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const same = one[row - 1] === other[column - 1];
      const swapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      now[column] = Math.min(
        (last[column] ?? 0) + 1,
        (now[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
        swapped && row > 1 && column > 1 ? (before[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    before = last;
    last = now;
  }
  return last[other.length] ?? 0;
}
