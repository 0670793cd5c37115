-- Lists of edits against a model that keeps a value for every time: what is below, and what each
-- edit makes of it.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("model/columns.h", "store/edit_list.h")

local TIMES = 40
local heap = ffi.new("struct edit_memory")

local function generator(seed)
  local state = seed * 7919 % 2147483646 + 1
  return function(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
end

local resolve = {
  [0] = function(_, comes) return comes end,
  [1] = function(there) return there end,
  [2] = math.max,
}

local function apply_put(model, time, value, rule)
  model[time] = model[time] and resolve[rule](model[time], value) or value
end

local function columns_of(model)
  local columns = ffi.new("struct columns")
  for time = 1, TIMES do
    if model[time] then C.columns_append(columns, time, model[time]) end
  end
  return columns
end

local function read(columns)
  local out, last = {}, 0
  for i = 0, tonumber(columns.len) - 1 do
    local time = tonumber(columns.times_ms[i])
    assert(time > last, "times are not in order")
    out[time], last = columns.values[i], time
  end
  return out
end

local function copy(model)
  local out = {}
  for time, value in pairs(model) do out[time] = value end
  return out
end

-- Random edits, also on the model; `rule` of all puts.
local function edit(random, list, model, rule, steps)
  for _ = 1, steps do
    local kind = random(4)
    if kind <= 2 then
      local time, value = random(TIMES), random(9)
      C.edit_list_put(list, heap, time, value, rule)
      apply_put(model, time, value, rule)
    elseif kind == 3 then
      local from = random(TIMES)
      local to = math.min(TIMES, from + random(8) - 1)
      C.edit_list_mark(list, heap, from, to)
      for time = from, to do model[time] = nil end
    else
      local times, values, n = {}, {}, 0
      for time = random(TIMES), TIMES, random(9) do
        n = n + 1
        times[n], values[n] = time, random(9)
        apply_put(model, time, values[n], rule)
      end
      C.edit_list_put_sorted(list, heap, ffi.new("int64_t[?]", n, times),
        ffi.new("double[?]", n, values), n, rule)
    end
  end
end

local function each_seed(count, visit)
  for seed = 1, count do
    local random = generator(seed)
    local below, rule = {}, random(3) - 1
    for time = 1, TIMES do
      if random(2) == 1 then below[time] = random(9) end
    end
    local ok, problem = pcall(visit, random, below, rule)
    if not ok then error("seed " .. seed .. ": " .. tostring(problem)) end
  end
end

describe("a list of edits", function()
  it("says of every time what its edits made of it, one after the other", function()
    each_seed(500, function(random, below, rule)
      local list, model = ffi.new("struct edit_list"), copy(below)
      edit(random, list, model, rule, random(12))
      local columns = columns_of(below)
      C.edit_list_overlay(list, columns, 0, 1, TIMES)
      assert.same(model, read(columns))
      -- Once more: a reader may lay it over a file that has it already.
      C.edit_list_overlay(list, columns, 0, 1, TIMES)
      assert.same(model, read(columns))
      C.columns_destroy(columns)
      C.edit_list_destroy(list, heap)
    end)
  end)

  it("tells whether it changes anything", function()
    each_seed(200, function(random, below, rule)
      local list, model = ffi.new("struct edit_list"), copy(below)
      edit(random, list, model, rule, random(2))
      local columns = columns_of(below)
      local changed, same = C.edit_list_overlay(list, columns, 0, 1, TIMES), true
      for time = 1, TIMES do same = same and model[time] == below[time] end
      -- A mark under a put of the old value may count as a change.
      if not same then assert.is_true(changed) end
      assert.is_false(C.edit_list_overlay(list, columns, 0, 1, TIMES) and list.mark_count == 0)
      C.columns_destroy(columns)
      C.edit_list_destroy(list, heap)
    end)
  end)

  it("on top of another is one list", function()
    each_seed(500, function(random, below, rule)
      local older, newer = ffi.new("struct edit_list"), ffi.new("struct edit_list")
      local model = copy(below)
      edit(random, older, model, rule, random(8))
      edit(random, newer, model, rule, random(8))
      C.edit_list_compose(older, heap, newer)
      local columns = columns_of(below)
      C.edit_list_overlay(older, columns, 0, 1, TIMES)
      assert.same(model, read(columns))
      C.columns_destroy(columns)
      C.edit_list_destroy(older, heap)
      C.edit_list_destroy(newer, heap)
    end)
  end)

  it("falls into the part that is copied and the part that is left", function()
    each_seed(500, function(random, below, rule)
      local list, part = ffi.new("struct edit_list"), ffi.new("struct edit_list")
      local model = copy(below)
      edit(random, list, model, rule, random(12))
      local from = random(TIMES)
      local to = math.min(TIMES, from + random(15) - 1)
      C.edit_list_copy(list, from, to, part, heap)
      C.edit_list_forget(list, heap, from, to)
      assert.is_false(C.edit_list_touches(list, from, to))
      local columns = columns_of(below)
      C.edit_list_overlay(part, columns, 0, 1, TIMES)
      local got = read(columns)
      for time = 1, TIMES do
        assert.equal((time >= from and time <= to and model or below)[time], got[time])
      end
      C.edit_list_overlay(list, columns, 0, 1, TIMES)
      assert.same(model, read(columns))
      C.columns_destroy(columns)
      C.edit_list_destroy(list, heap)
      C.edit_list_destroy(part, heap)
    end)
  end)

  it("prefers numbers to NaN where the greater counts", function()
    local nan = 0 / 0
    assert.equal(3, C.duplicate_resolve(C.DUPLICATE_MAX, nan, 3))
    assert.equal(3, C.duplicate_resolve(C.DUPLICATE_MAX, 3, nan))
    assert.equal(4, C.duplicate_resolve(C.DUPLICATE_MAX, 3, 4))
    assert.equal(4, C.duplicate_resolve(C.DUPLICATE_MAX, 4, 3))
  end)
end)
