// The openai SDK: chat completions and responses.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ANSWERS, IMAGE, KEY, PARAMETERS, PNG, TEXT, THOUGHT, breaks, fails, leaves, noteThought, prompt, same, weather } from "./checks.js";

const Place = z.object({ city: z.string() });
const DATA = `data:image/png;base64,${PNG}`;
const CHAT_TOOL = { type: "function", function: { name: "weather", description: "d", parameters: PARAMETERS } };
const TOOL = { type: "function", name: "weather", parameters: PARAMETERS, strict: true };
const sdk = ({ url }) => new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0 });
const user = (content) => [{ role: "user", content }];

const ask = (context, play, more = {}) =>
  sdk(context).chat.completions.create({ model: context.model, messages: user(prompt(play)), ...more });

async function loop(context, play, { streamed, after = context.model, ...more } = {}) {
  const messages = user(prompt(play));
  const turn = async (model) => {
    const body = { model, messages, tools: [CHAT_TOOL], ...more };
    if (streamed) return (await sdk(context).chat.completions.stream(body).finalChatCompletion()).choices[0].message;
    return (await sdk(context).chat.completions.create(body)).choices[0].message;
  };
  const first = await turn(context.model);
  messages.push(first);
  for (const call of first.tool_calls) {
    messages.push({ role: "tool", tool_call_id: call.id, content: weather(JSON.parse(call.function.arguments).city) });
  }
  return [first, await turn(after)];
}

const chat = {
  name: "openai (Node), chat",
  own: "chat",
  prefix: "gpt-5",
  async text(context) {
    const answer = await ask(context, "text", { max_completion_tokens: 500 });
    same([answer.choices[0].message.content, answer.choices[0].finish_reason], [TEXT, "stop"]);
    same([answer.usage.prompt_tokens, answer.usage.completion_tokens], [100, 20]);
  },
  async stream(context) {
    const chunks = [];
    for await (const chunk of await ask(context, "text", { stream: true, stream_options: { include_usage: true } })) chunks.push(chunk);
    same(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""), TEXT);
    same(chunks.at(-1).usage.prompt_tokens, 100);
  },
  tools: async (context) => same((await loop(context, "tools"))[1].content, ANSWERS.tools),
  async tools_streamed(context) {
    same((await loop(context, "tools", { streamed: true }))[1].content, ANSWERS.tools);
    same((await loop(context, "parallel", { streamed: true }))[1].content, ANSWERS.parallel);
  },
  parallel: async (context) => same((await loop(context, "parallel"))[1].content, ANSWERS.parallel),
  async image(context) {
    const parts = [{ type: "text", text: prompt("image") }, { type: "image_url", image_url: { url: DATA } }];
    same((await ask(context, "image", { messages: user(parts) })).choices[0].message.content, IMAGE);
  },
  async structured(context) {
    const format = zodResponseFormat(Place, "place");
    const body = { model: context.model, messages: user(prompt("structured")), response_format: format };
    same((await sdk(context).chat.completions.parse(body)).choices[0].message.parsed, { city: "Paris" });
  },
  async thinking(context) {
    const [first, last] = await loop(context, "thinking", { reasoning_effort: "high" });
    same([first.reasoning_content, last.content], [THOUGHT, ANSWERS.thinking]);
    noteThought(context, (await loop(context, "thinking", { reasoning_effort: "high", streamed: true }))[1].content);
  },
  async moved(context) {
    same((await loop(context, "moved", { reasoning_effort: "high", after: context.after }))[1].content, ANSWERS.moved);
  },
  errors: (context) => fails((play) => ask(context, play), (error) => error.status),
  broken: (context) =>
    breaks(async (play) => {
      for await (const _ of await ask(context, play, { stream: true }));
    }),
  cancelled: (context) =>
    leaves(context, async (asked) => {
      for await (const chunk of await ask(context, "", { messages: user(asked), stream: true })) if (chunk.choices[0]?.delta.content) break;
    }),
};

const respond = (context, play, more = {}) =>
  sdk(context).responses.create({ model: context.model, input: prompt(play), store: false, ...more });

async function respondedLoop(context, play, { streamed, after = context.model, ...more } = {}) {
  const input = user(prompt(play));
  const turn = async (model) => {
    const body = { model, input, tools: [TOOL], store: false, ...more };
    return streamed ? sdk(context).responses.stream(body).finalResponse() : sdk(context).responses.create(body);
  };
  const first = await turn(context.model);
  input.push(...first.output);
  for (const call of first.output.filter((item) => item.type === "function_call")) {
    input.push({ type: "function_call_output", call_id: call.call_id, output: weather(JSON.parse(call.arguments).city) });
  }
  return [first, await turn(after)];
}

const responses = {
  name: "openai (Node), responses",
  own: "responses",
  prefix: "gpt-5",
  async text(context) {
    const answer = await respond(context, "text", { instructions: "Be brief." });
    same([answer.output_text, answer.status, answer.usage.input_tokens], [TEXT, "completed", 100]);
  },
  async stream(context) {
    const events = [];
    for await (const event of await respond(context, "text", { stream: true })) events.push(event);
    same(events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join(""), TEXT);
    same(events.at(-1).type, "response.completed");
  },
  tools: async (context) => same((await respondedLoop(context, "tools"))[1].output_text, ANSWERS.tools),
  async tools_streamed(context) {
    same((await respondedLoop(context, "tools", { streamed: true }))[1].output_text, ANSWERS.tools);
    same((await respondedLoop(context, "parallel", { streamed: true }))[1].output_text, ANSWERS.parallel);
  },
  parallel: async (context) => same((await respondedLoop(context, "parallel"))[1].output_text, ANSWERS.parallel),
  async image(context) {
    const parts = [{ type: "input_text", text: prompt("image") }, { type: "input_image", image_url: DATA, detail: "auto" }];
    same((await respond(context, "image", { input: user(parts) })).output_text, IMAGE);
  },
  async structured(context) {
    const body = { model: context.model, input: prompt("structured"), text: { format: zodTextFormat(Place, "place") } };
    same((await sdk(context).responses.parse(body)).output_parsed, { city: "Paris" });
  },
  async thinking(context) {
    for (const streamed of [false, true]) {
      const more = { reasoning: { effort: "high", summary: "auto" }, include: ["reasoning.encrypted_content"], streamed };
      const [first, last] = await respondedLoop(context, "thinking", more);
      same([first.output[0].type, first.output.at(-1).type], ["reasoning", "function_call"]);
      if (context.upstream === "chat") noteThought(context, last.output_text); // its thoughts have no seal
      else same(last.output_text, ANSWERS.thinking);
    }
  },
  async moved(context) {
    const more = { reasoning: { effort: "high", summary: "auto" }, include: ["reasoning.encrypted_content"], after: context.after };
    same((await respondedLoop(context, "moved", more))[1].output_text, ANSWERS.moved);
  },
  errors: (context) => fails((play) => respond(context, play), (error) => error.status),
  broken: (context) =>
    breaks(
      async (play) => {
        let last;
        for await (const event of await respond(context, play, { stream: true })) last = event;
        return last;
      },
      (last) => ["error", "response.failed"].includes(last?.type),
    ),
  cancelled: (context) =>
    leaves(context, async (asked) => {
      for await (const event of await respond(context, "", { input: asked, stream: true })) if (event.type === "response.output_text.delta") break;
    }),
};

export const clients = [chat, responses];
