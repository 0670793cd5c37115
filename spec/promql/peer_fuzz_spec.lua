-- Random range queries, asked of a real server and of Debian's Prometheus 2.42 over the same pushed
-- samples. LONG=1 asks more.
--
-- The documented differences between 2.42 and 3.x are kept out of the way: sample times, query
-- times and the points of subqueries never meet (2.42's ranges are closed on both sides), counters
-- stay far from zero (2.42 cuts the extrapolation to zero before it looks at the threshold), names
-- are left out of the comparison (2.42 drops them at once), and what differs by design is listed
-- below.
local cjson = require "cjson"
local http = require "socket.http"
local library = require "spec.promql.library_query"
local random_query = require "spec.promql.random_query"
local peer_pair = require "spec.promql.peer_pair"
local url = require "socket.url"

local rounds = tonumber(os.getenv("ROUNDS")) or os.getenv("LONG") == "1" and 20000 or 600
local START_S = 1700000400 -- a multiple of ten minutes
local SAMPLES_ODD_MS, QUERY_ODD_S = 331, 0.137

-- What 3.x answers otherwise: a text in the query, and which values differ.
local function differs_by_design(query, ours, theirs)
  local odd = ours ~= ours or theirs ~= theirs or math.abs(ours) == 1 / 0 or
    math.abs(theirs) == 1 / 0
  -- The variance of a group that begins with NaN or infinity is NaN.
  if odd and (query:find("stddev", 1, true) or query:find("stdvar", 1, true)) then return true end
  -- Linear regression and means of infinities, too.
  if odd and (query:find("deriv", 1, true) or query:find("predict_linear", 1, true) or
    query:find("avg", 1, true)) then return true end
  return false
end

local function range(port, query, from, steps, step)
  local body, status = http.request(("http://127.0.0.1:%d/api/v1/query_range"):format(port),
    ("query=%s&start=%.3f&end=%.3f&step=%d"):format(url.escape(query), from,
      from + (steps - 1) * step, step))
  local ok, answer = pcall(cjson.decode, body or "")
  assert(ok, ("%s: %s %s"):format(query, tostring(status), tostring(body)))
  return answer
end

-- { [labels without the name] = { [time] = value } }; nil when two series differ in the name alone.
local function by_labels(result)
  local out = {}
  for _, series in ipairs(result) do
    local parts = {}
    for name, value in pairs(series.metric) do
      if name ~= "__name__" then parts[#parts + 1] = name .. "=" .. value end
    end
    table.sort(parts)
    local key = table.concat(parts, ",")
    out[key] = out[key] or {}
    for _, pair in ipairs(series.values) do
      if out[key][pair[1]] then return nil end
      out[key][pair[1]] = tonumber(pair[2]) or 0 / 0
    end
  end
  return out
end

local function series_of(queries)
  local list = queries:series { odd_ms = SAMPLES_ODD_MS, far_from_zero = true, finite = true }
  for _, one in ipairs(list) do
    for i, sample in ipairs(one.samples) do
      local value = sample[2] == random_query.STALE and "7ff0000000000002" or sample[2]
      one[i] = { START_S * 1000 + sample[1], value }
    end
  end
  return list
end

describe("a random query", function()
  if os.execute("command -v prometheus >/dev/null") ~= 0 then
    pending("prometheus is not installed")
    return
  end
  local queries = random_query.new { seed = tonumber(os.getenv("SEED")) or 815, old = true,
    base_s = START_S + QUERY_ODD_S }
  local pair

  setup(function() pair = peer_pair.start(series_of(queries)) end)
  teardown(function() if pair then pair:stop() end end)

  -- nil, or what differs.
  local function difference(query, mine, other)
    local a, b = by_labels(mine), by_labels(other)
    if not a or not b then return nil end
    for key, values in pairs(a) do
      for time, value in pairs(values) do
        local there = (b[key] or {})[time]
        if not there then return ("{%s} at %.3f: %s is extra"):format(key, time, value) end
        local close = library.same({ x = value }, { x = there }, 1e-7)
        if not close and not differs_by_design(query, value, there) then
          return ("{%s} at %.3f: %.17g, there %.17g"):format(key, time, value, there)
        end
      end
    end
    for key, values in pairs(b) do
      for time in pairs(values) do
        if not (a[key] or {})[time] then return ("{%s} at %.3f is missing"):format(key, time) end
      end
    end
  end

  it("is answered alike", function()
    local compared, one_fails = 0, 0
    for _ = 1, rounds do
      local query = queries:vector(queries:number(1, 4))
      local from = START_S + queries:number(-60, 1500) + QUERY_ODD_S
      local steps, step = queries:number(1, 10), queries:pick { 5, 15, 60 }
      local mine, other = range(pair.ours, query, from, steps, step),
        range(pair.theirs, query, from, steps, step)
      if mine.status ~= other.status then
        one_fails = one_fails + 1
        -- Equal label sets are looked for at other places, as names go at another time.
        local why = mine.error or other.error
        assert(why:find("same labelset", 1, true) or why:find("duplicate series", 1, true) or
          why:find("multiple matches", 1, true), ("%s from %.3f: %s"):format(query, from, why))
      elseif mine.status == "success" then
        local what = difference(query, mine.data.result, other.data.result)
        assert(not what, ("%s from %.3f by %d: %s"):format(query, from, step, tostring(what)))
        compared = compared + math.min(1, #mine.data.result)
      end
    end
    assert.is_true(compared > rounds / 3, "too little was compared: " .. compared)
    assert.is_true(one_fails < rounds / 5, "too many fail on one side: " .. one_fails)
  end)
end)
