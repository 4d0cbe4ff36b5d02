// The public Node SDKs against upstreams that speak another vendor's API. A line of JSON per cell; matrix.py reads them.
import * as anthropic from "./anthropic.js";
import * as google from "./google.js";
import * as openai from "./openai.js";
import * as vercel from "./vercel.js";

const { PROXY, VENDORS } = process.env;
const [chosen, capabilities, upstreams] = ["CHOSEN", "CAPABILITIES", "UPSTREAMS"].map((name) => JSON.parse(process.env[name]));

for (const client of [openai, anthropic, google, vercel].flatMap((module) => module.clients)) {
  if (chosen.length && !chosen.some((part) => client.name.includes(part))) continue;
  for (const upstream of upstreams) {
    for (const capability of capabilities.filter((name) => client[name])) {
      const notes = [];
      const context = { url: PROXY, vendors: VENDORS, upstream, model: `${client.prefix}-to-${upstream}`, notes };
      context.after = `${client.prefix}-to-${upstreams.at(upstreams.indexOf(upstream) - 1)}`; // where `moved` goes on
      let problem = "";
      try {
        await client[capability](context);
      } catch (error) {
        problem = `${error?.name}: ${process.env.TRACE ? error?.stack : error?.message ?? error}`;
      }
      console.log(JSON.stringify({ name: client.name, own: client.own, upstream, capability, problem, notes }));
    }
  }
}
