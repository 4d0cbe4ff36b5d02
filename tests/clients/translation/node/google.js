// The @google/genai SDK.
import { GoogleGenAI } from "@google/genai";
import { ANSWERS, IMAGE, KEY, PARAMETERS, PNG, TEXT, THOUGHT, breaks, fails, leaves, noteThought, prompt, same, weather } from "./checks.js";

const TOOLS = [{ functionDeclarations: [{ name: "weather", description: "d", parametersJsonSchema: PARAMETERS }] }];
const PLACE = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const models = ({ url }) => new GoogleGenAI({ apiKey: KEY, vertexai: false, httpOptions: { baseUrl: url } }).models;
const ask = (context, contents, config = {}, model = context.model) => models(context).generateContent({ model, contents, config });
const stream = (context, contents, config = {}, model = context.model) => models(context).generateContentStream({ model, contents, config });
const user = (parts) => [{ role: "user", parts }];

async function all(pieces) {
  const found = [];
  for await (const piece of await pieces) found.push(piece);
  return found;
}

async function loop(context, play, { streamed, after = context.model, ...more } = {}) {
  const contents = user([{ text: prompt(play) }]);
  const turn = (model) => {
    const config = { tools: TOOLS, ...more };
    return streamed ? all(stream(context, contents, config, model)) : ask(context, contents, config, model).then((answer) => [answer]);
  };
  const parts = (await turn(context.model)).flatMap((answer) => answer.candidates[0].content?.parts ?? []);
  contents.push({ role: "model", parts });
  const calls = parts.flatMap((part) => part.functionCall ?? []);
  contents.push(...user(calls.map(({ id, name, args }) => ({ functionResponse: { id, name, response: { output: weather(args.city) } } }))));
  const texts = (await turn(after)).flatMap((answer) => answer.candidates[0].content?.parts ?? []).filter((part) => !part.thought);
  return [parts, texts.map((part) => part.text ?? "").join("")];
}

const gemini = {
  name: "@google/genai (Node)",
  own: "gemini",
  prefix: "gemini-3",
  async text(context) {
    const answer = await ask(context, prompt("text"), { systemInstruction: "Be brief.", maxOutputTokens: 500 });
    same([answer.text, answer.candidates[0].finishReason, answer.usageMetadata.promptTokenCount], [TEXT, "STOP", 100]);
  },
  async stream(context) {
    const pieces = await all(stream(context, prompt("text")));
    same(pieces.map((piece) => piece.text ?? "").join(""), TEXT);
    same(pieces.at(-1).candidates[0].finishReason, "STOP");
  },
  tools: async (context) => same((await loop(context, "tools"))[1], ANSWERS.tools),
  async tools_streamed(context) {
    same((await loop(context, "tools", { streamed: true }))[1], ANSWERS.tools);
    same((await loop(context, "parallel", { streamed: true }))[1], ANSWERS.parallel);
  },
  parallel: async (context) => same((await loop(context, "parallel"))[1], ANSWERS.parallel),
  async image(context) {
    const parts = [{ inlineData: { mimeType: "image/png", data: PNG } }, { text: prompt("image") }];
    same((await ask(context, user(parts))).text, IMAGE);
  },
  async structured(context) {
    const config = { responseMimeType: "application/json", responseJsonSchema: PLACE };
    same(JSON.parse((await ask(context, prompt("structured"), config)).text), { city: "Paris" });
  },
  async thinking(context) {
    for (const streamed of [false, true]) {
      const [parts, last] = await loop(context, "thinking", { streamed, thinkingConfig: { includeThoughts: true, thinkingLevel: "HIGH" } });
      same(parts.map((part) => (part.thought ? part.text ?? "" : "")).join(""), THOUGHT);
      if (context.upstream === "chat") noteThought(context, last); // its thoughts have no seal
      else same(last, ANSWERS.thinking);
    }
  },
  async moved(context) {
    const more = { thinkingConfig: { includeThoughts: true, thinkingLevel: "HIGH" }, after: context.after };
    same((await loop(context, "moved", more))[1], ANSWERS.moved);
  },
  errors: (context) => fails((play) => ask(context, prompt(play)), (error) => error.status),
  broken: (context) => breaks(async (play) => (await all(stream(context, prompt(play)))).at(-1)),
  cancelled: (context) =>
    leaves(context, async (asked) => {
      const leaving = new AbortController();
      try {
        for await (const _ of await stream(context, asked, { abortSignal: leaving.signal })) leaving.abort();
      } catch {
        // the SDK says that it was aborted
      }
    }),
};

export const clients = [gemini];
