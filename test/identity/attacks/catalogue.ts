// The catalogue: every row, J1 to J38, in order.
import { J1, J2, J3, J4, J38 } from "./algorithms.ts";
import { J18, J19, J20, J21, J22, J23, J24, J29 } from "./claims.ts";
import type { Row } from "./forge.ts";
import { J5, J7, J8, J9, J10, J11, J12, J28 } from "./header.ts";
import { J34, J35, J36 } from "./requests.ts";
import { J15, J16 } from "./signatures.ts";
import { J13, J14, J17, J31, J32, J33 } from "./spelling.ts";
import { J25, J26, J30 } from "./strangers.ts";

/** Of requests alone. J6, J27 and J37 are about keys that are published: `keys.test.ts`. */
export const ROWS: readonly Row[] = [
  ...[J1, J2, J3, J4, J5, J7, J8, J9, J10, J11, J12, J13, J14, J15, J16, J17, J18, J19, J20, J21],
  ...[J22, J23, J24, J25, J26, J28, J29, J30, J31, J32, J33, J34, J35, J36, J38],
];
