// Vercel's AI SDK with the providers of three vendors; it runs its tools itself.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { Output, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ANSWERS, IMAGE, KEY, PNG, TEXT, breaks, fails, leaves, noteThought, prompt, same, weather } from "./checks.js";

globalThis.AI_SDK_LOG_WARNINGS = false;

const tools = {
  weather: tool({ description: "d", inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => weather(city) }),
};

function client(name, own, prefix, modelOf, thinking) {
  const base = (context, more) => ({ model: modelOf(context), maxRetries: 0, ...more });
  const ask = (context, play, more = {}) => generateText(base(context, { prompt: prompt(play), ...more }));
  const stream = (context, text, more = {}) => streamText(base(context, { prompt: text, onError: () => {}, ...more }));
  const loop = (context, play, more = {}) => ask(context, play, { tools, stopWhen: stepCountIs(4), ...more });
  const streamed = async (context, play, more = {}) =>
    (await stream(context, prompt(play), { tools, stopWhen: stepCountIs(4), ...more }).steps).at(-1).text;
  return {
    name,
    own,
    prefix,
    async text(context) {
      const answer = await ask(context, "text", { system: "Be brief.", maxOutputTokens: 500 });
      same([answer.text, answer.finishReason, answer.usage.inputTokens, answer.usage.outputTokens], [TEXT, "stop", 100, 20]);
    },
    async stream(context) {
      const answer = stream(context, prompt("text"));
      const pieces = [];
      for await (const piece of answer.textStream) pieces.push(piece);
      same([pieces.join(""), await answer.finishReason], [TEXT, "stop"]);
      same((await answer.usage).inputTokens, 100);
    },
    tools: async (context) => same((await loop(context, "tools")).text, ANSWERS.tools),
    async tools_streamed(context) {
      same(await streamed(context, "tools"), ANSWERS.tools);
      same(await streamed(context, "parallel"), ANSWERS.parallel);
    },
    parallel: async (context) => same((await loop(context, "parallel")).text, ANSWERS.parallel),
    async image(context) {
      const content = [{ type: "text", text: prompt("image") }, { type: "image", image: PNG, mediaType: "image/png" }];
      same((await ask(context, "", { prompt: undefined, messages: [{ role: "user", content }] })).text, IMAGE);
    },
    async structured(context) {
      const output = Output.object({ schema: z.object({ city: z.string() }) });
      same((await ask(context, "structured", { output })).output, { city: "Paris" });
    },
    async thinking(context) {
      noteThought(context, (await loop(context, "thinking", { providerOptions: thinking })).text);
      noteThought(context, await streamed(context, "thinking", { providerOptions: thinking }));
    },
    errors: (context) => fails((play) => ask(context, play), (error) => error.statusCode),
    broken: (context) =>
      breaks(
        async (play) => {
          let failed = false;
          for await (const part of stream(context, prompt(play)).fullStream) failed ||= part.type === "error" || (part.type === "finish" && part.finishReason !== "stop");
          return failed;
        },
        (failed) => failed,
      ),
    cancelled: (context) =>
      leaves(context, async (asked) => {
        const leaving = new AbortController();
        for await (const part of stream(context, asked, { abortSignal: leaving.signal }).fullStream) if (part.type === "text-delta") leaving.abort();
      }),
  };
}

const openai = ({ url }) => createOpenAI({ baseURL: `${url}/v1`, apiKey: KEY });
export const clients = [
  client("Vercel AI SDK, openai.chat", "chat", "gpt-5", (context) => openai(context).chat(context.model), { openai: { reasoningEffort: "high" } }),
  client("Vercel AI SDK, openai.responses", "responses", "gpt-5", (context) => openai(context).responses(context.model), {
    openai: { reasoningEffort: "high", reasoningSummary: "auto", store: false, include: ["reasoning.encrypted_content"] },
  }),
  client("Vercel AI SDK, anthropic", "messages", "claude", (context) => createAnthropic({ baseURL: `${context.url}/v1`, apiKey: KEY })(context.model), {
    anthropic: { thinking: { type: "enabled", budgetTokens: 2000 } },
  }),
  client("Vercel AI SDK, google", "gemini", "gemini-3", (context) => createGoogleGenerativeAI({ baseURL: `${context.url}/v1beta`, apiKey: KEY })(context.model), {
    google: { thinkingConfig: { includeThoughts: true, thinkingLevel: "high" } },
  }),
];
