-- The requests of wrk: the bodies of $BODIES, a JSON object a line, in turn, for the model $MODEL. Each has a number of its own in
-- place of NONCE00000, so that no cache of whole requests ever hits. Prints `RESULT {json}`, latencies in microseconds.
local parts, count, number = {}, 0, 0

function setup(thread) thread:set("tid", 0) end

function init(_)
  local model = os.getenv("MODEL")
  for line in io.lines(os.getenv("BODIES")) do
    local body = line:gsub("__MODEL__", function() return model end)
    local first, last = body:find("NONCE00000", 1, true)
    local request = wrk.format("POST", nil, nil, body)
    local head = #request - #body
    count = count + 1
    parts[count] = { request:sub(1, head + first - 1), request:sub(head + last + 1) }
  end
  number = (os.time() * 7919) % 4000000000
end

function request()
  number = number + 1
  local part = parts[number % count + 1]
  return part[1] .. string.format("%010d", number) .. part[2]
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    'RESULT {"answers":%d,"seconds":%.6f,"p50":%.1f,"p90":%.1f,"p99":%.1f,"max":%.1f,"bad_status":%d,"socket_errors":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(90), latency:percentile(99),
    latency.max, errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
