// The @anthropic-ai/sdk.
import Anthropic from "@anthropic-ai/sdk";
import { ANSWERS, IMAGE, KEY, PARAMETERS, PNG, TEXT, THOUGHT, breaks, fails, leaves, noteThought, prompt, same, weather } from "./checks.js";

const TOOL = { name: "weather", description: "d", input_schema: PARAMETERS };
const PLACE = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const sdk = ({ url }) => new Anthropic({ baseURL: url, apiKey: KEY, maxRetries: 0 });
const user = (content) => [{ role: "user", content }];
const ask = (context, play, more = {}) =>
  sdk(context).messages.create({ model: context.model, max_tokens: 500, messages: user(prompt(play)), ...more });

async function loop(context, play, { streamed, after = context.model, ...more } = {}) {
  const messages = user(prompt(play));
  const turn = async (model) => {
    const body = { model, max_tokens: 4000, messages, tools: [TOOL], ...more };
    return streamed ? sdk(context).messages.stream(body).finalMessage() : sdk(context).messages.create(body);
  };
  const first = await turn(context.model);
  messages.push({ role: "assistant", content: first.content });
  const calls = first.content.filter((block) => block.type === "tool_use");
  messages.push(...user(calls.map(({ id, input }) => ({ type: "tool_result", tool_use_id: id, content: weather(input.city) }))));
  return [first, await turn(after)];
}

const messages = {
  name: "@anthropic-ai/sdk (Node)",
  own: "messages",
  prefix: "claude",
  async text(context) {
    const answer = await ask(context, "text", { system: "Be brief." });
    same([answer.content[0].text, answer.stop_reason], [TEXT, "end_turn"]);
    same([answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens], [60, 40, 20]);
  },
  async stream(context) {
    const last = await sdk(context).messages.stream({ model: context.model, max_tokens: 500, messages: user(prompt("text")) }).finalMessage();
    same([last.content[0].text, last.usage.output_tokens, last.usage.input_tokens], [TEXT, 20, 60]);
  },
  tools: async (context) => same((await loop(context, "tools"))[1].content[0].text, ANSWERS.tools),
  async tools_streamed(context) {
    same((await loop(context, "tools", { streamed: true }))[1].content[0].text, ANSWERS.tools);
    same((await loop(context, "parallel", { streamed: true }))[1].content[0].text, ANSWERS.parallel);
  },
  parallel: async (context) => same((await loop(context, "parallel"))[1].content[0].text, ANSWERS.parallel),
  async image(context) {
    const source = { type: "base64", media_type: "image/png", data: PNG };
    const parts = [{ type: "image", source }, { type: "text", text: prompt("image") }];
    same((await ask(context, "image", { messages: user(parts) })).content[0].text, IMAGE);
  },
  async structured(context) {
    const answer = await ask(context, "structured", { output_config: { format: { type: "json_schema", schema: PLACE } } });
    same(JSON.parse(answer.content[0].text), { city: "Paris" });
  },
  async thinking(context) {
    for (const streamed of [false, true]) {
      const [first, last] = await loop(context, "thinking", { streamed, thinking: { type: "enabled", budget_tokens: 2000 } });
      same(first.content.map((block) => block.thinking ?? "").join(""), THOUGHT);
      if (context.upstream === "chat") noteThought(context, last.content.at(-1).text); // its thoughts have no seal
      else same(last.content.at(-1).text, ANSWERS.thinking);
    }
  },
  async moved(context) {
    const more = { thinking: { type: "enabled", budget_tokens: 2000 }, after: context.after };
    same((await loop(context, "moved", more))[1].content.at(-1).text, ANSWERS.moved);
  },
  errors: (context) => fails((play) => ask(context, play), (error) => error.status),
  broken: (context) =>
    breaks(async (play) => {
      for await (const _ of await ask(context, play, { stream: true }));
    }),
  cancelled: (context) =>
    leaves(context, async (asked) => {
      for await (const event of await ask(context, "", { messages: user(asked), stream: true })) if (event.type === "content_block_delta") break;
    }),
};

export const clients = [messages];
