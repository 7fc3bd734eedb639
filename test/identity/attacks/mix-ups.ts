// J27: two providers whose keys have the same name, in every order in which they may be met.
type Provider = "A" | "B";

export interface MixUp {
  /** Whose keys are in memory already, the first of them first. */
  readonly cached: readonly Provider[];
  readonly signedBy: Provider;
  readonly claimed: Provider;
}

const ORDERS: readonly (readonly Provider[])[] = [[], ["A"], ["B"], ["A", "B"], ["B", "A"]];

export const MIX_UPS: readonly MixUp[] = ORDERS.flatMap((cached) => [
  { cached, signedBy: "A", claimed: "B" },
  { cached, signedBy: "B", claimed: "A" },
]);
