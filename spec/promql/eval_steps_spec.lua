-- A range query answers at each step what an instant query at that time answers (promql.md 9.2):
-- random queries over random data, where the two take different ways through the evaluator
-- (sliding windows, parts evaluated once, whole rows, last values). LONG=1 tries more.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local memory = require "spec.support.memory_querier"
local C = tide.load("promql/annotations.h", "promql/engine.h")

local rounds = os.getenv("LONG") == "1" and 6000 or 600
local seed = 20260101

-- A generator of our own: math.random differs between builds.
local function random(low, high)
  seed = (seed * 1103515245 + 12345) % 2147483648
  return low + math.floor(seed / 2147483648 * (high - low + 1))
end
local function pick(list) return list[random(1, #list)] end

local function fill(store)
  for _, name in ipairs { "a_total", "b", "c_bucket" } do
    for h = 1, 3 do
      for d = 1, 2 do
        local labels = { { "__name__", name }, { "d", tostring(d) },
          { "h", tostring(name == "c_bucket" and 1 or h) } }
        if name == "c_bucket" then
          labels[#labels + 1] = { "le", ({ "1", "2", "+Inf" })[h] }
        end
        local every, value, samples = pick { 7000, 10000, 15000, 30000 }, random(0, 9), {}
        for i = 0, 119 do
          local kind = random(1, 20)
          value = name == "b" and random(-5, 5) or value + random(0, 3)
          if name ~= "b" and random(1, 15) == 1 then value = 0 end
          local sample = value
          if kind == 1 then sample = nil
          elseif kind == 2 then sample = memory.STALE
          elseif kind == 3 and name == "b" then sample = pick { 0 / 0, 1 / 0, -1 / 0 } end
          if sample then samples[#samples + 1] = { i * every, sample } end
        end
        store.add(labels, samples)
      end
    end
  end
end

local vector, scalar

local function window() return pick { "15s", "30s", "1m", "2m", "5m", "7m" } end

local function shift()
  local kind = random(1, 8)
  if kind == 1 then return " offset " .. pick { "10s", "1m", "-30s" } end
  if kind == 2 then return " @ " .. random(0, 900) end
  if kind == 3 then return " @ 300 offset 20s" end
  return ""
end

local function selector()
  return pick { "a_total", "b", "c_bucket", '{__name__=~"a_total|b"}', 'a_total{h="1"}',
    'b{d="2"}', "nothing" }
end

local function range(depth)
  if depth > 0 and random(1, 4) == 1 then
    return ("(%s)[%s:%s]%s"):format(vector(depth - 1), window(), pick { "", "10s", "17s" }, shift())
  end
  return ("%s[%s]%s"):format(selector(), window(), shift())
end

local constants = { "0", "1", "2", "0.5", "0.9", "-1", "3" }

function scalar(depth)
  local kind = random(1, 5)
  if kind == 1 and depth > 0 then return "scalar(" .. vector(depth - 1) .. ")" end
  if kind == 2 then return "(time() % 7)" end
  return pick(constants)
end

local over_time = { "rate", "increase", "delta", "irate", "idelta", "resets", "changes", "deriv",
  "avg_over_time", "sum_over_time", "min_over_time", "max_over_time", "count_over_time",
  "last_over_time", "first_over_time", "stddev_over_time", "present_over_time",
  "ts_of_max_over_time", "mad_over_time", "absent_over_time" }
local forms = {
  function(n) return pick(over_time) .. "(" .. range(n) .. ")" end,
  function(n) return pick(over_time) .. "(" .. range(n) .. ")" end,
  function(n) return ("quantile_over_time(%s, %s)"):format(scalar(n), range(n)) end,
  function(n) return ("predict_linear(%s, 60)"):format(range(n)) end,
  function() return ("rate(%s[%s] %s)"):format(selector(), window(), pick { "anchored",
    "smoothed" }) end,
  function() return selector() .. " smoothed" end,
  function(n)
    return ("%s%s(%s)"):format(pick { "sum", "avg", "min", "max", "count", "group", "stddev" },
      pick { "", " by (h) ", " without (d) ", " by (d, __name__) " }, vector(n))
  end,
  -- The parameter is constant: that of a fixed operand would be taken at the first step only.
  function(n)
    return ("%s%s(%s, %s)"):format(pick { "quantile", "limitk" }, pick { "", " by (h) " },
      pick(constants), vector(n))
  end,
  function(n) return 'count_values("x", ' .. vector(n) .. ")" end,
  function(n) return pick { "abs", "timestamp", "absent", "hour", "-", "sgn" } .. "(" ..
    vector(n) .. ")" end,
  function(n) return ("clamp_max(%s, %s)"):format(vector(n), scalar(n)) end,
  function(n) return ("histogram_quantile(0.5, %s)"):format(vector(n)) end,
  function(n) return ('label_replace(%s, "z", "$1", "h", "(.*)")'):format(vector(n)) end,
  function(n) return "vector(" .. scalar(n) .. ")" end,
  function(n)
    return ("(%s %s %s)"):format(vector(n), pick { "+", "-", "*", "/", ">", "<", "==", "> bool",
      "%" }, scalar(n))
  end,
  function(n)
    return ("(%s %s %s)"):format(vector(n), pick { "+", "-", "*", "/", ">", "<=", "== bool",
      "and", "or", "unless", "+ on (h, d)", "* on (h, d) group_left ()",
      "- ignoring (h) group_right ()", "+ on (h, d) fill (3)", "or on (h)", "and on (d)" },
      vector(n))
  end,
}

function vector(depth)
  if depth <= 0 then return selector() .. shift() end
  return pick(forms)(depth - 1)
end

local function labels_text(labels)
  local text = {}
  for i = 0, tonumber(C.labels_count(labels)) - 1 do
    local label = C.labels_at(labels, i)
    text[#text + 1] = ffi.string(label.name, label.name_len) .. "=" ..
      ffi.string(label.value, label.value_len)
  end
  return table.concat(text, ",")
end

-- { [time] = { [labels] = value } }, or nil and the error.
local function ask(store, text, start, stop, step)
  local query = ffi.new("struct promql_query")
  query.text, query.len = text, #text
  query.start_ms, query.end_ms, query.step_ms = start, stop, step
  query.querier = store.querier
  local value, notes = ffi.new("struct value"), ffi.new("struct annotations")
  local err = tide.error()
  local status = C.promql_execute(query, value, notes, nil, err)
  C.annotations_destroy(notes)
  if status ~= 0 then return nil, tide.text(err) end
  local answer = {}
  for i = 0, tonumber(value.count) - 1 do
    local series = value.series[i]
    local labels = labels_text(series.labels)
    local function put(time, number)
      answer[time] = answer[time] or {}
      answer[time][labels] = number
    end
    if step == 0 then put(start, series.value) end
    for k = 0, tonumber(series.samples.len) - 1 do
      put(tonumber(series.samples.times_ms[k]), series.samples.values[k])
    end
  end
  C.value_destroy(value)
  return answer
end

local function same(a, b)
  a, b = a or {}, b or {}
  for labels, value in pairs(a) do
    local other = b[labels]
    if other == nil then return false, labels .. " is missing" end
    if value ~= other and (value == value or other == other) then
      return false, ("%s: %.17g and %.17g"):format(labels, value, other)
    end
  end
  for labels in pairs(b) do
    if a[labels] == nil then return false, labels .. " is extra" end
  end
  return true
end

describe("a range query", function()
  it("is the instant queries at its steps", function()
    local store, compared, failures = nil, 0, 0
    for round = 1, rounds do
      if round % 50 == 1 then
        if store then store.close() end
        store = memory.new { knows_last = round % 100 == 1 }
        fill(store)
      end
      local text = vector(random(1, 4))
      local start, step = random(-2, 60) * 5000, pick { 5000, 10000, 13000, 60000 }
      local steps = random(2, 10)
      local all, problem = ask(store, text, start, start + step * (steps - 1), step)
      local some_fails
      for k = 0, steps - 1 do
        local time = start + k * step
        local one, why = ask(store, text, time, 0, 0)
        some_fails = some_fails or why
        if all then
          assert(one, ("%s at %d fails alone: %s"):format(text, time, tostring(why)))
          local equal, difference = same(all[time], one[time])
          assert(equal, ("%s at %d of %d+%d: %s"):format(text, time, start, step,
            tostring(difference)))
          compared = compared + (next(one) and 1 or 0)
        end
      end
      if not all then
        failures = failures + 1
        -- Range queries look for equal label sets at more places (promql.md 9.2).
        assert(some_fails or problem:find("same labelset", 1, true),
          ("%s over %d+%d fails only as a range: %s"):format(text, start, step, tostring(problem)))
      end
    end
    store.close()
    assert.is_true(compared > rounds, "too little was compared: " .. compared)
    assert.is_true(failures < rounds / 4, "too many queries fail: " .. failures)
  end)
end)
