-- Kernels over windows, by promql.md 11 and 13; expected values are upstream's, from its scripts.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("promql/func_range.h")

local HOLE = "7ff0000000000002"

-- values one every `every` ms from 0; nil is a gap.
local function input(list, every, options)
  local times, values, len = ffi.new("int64_t[?]", #list + 100), ffi.new("double[?]", 200), 0
  for i = 1, table.maxn(list) do
    if list[i] then
      times[len], values[len] = (i - 1) * every, list[i]
      len = len + 1
    end
  end
  local range_input = ffi.new("struct range_input")
  range_input.times_ms, range_input.values, range_input.len = times, values, len
  range_input.steps = options.steps or 1
  range_input.ref_ms, range_input.ref_step_ms = options.at, options.step or 0
  range_input.eval_ms, range_input.eval_step_ms = options.at, options.step or 0
  range_input.range_ms, range_input.range_seconds = options.range, options.range / 1000
  range_input.lookback_ms = 300000
  range_input.mode = options.mode or 0
  return range_input, { times, values }
end

local function run(name, list, every, options)
  local range_input, keep = input(list, every, options)
  local out = ffi.new("double[?]", tonumber(range_input.steps))
  local scratch = ffi.new("struct range_scratch")
  C.range_function_find(name).kernel(range_input, scratch, out)
  C.range_scratch_destroy(scratch)
  assert(keep)
  local result = {}
  for k = 1, tonumber(range_input.steps) do
    result[k] = tide.bits(out[k - 1]) == HOLE and "none" or out[k - 1]
  end
  return result
end

local function near(expected, got)
  assert.is_true(type(got) == "number" and math.abs(expected - got) < 1e-6 * math.max(1,
    math.abs(expected)), tostring(expected) .. " ~= " .. tostring(got))
end

-- Upstream's extended_vectors script: metric 1+1x4 9+1x4, every 15 s.
local metric = { 1, 2, 3, 4, 5, 9, 10, 11, 12, 13 }
local minute = 60000

describe("increase", function()
  it("extrapolates to the edges or to zero", function()
    near(4, run("increase", metric, 15000, { at = 50000, range = minute })[1])
    near(8, run("increase", metric, 15000, { at = 80000, range = minute })[1])
  end)
  it("needs two samples", function()
    assert.equal("none", run("increase", metric, 15000, { at = 5000, range = minute })[1])
  end)
  it("takes samples at the edges when anchored", function()
    local function anchored(at)
      return run("increase", metric, 15000, { at = at, range = minute, mode = 1 })[1]
    end
    near(1, anchored(20000))
    near(2, anchored(35000))
    near(7, anchored(80000))
    near(7, anchored(125000))
  end)
  it("interpolates at the edges when smoothed", function()
    local function smoothed(at)
      return run("increase", metric, 15000, { at = at, range = minute, mode = 2 })[1]
    end
    near(1 / 3, smoothed(5000))
    near(10 / 3, smoothed(50000))
    near(5, smoothed(65000))
    near(7, smoothed(95000))
  end)
  it("adds what resets took away", function()
    near(25, run("increase", { 10, 20, 5, 15 }, 1000, { at = 3000, range = 3001 })[1] * 3 / 3.001)
  end)
  it("slides over the steps as it answers each alone", function()
    local values = {}
    for i = 1, 90 do values[i] = (i * 7919) % 13 end
    local all = run("increase", values, 1000, { at = 0, step = 500, steps = 190, range = 9000 })
    for k = 1, 190 do
      local one = run("increase", values, 1000, { at = (k - 1) * 500, range = 9000 })[1]
      assert.equal(one, all[k])
    end
  end)
end)

describe("windows", function()
  it("are open on the left", function()
    assert.equal(1, run("count_over_time", { 1, 2, 3 }, minute, { at = 2 * minute, range = minute })
      [1])
  end)
  it("agree with each step alone for every function", function()
    local values = {}
    for i = 1, 80 do
      if i % 11 ~= 0 then values[i] = (i * 7919) % 17 end
    end
    values[30] = 0 / 0
    for _, name in ipairs { "min_over_time", "max_over_time", "ts_of_min_over_time", "changes",
      "ts_of_max_over_time", "resets", "sum_over_time", "avg_over_time", "stddev_over_time",
      "count_over_time", "last_over_time", "first_over_time", "deriv", "irate", "idelta", "delta",
      "rate", "mad_over_time", "present_over_time" } do
      local all = run(name, values, 1000, { at = -3000, step = 700, steps = 130, range = 7000 })
      for k = 1, 130 do
        local one = run(name, values, 1000, { at = -3000 + (k - 1) * 700, range = 7000 })[1]
        assert.is_true(one == all[k] or (one ~= one and all[k] ~= all[k]),
          name .. " step " .. k .. ": " .. tostring(one) .. " " .. tostring(all[k]))
      end
    end
  end)
end)

describe("extremes", function()
  local nan = 0 / 0
  local function at_end(name, list)
    return run(name, list, 1000, { at = (#list - 1) * 1000, range = 100000 })[1]
  end
  it("skip NaN unless there is nothing else", function()
    assert.equal(1, at_end("min_over_time", { nan, 3, 1, nan, 2 }))
    assert.equal(3, at_end("max_over_time", { nan, 3, 1, nan, 2 }))
    local all = at_end("max_over_time", { nan, nan })
    assert.is_true(all ~= all)
  end)
  it("tell the time of the last one", function()
    assert.equal(3, at_end("ts_of_min_over_time", { 4, 1, 5, 1, 2 }))
    assert.equal(2, at_end("ts_of_max_over_time", { 4, 1, 5, 1, 2 }))
  end)
end)
