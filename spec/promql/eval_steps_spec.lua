-- A range query answers at each step what an instant query at that time answers (promql.md 9.2):
-- random queries over random data, where the two take different ways through the evaluator
-- (sliding windows, parts evaluated once, whole rows, last values). LONG=1 tries more.
local memory = require "spec.support.memory_querier"
local library = require "spec.promql.library_query"
local ask, same = library.ask, library.same

local random_query = require "spec.promql.random_query"

local rounds = os.getenv("LONG") == "1" and 6000 or 600
local queries = random_query.new { seed = 20260101 }
local function random(low, high) return queries:number(low, high) end
local function pick(list) return queries:pick(list) end

local function fill(store)
  for _, series in ipairs(queries:series()) do store.add_series(series) end
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
      local text = queries:vector(random(1, 4))
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
