// What the openai Node SDK can do and what it throws, through the proxy; ../openai_node.py runs this.
import assert from "node:assert/strict";
import test from "node:test";

import OpenAI from "openai";
import { makeParseableResponseFormat } from "openai/lib/parser";

const { PROXY, GUARDED_PROXY, NO_PROXY_HERE, UPSTREAM } = process.env;
const EASY = [{ role: "user", content: "What is the capital of France?" }];
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false };
const WEATHER = { type: "function", function: { name: "weather", parameters: SCHEMA } };
const ROUNDS = Number(process.env.ROUNDS ?? 20);
const BY_MODEL = /^by (small|frontier)-1$/;

const sdk = (options = {}) =>
  new OpenAI({ baseURL: `${options.url ?? PROXY}/v1`, apiKey: "sk-of-the-client", maxRetries: 0, timeout: 30_000, ...options });

const ask = (body = {}, options = {}) => sdk(options).chat.completions.create({ model: "auto", messages: EASY, ...body });

// The upstream's side: the request that it got, that a stream may go on, and that its client left.
const look = async (what) => (await fetch(`${UPSTREAM}/${what}`)).json();

test.beforeEach(() => look("forget"));

async function wasRouted(path) {
  const request = await look("request");
  assert.equal(request.path, path);
  assert.match(request.body.model, /^(small|frontier)-1$/);
  return request;
}

async function collected(stream) {
  const events = [];
  for await (const event of stream) {
    if (events.push(event) === 1) await look("first-event-seen"); // only now the upstream goes on
  }
  return events;
}

test("a completion is answered by the chosen model", async () => {
  const { data, response } = await ask({ temperature: 0.2 }).withResponse();

  const { body } = await wasRouted("/v1/chat/completions");
  assert.deepEqual(body, { model: `${response.headers.get("x-pointsman-model")}-1`, messages: EASY, temperature: 0.2 });
  assert.equal(data.choices[0].message.content, `by ${body.model}`);
  assert.equal(data._request_id, response.headers.get("x-pointsman-request-id"));
});

test("a stream arrives event by event", async () => {
  const events = await collected(await ask({ stream: true, user: "paused" }));

  await wasRouted("/v1/chat/completions");
  assert.match(events.map((event) => event.choices[0].delta.content ?? "").join(""), BY_MODEL);
});

test("tools are called", async () => {
  const answer = await ask({ tools: [WEATHER] });

  await wasRouted("/v1/chat/completions");
  assert.equal(answer.choices[0].message.tool_calls[0].function.arguments, '{"city":"Paris"}');
});

test("tool calls stream", async () => {
  const answer = await sdk().chat.completions.stream({ model: "auto", messages: EASY, tools: [WEATHER] }).finalChatCompletion();

  await wasRouted("/v1/chat/completions");
  assert.equal(answer.choices[0].message.tool_calls[0].function.arguments, '{"city":"Paris"}');
});

test("structured output is parsed", async () => {
  const response_format = { type: "json_schema", json_schema: { name: "place", schema: SCHEMA, strict: true } };
  const parseable = makeParseableResponseFormat(response_format, JSON.parse);
  const answer = await sdk().chat.completions.parse({ model: "auto", messages: EASY, response_format: parseable });

  assert.deepEqual((await wasRouted("/v1/chat/completions")).body.response_format.json_schema, response_format.json_schema);
  assert.deepEqual(answer.choices[0].message.parsed, { city: "Paris" });
});

test("a response is answered", async () => {
  const answer = await sdk().responses.create({ model: "auto", input: "hi" });

  await wasRouted("/v1/responses");
  assert.match(answer.output_text, BY_MODEL);
});

test("a response streams", async () => {
  const events = await collected(await sdk().responses.create({ model: "auto", input: "hi", stream: true, user: "paused" }));

  await wasRouted("/v1/responses");
  assert.equal(events.at(-1).type, "response.completed");
  assert.match(events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join(""), BY_MODEL);
});

test("embeddings are answered", async () => {
  const answer = await sdk().embeddings.create({ model: "auto", input: "one", encoding_format: "float" });

  await wasRouted("/v1/embeddings");
  assert.deepEqual(answer.data[0].embedding, [0.5, -0.5]);
});

test("an image arrives byte for byte but for the model", async () => {
  let sent;
  const watching = (url, init) => fetch(url, ((sent = init.body), init));
  const image = { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=", detail: "low" } };
  await ask({ messages: [{ role: "user", content: [{ type: "text", text: "Was ist das? 🧐" }, image] }] }, { fetch: watching });

  const { raw, body } = await wasRouted("/v1/chat/completions");
  assert.equal(Buffer.from(raw, "base64").toString(), sent.replace('"auto"', JSON.stringify(body.model)));
});

test("models are listed", async () => {
  const models = [];
  for await (const model of sdk().models.list()) models.push(model.id);

  assert.deepEqual(models, ["gone", "late", "auto", "frontier", "small"]);
  assert.equal((await sdk().models.retrieve("auto")).owned_by, "pointsman");
});

for (const [what, body, kind, expected] of [
  ["an unreadable body", { model: 7 }, OpenAI.BadRequestError, { code: "model_not_a_string", param: "model" }],
  ["an unknown model", { model: "gpt-9" }, OpenAI.NotFoundError, { code: "model_not_found", type: "invalid_request_error" }],
  ["an upstream that is gone", { model: "gone" }, OpenAI.InternalServerError, { status: 502, code: "upstream_unreachable" }],
  ["an upstream's refusal", { user: "picky" }, OpenAI.BadRequestError, { code: "string_above_max_length" }],
  ["an upstream's rate limit", { user: "busy" }, OpenAI.RateLimitError, { code: "rate_limit_exceeded" }],
  ["an upstream's failure", { user: "failing" }, OpenAI.InternalServerError, { status: 500 }],
  ["an upstream's overload", { user: "overloaded" }, OpenAI.InternalServerError, { status: 503 }],
]) {
  test(`${what}: ${kind.name}`, async () => {
    const error = await ask(body).catch((error) => error);

    assert.equal(error.constructor, kind);
    for (const [name, value] of Object.entries(expected)) assert.equal(error[name], value);
    if (body.user) await look("request");
    if (body.user === "busy") assert.equal(error.headers.get("retry-after"), "7");
  });
}

test("an unknown key is an AuthenticationError", async () => {
  await ask({}, { url: GUARDED_PROXY, apiKey: "pk-team" });

  await assert.rejects(ask({}, { url: GUARDED_PROXY }), (error) => error.constructor === OpenAI.AuthenticationError);
});

test("a client that does not wait gets its timeout, and the upstream's work ends", async () => {
  const error = await ask({ user: "silent" }, { timeout: 2_000 }).catch((error) => error);

  assert.equal(error.constructor, OpenAI.APIConnectionTimeoutError);
  await look("request");
  assert.deepEqual(await look("left"), { left: true });
});

test("a stream that is aborted ends the upstream's work", async () => {
  const stream = await ask({ stream: true, user: "endless" });
  for await (const _ of stream) stream.controller.abort();

  await look("request");
  assert.deepEqual(await look("left"), { left: true });
});

test("a stream that the upstream cuts is an APIError", async () => {
  const readAll = async () => {
    for await (const _ of await ask({ stream: true, user: "broken" }));
  };

  await assert.rejects(readAll(), (error) => error instanceof OpenAI.APIError && error.code === "upstream_error");
  await look("request");
});

test("what a client has not read yet when the upstream cuts a stream is not lost", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const stream = await ask({ stream: true, user: "broken" });
    await ask(); // by now the proxy has seen the end and said what it had to say

    const readAll = async () => {
      for await (const _ of stream);
    };
    await assert.rejects(readAll(), (error) => error.code === "upstream_error", `round ${round}`);
  }
});

test("a response that the upstream cuts fails under its own id", async () => {
  const events = await collected(await sdk().responses.create({ model: "auto", input: "hi", stream: true, user: "broken" }));

  const last = events.at(-1);
  assert.deepEqual([events[0].type, last.type], ["response.created", "response.failed"]);
  assert.deepEqual([last.response.id, last.response.status], [events[0].response.id, "failed"]);
  assert.deepEqual([last.response.error.code, last.sequence_number], ["upstream_error", events.length - 1]);
});

test("an answer that the upstream cuts is an InternalServerError", async () => {
  await assert.rejects(ask({ user: "broken" }), (error) => error.status === 502 && error.code === "upstream_error");
});

test("a proxy that is not there is an APIConnectionError", async () => {
  await assert.rejects(ask({}, { url: NO_PROXY_HERE }), (error) => error.constructor === OpenAI.APIConnectionError);
});
