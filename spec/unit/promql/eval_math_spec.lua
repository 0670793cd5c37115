-- Numeric building blocks against values worked out by hand from promql.md 12.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("promql/eval_math.h")

local inf, nan = 1 / 0, 0 / 0

local function doubles(list) return ffi.new("double[?]", #list + 1, list) end
local function quantile(q, list) return C.eval_quantile(q, doubles(list), #list) end
local function is_nan(value) return value ~= value end

local function buckets(list)
  local array = ffi.new("struct bucket[?]", #list + 1)
  for i, b in ipairs(list) do array[i - 1] = { b[1], b[2] } end
  return array, #list
end

describe("eval_quantile", function()
  it("interpolates between neighbours", function()
    assert.equal(2.5, quantile(0.5, { 4, 1, 3, 2 }))
    assert.equal(1, quantile(0, { 4, 1, 3, 2 }))
    assert.equal(4, quantile(1, { 4, 1, 3, 2 }))
    assert.equal(3.7, quantile(0.9, { 1, 4, 2, 3 }))
  end)
  it("answers infinities outside of 0 .. 1 and NaN for nothing", function()
    assert.equal(-inf, quantile(-0.1, { 1 }))
    assert.equal(inf, quantile(1.1, { 1 }))
    assert.is_true(is_nan(quantile(0.5, {})))
    assert.is_true(is_nan(quantile(nan, { 1 })))
  end)
  it("sorts NaN first", function()
    assert.is_true(is_nan(quantile(0, { 3, nan, 1 })))
    assert.equal(3, quantile(1, { 3, nan, 1 }))
    assert.equal(1, quantile(0.5, { 3, nan, 1 }))
  end)
  it("is poisoned by an infinite neighbour", function()
    assert.is_true(is_nan(quantile(1, { 1, inf })))
  end)
  it("finds every order statistic of a long shuffled list", function()
    local state = 42
    local list = {}
    for i = 1, 500 do list[i] = i end
    for i = 500, 2, -1 do
      state = (state * 1103515245 + 12345) % 2147483648
      local j = state % i + 1
      list[i], list[j] = list[j], list[i]
    end
    for i = 0, 499 do
      local got = quantile(i / 499, list)
      assert.is_true(math.abs(got - (i + 1)) < 1e-9, i .. " " .. got)
    end
  end)
end)

describe("eval_mean", function()
  local function mean(list) return C.eval_mean(doubles(list), #list) end
  it("does not overflow", function() assert.equal(9.9e307, mean { 9.9e307, 9.9e307 }) end)
  it("keeps a constant series", function() assert.equal(0.1, mean { 0.1, 0.1, 0.1 }) end)
  it("knows infinities", function()
    assert.equal(inf, mean { 1, inf })
    assert.is_true(is_nan(mean { inf, -inf }))
  end)
  it("is compensated", function() assert.equal(0.5, mean { 1e100, 1, -1e100, 1 }) end)
end)

describe("eval_variance", function()
  it("is that of the population", function()
    assert.equal(2, C.eval_variance(doubles { 1, 2, 3, 4, 5 }, 5))
    assert.equal(0, C.eval_variance(doubles { 7 }, 1))
  end)
end)

describe("eval_regression", function()
  local slope, intercept = ffi.new("double[1]"), ffi.new("double[1]")
  local function fit(times, values, origin)
    C.eval_regression(ffi.new("int64_t[?]", #times, times), doubles(values), #times, origin, slope,
      intercept)
    return slope[0], intercept[0]
  end
  it("fits a line", function()
    local s, i = fit({ 0, 1000, 2000 }, { 1, 3, 5 }, 1000)
    assert.equal(2, s)
    assert.equal(3, i)
  end)
  it("has slope 0 for a constant and NaN for a constant infinity", function()
    local s, i = fit({ 0, 1000 }, { 4, 4 }, 0)
    assert.equal(0, s)
    assert.equal(4, i)
    s = fit({ 0, 1000 }, { inf, inf }, 0)
    assert.is_true(is_nan(s))
  end)
end)

describe("eval_parse_bound", function()
  local bound = ffi.new("double[1]")
  local function parse(text)
    if C.eval_parse_bound(text, #text, bound) then return bound[0] end
  end
  it("reads what Go reads", function()
    assert.equal(0.5, parse "0.5")
    assert.equal(inf, parse "+Inf")
    assert.equal(inf, parse "infinity")
    assert.equal(1000, parse "1_000")
    assert.equal(0.25, parse "0x1p-2")
  end)
  it("refuses the rest", function()
    for _, text in ipairs { "", " 1", "1 ", "1e400", "0x10", "abc", "_1" } do
      assert.is_nil(parse(text), text)
    end
  end)
end)

describe("eval_bucket_quantile", function()
  local repair = ffi.new("struct bucket_repair")
  local function q(phi, list)
    local array, count = buckets(list)
    return C.eval_bucket_quantile(phi, array, count, repair)
  end
  it("interpolates inside the bucket", function()
    assert.equal(0.5, q(0.5, { { 1, 10 }, { inf, 10 } }))
    assert.equal(3, q(0.75, { { 2, 5 }, { 4, 10 }, { inf, 10 } }))
  end)
  it("takes buckets in any order and adds equal bounds", function()
    assert.equal(3, q(0.75, { { inf, 10 }, { 4, 6 }, { 2, 5 }, { 4, 4 } }))
  end)
  it("answers the highest bound for the last bucket", function()
    assert.equal(1, q(0.99, { { 1, 1 }, { inf, 10 } }))
  end)
  it("is NaN without +Inf, with one bucket, and without observations", function()
    assert.is_true(is_nan(q(0.5, { { 1, 10 }, { 2, 20 } })))
    assert.is_true(is_nan(q(0.5, { { inf, 10 } })))
    assert.is_true(is_nan(q(0.5, { { 1, 0 }, { inf, 0 } })))
  end)
  it("answers infinities for quantiles outside before all else", function()
    assert.equal(-inf, q(-1, {}))
    assert.equal(inf, q(2, {}))
  end)
  it("repairs falling counts and says so", function()
    q(0.5, { { 1, 10 }, { 2, 8 }, { 3, 12 }, { inf, 12 } })
    assert.is_true(repair.forced)
    assert.equal(2, repair.min_bound)
    assert.equal(2, repair.max_bound)
    assert.equal(2, repair.max_diff)
    q(0.5, { { 1, 10 }, { 2, 10 - 1e-13 }, { inf, 12 } })
    assert.is_false(repair.forced)
  end)
end)

describe("eval_bucket_fraction", function()
  local list = { { 1, 4 }, { 2, 8 }, { inf, 10 } }
  local function fraction(low, high)
    local array, count = buckets(list)
    return C.eval_bucket_fraction(low, high, array, count)
  end
  it("interpolates both ends", function()
    assert.is_true(math.abs(fraction(0.5, 1.5) - 0.4) < 1e-12)
  end)
  it("counts everything between the infinities", function()
    assert.equal(1, fraction(-inf, inf))
  end)
  it("counts nothing of the last bucket short of +Inf", function()
    assert.equal(0.8, fraction(0, 100))
  end)
  it("is 0 for an empty span and NaN for NaN", function()
    assert.equal(0, fraction(2, 1))
    assert.is_true(is_nan(fraction(nan, 1)))
  end)
end)
