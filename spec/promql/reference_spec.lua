-- The engine against the reference evaluator (spec/promql/reference): random queries over random
-- series at random times. LONG=1 tries more.
local json = require "cjson"
local library = require "spec.promql.library_query"
local memory = require "spec.support.memory_querier"
local promql = require "spec.support.promql"
local random_query = require "spec.promql.random_query"
local reference = require "spec.promql.reference.evaluator"

local rounds = tonumber(os.getenv("ROUNDS")) or os.getenv("LONG") == "1" and 20000 or 1000
local queries = random_query.new { seed = tonumber(os.getenv("SEED")) or 4711, whole = true }

local function key(labels)
  local parts = {}
  for name, value in pairs(labels) do parts[#parts + 1] = name .. "=" .. value end
  table.sort(parts)
  return table.concat(parts, ",")
end

describe("an instant query", function()
  it("answers what the reference evaluator answers", function()
    local store, series, compared, failures
    for round = 1, rounds do
      if round % 50 == 1 then
        if store then store.close() end
        store, series = memory.new { knows_last = round % 100 == 1 }, queries:series()
        for _, one in ipairs(series) do store.add_series(one) end
      end
      local text = queries:vector(queries:number(1, 4))
      local time = queries:number(-20, 1400) * 1000 + queries:number(0, 1) * 137
      local tree = json.decode(promql.json(text))
      local expected, problem = reference.instant(series, tree, time)
      local answer, why = library.ask(store, text, time, 0, 0)
      if problem then
        failures = (failures or 0) + 1
        assert(not answer and why:find(problem, 1, true), ("%s at %d: %s, should fail: %s"):format(
          text, time, tostring(why), problem))
      else
        assert(answer, ("%s at %d fails: %s"):format(text, time, tostring(why)))
        local wanted = {}
        for _, sample in ipairs(expected) do wanted[key(sample.labels)] = sample.value end
        local equal, difference = library.same(answer[time], wanted, 1e-9)
        assert(equal, ("%s at %d: %s"):format(text, time, tostring(difference)))
        compared = (compared or 0) + (next(wanted) and 1 or 0)
      end
    end
    store.close()
    assert.is_true(compared > rounds / 3, "too little was compared: " .. compared)
    assert.is_true((failures or 0) < rounds / 4, "too many queries fail")
  end)
end)
