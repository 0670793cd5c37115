-- Damaged folders: those of the original, damaged in every way we can think of, at places that
-- a seed chooses, one way or two at once. A damage costs at most what it touched; the server opens
-- the folder, takes samples for every series that is left, and a repair leaves nothing to find.
-- LONG=1 tries many more; a failure prints its seed.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local damage = require "spec.support.damage"
local engine = require "spec.unit.store.engine"
local fixtures = require "spec.support.fixtures"
local C = tide.load("base/logger.h", "disk/volume.h", "disk/verify.h")
jit.off(true, true)

local FOREVER = 9223372036854775807LL
local NOW = 1700000000000
local rounds = os.getenv("LONG") == "1" and 40 or 2

local function generator(seed)
  local state = seed * 7919 % 2147483646 + 1
  return function(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
end

local function open(path, repair)
  return engine.open { data_dir = path, retention_ms = FOREVER, clock_ms = NOW,
    force_recovery = repair or false, pedantic = repair or false }
end

-- { [metric] = { fp, at = { [time] = bits } } }
local function read_all(store)
  local found, hex = {}, ffi.new("char[17]")
  store:each({}, nil, nil, function(series, columns, text)
    assert(columns, text)
    local one, last = { at = {}, count = tonumber(columns.len) }, nil
    for i = 0, one.count - 1 do
      local time = tonumber(columns.times_ms[i])
      assert(not last or time > last, text .. ": not in order of time")
      last = time
      one.at[time] = tide.bits(columns.values[i])
    end
    C.fingerprint_format(hex, series.fp)
    one.fp = ffi.string(hex)
    local key = fixtures.key(engine.metric(series.labels))
    assert(not found[key], text .. " twice")
    found[key] = one
  end)
  return found
end

local function check_series(series, got, allowed)
  for _, sample in ipairs(series.samples) do
    local value = got and got.at[sample[1]]
    if value == nil then
      assert(allowed.lost(series.fingerprint, sample[1]), ("%s: sample at %.0f is lost")
        :format(series.fingerprint, sample[1]))
    elseif value ~= sample[3] then
      assert(allowed.wrong(series.fingerprint, sample[1]), ("%s: sample at %.0f is %s, not %s")
        :format(series.fingerprint, sample[1], value, sample[3]))
    end
  end
end

-- No sample comes from nowhere.
local function check_invented(expected, found, allowed)
  local known = {}
  for _, series in ipairs(expected.series) do
    local times = {}
    for _, sample in ipairs(series.samples) do times[sample[1]] = true end
    known[fixtures.key(series.metric)] = times
  end
  for key, one in pairs(found) do
    for time in pairs(one.at) do
      assert(known[key] and known[key][time] or time >= NOW or allowed.wrong(one.fp, time) or
        allowed.vague[one.fp], one.fp .. ": a sample from nowhere")
    end
  end
end

local function compare(expected, store, allowed, exact)
  local found = read_all(store)
  for _, series in ipairs(expected.series) do
    check_series(series, found[fixtures.key(series.metric)], allowed)
  end
  if exact then check_invented(expected, found, allowed) end
  return found
end

-- Every series that is left takes a sample, under its own fingerprint, and keeps it. Returns the
-- store, opened anew.
local pushes = 0
local function use(store, path, found, allowed)
  local entries = {}
  pushes = pushes + 1
  for key, one in pairs(found) do
    local labels = {}
    for pair in (key .. "\1"):gmatch("(.-)\1") do
      local name, value = pair:match("^(.-)%z(.*)$")
      if name then labels[name] = value end
    end
    -- Pushes want a name (the original did not), and labels in UTF-8.
    if labels.__name__ and not allowed.vague[one.fp] then
      entries[#entries + 1] = { labels, { NOW + pushes, 42.5 } }
    end
  end
  local accepted, refused, examples = store:push(entries)
  assert(accepted == #entries, ("%s of %d taken; %s"):format(tostring(accepted), #entries,
    tostring(examples and examples[1] or refused)))
  store:advance(2 * 3600000)
  store:run "maintain"
  store:run "persist"
  store:run "checkpoint"
  assert(store:close())
  store = assert(open(path))
  assert(not store:stats().started_dirty, "dirty after a clean stop")
  local again = read_all(store)
  for key, one in pairs(found) do
    local now = again[key]
    assert(now and now.fp == one.fp, one.fp .. " has gone or moved")
    for time, value in pairs(one.at) do
      assert(now.at[time] == value or allowed.lost(one.fp, time), one.fp .. " changed")
    end
  end
  return store
end

local function verify(path)
  local err, summary = tide.error(), ffi.new("struct verify_summary")
  local volume = C.volume_posix_open(path, false, err)
  local scratch_path = engine.folder()
  local scratch = C.volume_posix_open(scratch_path, false, err)
  local options, first = ffi.new("struct verify_options"), nil
  options.scratch = scratch
  options.finding = function(_, f)
    local file = ffi.string(f.file)
    if file:find("^orphaned") then return end
    first = first or file .. ": " .. ffi.string(f.text)
  end
  local status = C.verify_volume(volume, options, summary, err)
  options.finding:free()
  volume.close(volume)
  scratch.close(scratch)
  engine.remove(scratch_path)
  assert(status == 0, tide.text(err))
  assert(not first, first)
end

local function either(a, b)
  return function(fp, time) return a(fp, time) or b(fp, time) end
end

-- Damages a fixture `count` times and goes through its life.
local function try(name, kinds, random, note)
  local expected = tide.vectors("prom1x/" .. name .. ".expected.json")
  local path, folder = fixtures.unpack(name)
  local allowed = { lost = function() return false end, wrong = function() return false end,
    vague = {} }
  for _, kind in ipairs(kinds) do
    local done = damage[kind](path, random)
    if done then
      note[#note + 1] = done.what
      allowed.lost = either(allowed.lost, done.lost)
      if done.wrong then
        allowed.wrong = either(allowed.wrong, done.wrong)
        -- A damaged value or time may look sound: then the series' times are not those expected.
        for _, series in ipairs(expected.series) do
          for _, sample in ipairs(series.samples) do
            if done.wrong(series.fingerprint, sample[1]) then
              allowed.vague[series.fingerprint] = true
              break
            end
          end
        end
      end
      allowed.mappings = allowed.mappings or done.mappings
    end
  end
  local clean = name ~= "crashed" and name ~= "crashed-torn" and name ~= "heads-cut-clean"
  local store, problem = open(path)
  if not store and allowed.mappings then
    assert(problem:find("tidemark repair", 1, true), problem)
    store = assert(open(path, true))
  end
  assert(store, problem)
  local first = compare(expected, store, allowed, clean)
  if random(2) == 1 then -- without a repair in between
    store = use(store, path, first, allowed)
  end
  assert(store:close())
  store = assert(open(path, true))
  local found = compare(expected, store, allowed, clean)
  assert(store:close())
  verify(path)
  store = assert(open(path))
  assert(use(store, path, found, allowed):close())
  engine.remove(folder)
end

local folders = { "clean-delta", "clean-varbit", "mixed-encodings", "archived", "collisions",
  "heads-v1", "heads-v2-offset", "crashed", "crashed-torn", "heads-cut-clean" }

describe("a damaged folder", function()
  local level

  setup(function()
    level = C.logger_level()
    C.logger_set_level(C.LOG_LEVEL_ERROR)
  end)
  teardown(function() C.logger_set_level(level) end)

  local function run(name, kinds, seed)
    local note = {}
    local ok, why = pcall(try, name, kinds, generator(seed), note)
    if not ok then
      error(("%s, seed %d, %s: %s"):format(name, seed, table.concat(note, "; "), tostring(why)), 0)
    end
  end

  for k, kind in ipairs(damage.kinds) do
    it("costs at most what was touched: " .. kind, function()
      for seed = 1, rounds do
        local name = folders[(k + seed * 3) % #folders + 1]
        run(name, { kind }, seed * 100 + k)
      end
    end)
  end

  it("costs at most what was touched, in two ways at once", function()
    for seed = 1, rounds * 5 do
      local random = generator(seed + 5000)
      local kinds = { damage.kinds[random(#damage.kinds)], damage.kinds[random(#damage.kinds)] }
      local both = table.concat(kinds, " ")
      -- Metrics are found again in the label index only while that is whole.
      if not (both:find("index") and both:find("heads")) and kinds[1] ~= kinds[2] then
        run(folders[random(#folders)], kinds, seed)
      end
    end
  end)
end)
