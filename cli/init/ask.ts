// How a question gets its answer: from a flag, from a person at a terminal, or from its default. Every
// answer is checked at once, wherever it comes from.
import { confirm, isCancel, log, password, select, text } from "@clack/prompts";
import { UsageError } from "../config-file.ts";

interface Question {
  /** As one would type it: `--tenant <id>`. */
  readonly flag: string;
  readonly message: string;
}

export interface TextQuestion extends Question {
  readonly placeholder?: string;
  /** What Enter takes, and --yes. Without it there has to be an answer. */
  readonly fallback?: string;
  /** What is wrong with an answer, in words. */
  readonly check: (answer: string) => string | undefined;
}

export interface ChoiceQuestion extends Question {
  readonly options: readonly Option[];
  readonly fallback?: string;
}

export interface Option {
  readonly value: string;
  readonly label: string;
  readonly hint?: string;
}

/** `given` is what the question's flag said. */
export interface Asker {
  readonly text: (question: TextQuestion, given: string | undefined) => Promise<string>;
  /** Null when it is missing: then nothing that hangs on it need be asked. */
  readonly choice: (question: ChoiceQuestion, given: string | undefined) => Promise<string | null>;
  readonly yesNo: (question: Question, given: boolean | undefined) => Promise<boolean>;
  /** Null when it is left open. */
  readonly secret: (question: TextQuestion) => Promise<string | null>;
  /** Something worth knowing before the next question. */
  readonly tell: (text: string) => void;
  /** Throws `UsageError` when an answer is missing, with every flag that would give one. */
  readonly finish: () => void;
}

/** Throws `UsageError` for a flag that says something wrong, and when a person stops with Ctrl-C. */
export function askPerson(): Asker {
  return {
    text: async (question, given) => {
      const { message, fallback = "", placeholder = "", check } = question;
      if (given !== undefined) return checked(question, given);
      const answer = await text({
        message,
        placeholder: fallback === "" ? placeholder : fallback,
        defaultValue: fallback,
        validate: (value = "") => check(value.trim() === "" ? fallback : value.trim()),
      });
      return answered(answer).trim();
    },
    choice: async (question, given) => {
      if (given !== undefined) return chosen(question, given);
      const { message, options, fallback } = question;
      const answer = await select({
        message,
        options: options.map((option) => ({ ...option })),
        ...(fallback !== undefined && { initialValue: fallback }),
      });
      return answered(answer);
    },
    yesNo: async ({ message }, given) =>
      given ?? answered(await confirm({ message, initialValue: false })),
    secret: async ({ message, check }) => {
      const validate = (value = ""): string | undefined =>
        value.trim() === "" ? undefined : check(value.trim());
      const answer = answered(await password({ message, validate })) ?? "";
      return answer.trim() === "" ? null : answer.trim();
    },
    tell: (words) => log.warn(words),
    finish: () => undefined,
  };
}

/** `takeDefaults`: what has one need not be said. */
export function askNobody(takeDefaults: boolean): Asker {
  const missing: string[] = [];
  const fallBack = ({ flag, fallback }: Question & { readonly fallback?: string }) => {
    if (takeDefaults && fallback !== undefined) return fallback;
    missing.push(flag);
    return null;
  };
  return {
    text: (question, given) =>
      settle(() => (given !== undefined ? checked(question, given) : (fallBack(question) ?? ""))),
    choice: (question, given) =>
      settle(() => (given !== undefined ? chosen(question, given) : fallBack(question))),
    yesNo: (question, given) =>
      settle(() => given ?? fallBack({ ...question, fallback: "no" }) === "yes"),
    secret: () => Promise.resolve(null),
    tell: (words) => console.error(words),
    finish: () => {
      if (missing.length === 0) return;
      const ways = takeDefaults
        ? "run it in a terminal to be asked"
        : "--yes takes the default of what has one; in a terminal you are asked";
      throw new UsageError(`Nothing was written. Say also ${missing.join(", ")} (${ways}).`);
    },
  };
}

function settle<Answer>(work: () => Answer): Promise<Answer> {
  return new Promise((resolve) => resolve(work()));
}

/** Throws `UsageError` for a Ctrl-C. */
export function answered<Answer>(answer: Answer): Exclude<Answer, symbol> {
  if (isCancel(answer)) throw new UsageError("Stopped: nothing was written.");
  return answer as Exclude<Answer, symbol>;
}

function checked({ flag, check }: TextQuestion, given: string): string {
  const answer = given.trim();
  const problem = check(answer);
  if (problem === undefined) return answer;
  throw new UsageError(`${flag.split(" ")[0]}: ${problem}.`);
}

function chosen({ flag, options }: ChoiceQuestion, given: string): string {
  if (options.some(({ value }) => value === given)) return given;
  const known = options.map(({ value }) => value).join(", ");
  throw new UsageError(`${flag.split(" ")[0]}: '${given}' is none of ${known}.`);
}
