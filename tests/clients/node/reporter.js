// One line per check, as the Python scripts print them, and the whole error of one that failed.
import { inspect } from "node:util";

export default async function* report(events) {
  for await (const { type, data } of events) {
    if (type === "test:pass") yield `ok: ${data.name}\n`;
    if (type === "test:fail") yield `FAILED: ${data.name}\n${inspect(data.details.error.cause ?? data.details.error)}\n`;
    if (type === "test:stderr" || type === "test:stdout") yield data.message;
  }
}
