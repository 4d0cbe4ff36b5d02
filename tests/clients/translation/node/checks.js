// What all clients share: prompts, tools, and what must come back.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

export const KEY = "key-of-the-client";
export const TEXT = "The capital is Paris.";
export const THOUGHT = "Let me think about Paris.";
export const WORDS = "upstream's own words";
export const WITHOUT = " (without my thought)";
export const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
export const IMAGE = `image/png ${Buffer.from(PNG, "base64").length} bytes`;
export const PARAMETERS = {
  type: "object",
  properties: { city: { type: "string", description: "a city" } },
  required: ["city"],
  additionalProperties: false,
};
export const ANSWERS = {
  tools: "It is 18 degrees in Paris.",
  thinking: "It is 18 degrees in Paris.",
  moved: "It is 18 degrees in Paris.",
  parallel: "Paris has 18 degrees, Rome has 24 degrees.",
};
export const STATUSES = [400, 401, 429, 500, 529];
export const prompt = (play) => `[play:${play}] What about Paris and Rome?`;
export const weather = (city) => ({ Paris: "18 degrees", Rome: "24 degrees" })[city];
export const same = (found, wanted) => assert.deepEqual(found, wanted);

// Says where the SDK itself lost the thought.
export function noteThought(context, answer) {
  same(answer.replace(WITHOUT, ""), ANSWERS.thinking);
  if (answer.endsWith(WITHOUT)) context.notes.push("without");
}

export const said = (error) => assert.ok(String(error?.message).includes(WORDS), `${error?.name}: ${error?.message}`);

// Demands an error of each status, with the upstream's words.
export async function fails(ask, statusOf) {
  for (const status of STATUSES) {
    const error = await ask(`err${status}`).then(() => assert.fail(`no error for ${status}`), (error) => error);
    same(statusOf(error), status);
    said(error);
  }
}

// Demands that streams which break do not look whole. `read` reads one to its end.
export async function breaks(read, isFailure = () => false) {
  for (const play of ["cut", "midfail"]) {
    let last;
    try {
      last = await read(play);
    } catch (error) {
      if (play === "midfail") said(error);
      continue;
    }
    assert.ok(isFailure(last), `${play}: a clean end: ${JSON.stringify(last)}`);
  }
}

// Begins a stream, and demands that the upstream sees its client leave. `begin` leaves after the first piece.
export async function leaves(context, begin) {
  const run = randomUUID();
  await begin(`[play:slow] [run:${run}] What about Paris?`);
  const { left } = await (await fetch(`${context.vendors}/left/${run}`)).json();
  assert.ok(left, "the upstream worked on");
}
