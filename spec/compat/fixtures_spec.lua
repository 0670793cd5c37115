-- Data folders that Prometheus 1.x wrote: every sample of every series comes back bit for bit, and
-- again after a clean stop and another start. What must be refused is refused.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local fixtures = require "spec.support.fixtures"

local FOREVER = 9223372036854775807LL

local function open(path)
  return engine.open { data_dir = path, retention_ms = FOREVER }
end

-- { [metric] = { fp = hex, times = {...}, bits = {...} } } of all series.
local function read_all(store)
  local found = {}
  local hex = ffi.new("char[17]")
  store:each({}, nil, nil, function(series, columns, text)
    assert(columns, text)
    local one = { times = {}, bits = {} }
    for i = 0, tonumber(columns.len) - 1 do
      one.times[i + 1] = tonumber(columns.times_ms[i])
      one.bits[i + 1] = tide.bits(columns.values[i])
    end
    engine.C.fingerprint_format(hex, series.fp)
    one.fp = ffi.string(hex)
    local key = fixtures.key(engine.metric(series.labels))
    assert(not found[key], "a metric twice")
    found[key] = one
  end)
  return found
end

local function count(t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

-- `longer`: series may hold more than expected at their end, and there may be more series.
local function compare(expected, found, longer)
  for _, series in ipairs(expected.series) do
    local name = series.fingerprint
    local got = found[fixtures.key(series.metric)]
    assert(got, name .. " is missing")
    assert.equal(name, got.fp)
    if not longer then assert.equal(#series.samples, #got.times, name) end
    local at = {}
    for i, time in ipairs(got.times) do at[time] = got.bits[i] end
    for i, sample in ipairs(series.samples) do
      if longer then
        if at[sample[1]] ~= sample[3] then
          error(("%s: sample at %d is %s, not %s"):format(name, sample[1], tostring(at[sample[1]]),
            sample[3]))
        end
      elseif got.times[i] ~= sample[1] or got.bits[i] ~= sample[3] then
        error(("%s: sample %d is %s %s, not %s %s"):format(name, i, tostring(got.times[i]),
          tostring(got.bits[i]), tostring(sample[1]), sample[3]))
      end
    end
  end
  if not longer then assert.equal(#expected.series, count(found)) end
end

local function compare_labels(expected, store)
  local names = store:label_names()
  local want = {}
  for _, name in ipairs(expected.label_names) do want[#want + 1] = name end
  table.sort(want)
  assert.same(want, names)
  for name, values in pairs(expected.label_values) do
    local sorted = {}
    for _, value in ipairs(values) do sorted[#sorted + 1] = value end
    table.sort(sorted)
    assert.same(sorted, store:label_values(name))
  end
end

local clean = {
  "clean-delta", "clean-doubledelta", "clean-varbit", "mixed-encodings", "archived", "wide",
  "collisions", "heads-v1", "heads-v2-offset", "quarantined", "dotfiles-only",
}

for _, name in ipairs(clean) do
  describe("the folder " .. name, function()
    local expected = tide.vectors("prom1x/" .. name .. ".expected.json")
    local path, folder

    setup(function() path, folder = fixtures.unpack(name) end)
    teardown(function() engine.remove(folder) end)

    it("opens with every sample and label", function()
      local store = assert(open(path))
      assert.is_false(store:stats().started_dirty)
      assert.equal(#expected.archived, tonumber(store:stats().series_archived))
      compare(expected, read_all(store))
      compare_labels(expected, store)
      assert(store:close())
      assert.is_false(fixtures.exists(path .. "/DIRTY"))
    end)

    it("holds the same after a clean stop", function()
      local store = assert(open(path))
      assert.is_false(store:stats().started_dirty)
      compare(expected, read_all(store))
      store:run "persist"
      store:run "checkpoint"
      compare(expected, read_all(store))
      assert(store:close())
      store = assert(open(path))
      assert.is_false(store:stats().started_dirty)
      compare(expected, read_all(store))
      compare_labels(expected, store)
      assert(store:close())
    end)

    it("holds the same after a crash", function()
      local store = assert(open(path))
      store:run "persist"
      store:abandon()
      assert.is_true(fixtures.exists(path .. "/DIRTY"))
      store = assert(open(path))
      assert.is_true(store:stats().started_dirty)
      compare(expected, read_all(store))
      compare_labels(expected, store)
      assert(store:close())
    end)
  end)
end

describe("a folder that must be refused", function()
  local texts = {
    ["wrong-version"] = "version 2",
    ["garbage-version"] = "VERSION",
    ["no-version"] = "",
    ["bad-mappings"] = "mappings.db",
  }
  for name, text in pairs(texts) do
    it(name .. " is", function()
      local path, folder = fixtures.unpack(name)
      local store, problem = open(path)
      assert.is_nil(store)
      assert.truthy(problem:find(text, 1, true), problem)
      engine.remove(folder)
    end)
  end
end)

describe("a crashed folder", function()
  for _, name in ipairs { "crashed", "crashed-torn", "heads-cut-clean" } do
    it(name .. " has at least what the original saved", function()
      local expected = tide.vectors("prom1x/" .. name .. ".expected.json")
      local path, folder = fixtures.unpack(name)
      local store = assert(open(path))
      assert.is_true(store:stats().started_dirty)
      compare(expected, read_all(store), true)
      assert(store:close())
      assert.is_false(fixtures.exists(path .. "/DIRTY"))
      store = assert(open(path))
      assert.is_false(store:stats().started_dirty)
      compare(expected, read_all(store), true)
      assert(store:close())
      engine.remove(folder)
    end)
  end
end)

describe("the lock", function()
  it("keeps a second opener out", function()
    local folder = engine.folder()
    local store = assert(open(folder))
    local second, problem = open(folder)
    assert.is_nil(second)
    assert.truthy(#problem > 0)
    assert(store:close())
    engine.remove(folder)
  end)
end)
