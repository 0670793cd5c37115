-- tide.downsample: what a store holds after passes of maintenance, compared with a model that knows
-- the raw samples; what survives restarts, late samples and broken rules.
local ffi = require "ffi"
local json = require "cjson"
local lfs = require "lfs"
local engine = require "spec.unit.store.engine"
local rules = require "spec.support.rules"
local tide = require "spec.support.tide"
local C = tide.load("disk/volume.h", "disk/volume_fault.h", "store/audit.h", "store/plan.h",
  "store/trash.h", "store/delete.h")

local SECOND, MINUTE, HOUR, DAY = 1000, 60000, 3600000, 86400000
local START = 1699920000000 -- a midnight before rules.NOW
local STALE = 0x7ff0000000000002ULL
local EVERY = { ["1m"] = MINUTE, ["5m"] = 5 * MINUTE, ["1h"] = HOUR }

local folders = {}

local function bits_of(value)
  if type(value) == "cdata" then return value end
  return tide.bits64(value)
end
local number = tide.double64

-- --- the model -----------------------------------------------------------------------------------

local combine = {
  avg = function(values)
    local sum = 0
    for _, v in ipairs(values) do sum = sum + v end
    return sum / #values
  end,
  sum = function(values)
    local sum = 0
    for _, v in ipairs(values) do sum = sum + v end
    return sum
  end,
  min = function(values) return math.min(unpack(values)) end,
  max = function(values) return math.max(unpack(values)) end,
  count = function(values) return #values end,
}

-- A window's samples to what is left of them. `before`: the last value before the window.
local function thin(using, window, finish, every, before)
  local values, out = {}, {}
  for _, sample in ipairs(window) do
    if sample[2] ~= STALE then values[#values + 1] = sample end
  end
  local marker = window[#window][2] == STALE and window[#window] or nil
  local last = values[#values]
  if using == "last" then
    out[1] = last
  elseif using == "counter" then
    local kept = { [#values] = true }
    if #values > 0 and (not before or before[1] <= finish - 2 * every) then kept[1] = true end
    local resets = {}
    for i, sample in ipairs(values) do
      local previous = values[i - 1] or before
      if previous and number(sample[2]) < number(previous[2]) then
        kept[i - 1], resets[i] = true, number(previous[2])
      end
    end
    -- The low one only where the next would hide the reset.
    for i = #values, 1, -1 do
      if resets[i] then
        local after = i
        while not kept[after] do after = after + 1 end
        if number(values[after][2]) >= resets[i] then kept[i] = true end
      end
    end
    for i, sample in ipairs(values) do
      if kept[i] then out[#out + 1] = sample end
    end
  elseif last then
    local at = marker and marker[1] - 1 or finish
    local plain = {}
    for i, sample in ipairs(values) do plain[i] = number(sample[2]) end
    local is_done = #values == 1 and last[1] == at
    out[1] = is_done and last or { at, bits_of(combine[using](plain)) }
  end
  out[#out + 1] = marker
  return out, last or before
end

-- raw: { {t, bits}, ... }; windows that end up to `limit` are thinned out.
local function model(raw, using, every, limit)
  local out, i, before = {}, 1, nil
  while i <= #raw do
    local finish = math.ceil(raw[i][1] / every) * every
    local window = {}
    while raw[i] and raw[i][1] <= finish do
      window[#window + 1] = raw[i]
      i = i + 1
    end
    local kept = window
    if finish <= limit then kept, before = thin(using, window, finish, every, before) end
    for _, sample in ipairs(kept) do out[#out + 1] = sample end
  end
  return out
end

-- Increase as Prometheus counts it, without what it extrapolates.
local function increase(samples, from, to)
  local sum, previous = 0, nil
  for _, sample in ipairs(samples) do
    if sample[1] >= from and sample[1] <= to and sample[2] ~= STALE then
      local value = number(sample[2])
      if previous then sum = sum + (value < previous and value or value - previous) end
      previous = value
    end
  end
  return sum
end

-- --- a store -------------------------------------------------------------------------------------

local function open_on(folder, book, options)
  local settings = { data_dir = folder, clock_ms = START, policy = rules.C.rulebook_policy(book),
    retention_ms = rules.FOREVER, clock_slack_ms = 9223372036854775807LL, min_shrink_ratio = 0,
    out_of_order_ms = 30 * MINUTE }
  for name, value in pairs(options or {}) do settings[name] = value end
  return assert(engine.open(settings))
end

local function open(text, options)
  local book, scripts = rules.open({ ["a.lua"] = text }, { max_errors = 1000000 })
  assert(book, scripts)
  local folder = engine.folder()
  folders[#folders + 1] = folder
  return open_on(folder, book, options), book, folder, scripts
end

local function fill(store, raw, labels)
  local entry = { labels or { __name__ = "m" } }
  for i, sample in ipairs(raw) do entry[i + 1] = sample end
  local now = tonumber(engine.C.clock_wall_ms(store.clock))
  if now < raw[#raw][1] then store:advance(raw[#raw][1] - now) end
  assert.equal(#raw, (store:push { entry }))
end

-- Everything into the files: the heads of quiet series close.
local function settle(store)
  store:advance(2 * HOUR)
  store:run "maintain"
  store:run "persist"
end

-- A store a month later, on a volume whose operations can be made to fail.
local function open_faulty(book, raw)
  local folder, err = engine.folder(), tide.error()
  folders[#folders + 1] = folder
  local inner = C.volume_posix_open(folder, true, err)
  local volume = C.volume_fault_new(inner)
  local store = open_on(nil, book, { volume = volume })
  fill(store, raw)
  settle(store)
  store:run "checkpoint" -- there is no log
  store:advance(30 * DAY)
  return store, volume, inner
end

-- A pass in which one operation fails after so many; whether it came to that.
local function maintain_once_failing(store, volume, after)
  C.volume_fault_arm(volume, C.FAULT_ANY, after, 1, 5, C.FAULT_CLEAN)
  pcall(store.run, store, "maintain")
  local failed = C.volume_fault_failed(volume) ~= 0
  C.volume_fault_disarm(volume)
  return failed
end

local function samples(store, name)
  local _, found = next(store:query_bits { { "__name__", "=", name or "m" } })
  return found
end

local function text(list)
  local out = {}
  for i, sample in ipairs(list) do
    out[i] = ("%d %016x"):format(sample[1] - START, sample[2])
  end
  return table.concat(out, "\n")
end

-- One line of the audit for each rule.
local function audit(folder)
  local found = {}
  local file = io.open(folder .. "/audit.jsonl")
  if not file then return found end
  for line in file:lines() do
    local one = json.decode(line)
    if one.action == "downsample" then found[one.by] = one end
  end
  file:close()
  return found
end

-- What a pass would thin out, by rule.
local function plan(store)
  local made, err = ffi.new("struct store_plan"), tide.error()
  assert(C.store_plan(store.store, ffi.new("struct plan_request"), made, err) == 0, tide.text(err))
  local found = {}
  for i = 0, tonumber(made.thinned_count) - 1 do
    local rule = made.thinned[i]
    local one = { decides = tonumber(rule.decides) }
    for _, name in ipairs { "series", "chunks", "samples", "bytes", "first_ms", "last_ms" } do
      one[name] = tonumber(rule.removed[name])
    end
    found[ffi.string(rule.title)] = one
  end
  C.store_plan_destroy(made)
  return found
end

local function file_of(folder)
  local pipe = io.popen("find " .. folder .. " -path '*/??/*.db' -size +0")
  local name = pipe:read "*l"
  pipe:close()
  return name
end

-- What cannot change unless the file is rewritten.
local function stamp(folder)
  local attributes = lfs.attributes(file_of(folder))
  return attributes.ino .. " " .. attributes.size
end

-- A counter with resets, gaps, markers within and at the end of windows.
local function random_samples(count)
  local raw, at, value = {}, START + math.random(100000), 0
  for i = 1, count do
    at = at + (math.random(40) == 1 and math.random(20) * MINUTE or math.random(5, 20) * SECOND)
    local die = math.random(100)
    value = die <= 3 and math.random(0, 3) or value + math.random(0, 9)
    raw[i] = { at, die == 50 and STALE or bits_of(value) }
  end
  raw[count][2] = bits_of(value)
  return raw
end

-- -------------------------------------------------------------------------------------------------

describe("downsampling", function()
  after_each(function()
    rules.close_all()
    for _, folder in ipairs(folders) do engine.remove(folder) end
    folders = {}
  end)

  for _, using in ipairs { "last", "counter", "avg", "min", "max", "sum", "count" } do
    it("by " .. using .. " is what the model says, once and after a restart", function()
      for seed, every in ipairs { "1m", "5m", "1h" } do
        math.randomseed(seed * 100 + #using)
        local raw = random_samples(3000)
        local rule = ('tide.downsample("old", { after = "10d", every = "%s", using = "%s" })')
          :format(every, using)
        local store, book, folder = open(rule)
        fill(store, raw)
        settle(store)
        assert.equal(text(raw), text(samples(store))) -- too young
        local limit = raw[#raw][1] - 1
        local wanted = model(raw, using, EVERY[every], limit)
        assert.is_true(#wanted < #raw)
        store:advance(30 * DAY)
        store:run "maintain"
        assert.equal(text(wanted), text(samples(store)), rule)
        local told = audit(folder).old
        assert.equal(#raw - #wanted, told.samples)
        assert.equal(1, told.series)
        local before = stamp(folder)
        store:run "maintain"
        assert.equal(before, stamp(folder))
        assert.is_true(store:close())

        -- The side file says how far it is; without it, reading does, and nothing changes.
        for _, forget in ipairs { false, true } do
          if forget then assert(os.remove(folder .. "/downsample.state")) end
          store = open_on(folder, book, { clock_ms = START + 60 * DAY })
          store:run "maintain"
          assert.equal(text(wanted), text(samples(store)))
          assert.equal(before, stamp(folder))
          assert.is_true(store:close())
        end
      end
    end)
  end

  it("keeps every increase over whole windows (counter)", function()
    math.randomseed(7)
    local raw = random_samples(4000)
    local store = open 'tide.downsample("c", { after = "1d", every = "5m", using = "counter" })'
    fill(store, raw)
    settle(store)
    store:advance(10 * DAY)
    store:run "maintain"
    local found = samples(store)
    assert.is_true(#found < #raw / 2, #found)
    -- From the last sample of one window to that of another, resets, gaps and all.
    local ends = {}
    for i, sample in ipairs(raw) do
      local finish = math.ceil(sample[1] / (5 * MINUTE))
      if raw[i + 1] and math.ceil(raw[i + 1][1] / (5 * MINUTE)) ~= finish and
        sample[2] ~= STALE then ends[#ends + 1] = sample[1] end
    end
    for _ = 1, 300 do
      local a, b = math.random(#ends), math.random(#ends)
      local from, to = ends[math.min(a, b)], ends[math.max(a, b)]
      assert.equal(increase(raw, from, to), increase(found, from, to))
    end
    assert.equal(increase(raw, START, START + 100 * DAY), increase(found, START, START + 100 * DAY))
  end)

  it("goes on as time goes, in the end with the same result", function()
    math.randomseed(11)
    for _, using in ipairs { "counter", "avg" } do
      local raw = random_samples(6000)
      local store, _, folder =
        open('tide.downsample("g", { after = "1d", every = "5m", using = "' .. using .. '" })')
      local files, last = {}, nil
      for first = 1, #raw, 500 do
        local entry = { { __name__ = "m" } }
        for i = first, math.min(first + 499, #raw) do entry[#entry + 1] = raw[i] end
        store:advance(entry[#entry][1] - tonumber(engine.C.clock_wall_ms(store.clock)) + 1)
        store:push { entry }
        store:run "maintain"
        store:run "persist"
        if file_of(folder) and stamp(folder) ~= last then
          last = stamp(folder)
          files[#files + 1] = last
        end
      end
      settle(store)
      store:advance(10 * DAY)
      store:run "maintain"
      assert.equal(text(model(raw, using, 5 * MINUTE, raw[#raw][1] - 1)), text(samples(store)))
      assert.is_true(#files > 3)
      assert.is_true(store:close())
    end
  end)

  it("has tiers: the older, the coarser", function()
    math.randomseed(13)
    local raw = random_samples(5000)
    local store, _, folder = open [[
      tide.downsample("coarse", { after = "20d", every = "1h", using = "max" })
      tide.downsample("fine", { after = "10d", every = "5m", using = "max" })
      tide.downsample("never asked", { after = "15d", every = "1m", using = "min" })]]
    fill(store, raw)
    settle(store)
    local now = tonumber(engine.C.clock_wall_ms(store.clock))
    -- So that the older half is older than 20 days.
    local middle = raw[2500][1]
    store:advance(middle + 20 * DAY - now)
    local cut = math.floor(middle / HOUR) * HOUR
    store:run "maintain"
    local old, young = {}, {}
    for _, sample in ipairs(raw) do table.insert(sample[1] <= cut and old or young, sample) end
    local wanted = model(old, "max", HOUR, cut)
    for _, sample in ipairs(model(young, "max", 5 * MINUTE, raw[#raw][1] - 1)) do
      wanted[#wanted + 1] = sample
    end
    assert.equal(text(wanted), text(samples(store)))
    local told = audit(folder)
    assert.equal(#raw - #wanted, told.coarse.samples + told.fine.samples)
    assert.is_nil(told["never asked"])
  end)

  it("takes archived series as well, and brings none back into memory", function()
    math.randomseed(17)
    local raw = random_samples(2000)
    local store, _, folder =
      open 'tide.downsample("a", { after = "10d", every = "5m", using = "avg" })'
    fill(store, raw)
    settle(store)
    store:run "maintain"
    assert.equal(1, tonumber(store:stats().series_archived))
    store:advance(30 * DAY)
    store:run "maintain"
    local wanted = model(raw, "avg", 5 * MINUTE, raw[#raw][1] - 1)
    assert.equal(text(wanted), text(samples(store)))
    assert.equal(1, tonumber(store:stats().series_archived))
    assert.equal(#raw - #wanted, audit(folder).a.samples)
    -- It is one that can be taken up again.
    local now = tonumber(engine.C.clock_wall_ms(store.clock))
    assert.equal(1, (store:push { { { __name__ = "m" }, { now, 5 } } }))
    wanted[#wanted + 1] = { now, bits_of(5) }
    assert.equal(text(wanted), text(samples(store)))
    assert.is_true(store:close())
  end)

  it("takes late samples into windows that are done", function()
    local raw = {}
    for i = 1, 2400 do raw[i] = { START + i * 15000, bits_of(i) } end
    local at = START + HOUR + 7 * SECOND
    local wanted = {
      sum = 20 * 250.5 + 1000, -- its samples were 241 to 260
      count = 21,
      max = 1000,
      last = 260,
    }
    for using, value in pairs(wanted) do
      local store, _, folder =
        open(('tide.downsample("l", { after = "10d", every = "5m", using = "%s" })'):format(using))
      fill(store, raw)
      settle(store)
      store:advance(30 * DAY)
      store:run "maintain"
      local before = samples(store)
      assert.equal(1, (store:import { { { __name__ = "m" }, { at, 1000 } } }))
      store:run "merge"
      store:run "maintain"
      local found = samples(store)
      assert.equal(#before, #found, using)
      for i, sample in ipairs(found) do
        assert.equal(before[i][1], sample[1])
        assert.equal(sample[1] == START + HOUR + 5 * MINUTE and value or number(before[i][2]),
          number(sample[2]), using)
      end
      local stamped = stamp(folder)
      store:run "maintain"
      assert.equal(stamped, stamp(folder))
      assert.is_true(store:close())
    end
  end)

  it("by a function gets columns; nil leaves the window as it is", function()
    local raw = {}
    for i = 1, 2400 do raw[i] = { START + i * 15000, bits_of(i % 100) } end
    local store = open [[
      tide.downsample("f", { after = "10d", every = "5m", using = function(times, values, finish)
        if #times ~= #values or times[#times] > finish then error "columns" end
        if times[1] < 1699920000 + 3600 then return nil end
        return values:quantile(0.5)
      end })]]
    fill(store, raw)
    settle(store)
    store:advance(30 * DAY)
    store:run "maintain"
    local found = samples(store)
    local wanted, i = {}, 1
    while i <= #raw do
      local finish, window = math.ceil(raw[i][1] / (5 * MINUTE)) * 5 * MINUTE, {}
      while raw[i] and raw[i][1] <= finish do
        window[#window + 1] = raw[i]
        i = i + 1
      end
      if window[1][1] < START + HOUR or finish >= raw[#raw][1] then
        for _, sample in ipairs(window) do wanted[#wanted + 1] = sample end
      else
        local sorted = {}
        for k, sample in ipairs(window) do sorted[k] = number(sample[2]) end
        table.sort(sorted)
        local middle = sorted[math.floor((#sorted + 1) / 2)] +
          sorted[math.ceil((#sorted + 1) / 2)]
        wanted[#wanted + 1] = { finish, bits_of(middle / 2) }
      end
    end
    assert.equal(text(wanted), text(found))
  end)

  it("leaves raw what a broken rule decides, and counts it", function()
    local raw = {}
    for i = 1, 2400 do raw[i] = { START + i * 15000, bits_of(i) } end
    for _, rule in ipairs {
      'using = function() error "no" end', 'using = function() while true do end end',
      'using = function() return "x" end', 'match = function() error "no" end, using = "last"',
    } do
      local store, book = open('tide.downsample("b", { after = "10d", every = "5m", ' .. rule ..
        ' })\ntide.downsample("next", { after = "5d", every = "5m", using = "last" })')
      fill(store, raw)
      settle(store)
      store:advance(30 * DAY)
      store:run "maintain"
      if rule:find "^match" then
        -- Asked first, it is broken for all of the series.
        assert.equal(text(raw), text(samples(store)), rule)
      end
      assert.equal(#raw, #samples(store), rule)
      local errors = 0
      for _, one in ipairs(rules.rules(book)) do errors = errors + one.errors end
      assert.is_true(errors > 0)
      assert.is_true(store:close())
    end
  end)

  it("asks for each series what it is told to: selectors and functions", function()
    local raw = {}
    for i = 1, 2400 do raw[i] = { START + i * 15000, bits_of(i) } end
    local store = open [[
      tide.downsample("one", { match = '{__name__="one"}', after = "10d", every = "1h",
        using = "last" })
      tide.downsample("two", { match = function(s) return s.labels.__name__ == "two" end,
        after = "10d", every = "1h", using = "last" })]]
    for _, name in ipairs { "one", "two", "three" } do fill(store, raw, { __name__ = name }) end
    settle(store)
    store:advance(30 * DAY)
    store:run "maintain"
    local wanted = text(model(raw, "last", HOUR, raw[#raw][1] - 1))
    assert.equal(wanted, text(samples(store, "one")))
    assert.equal(wanted, text(samples(store, "two")))
    assert.equal(text(raw), text(samples(store, "three")))
  end)

  it("waits until enough of a file is old", function()
    math.randomseed(3)
    local entry = { { __name__ = "m" } }
    for i = 1, 40000 do entry[i + 1] = { START + i * 15000, math.random() } end
    local store = open('tide.downsample("w", { after = "2d", every = "5m", using = "avg" })',
      { min_shrink_ratio = 0.3 })
    store:advance(7 * DAY)
    store:push { entry }
    store:run "persist"
    -- 1/7 of it is older than six days; then a half.
    store:advance(-4 * DAY)
    store:run "maintain"
    assert.equal(40000, #samples(store))
    store:advance(3 * DAY)
    store:run "maintain"
    assert.is_true(#samples(store) < 30000)
  end)

  it("does nothing while the clock is doubted", function()
    local raw = {}
    for i = 1, 2400 do raw[i] = { START + i * 15000, bits_of(i) } end
    local store = open('tide.downsample("h", { after = "1d", every = "5m", using = "last" })',
      { clock_slack_ms = DAY })
    fill(store, raw)
    settle(store)
    store:advance(30 * DAY)
    store:run "maintain"
    assert.equal(text(raw), text(samples(store)))
  end)

  it("takes a million samples without holding them", function()
    local store, _, folder =
      open('tide.downsample("big", { after = "1d", every = "1h", using = "avg" })',
        { memory_target_bytes = 64 * 1024 * 1024 })
    store:advance(15 * DAY)
    for part = 0, 99 do
      local entry = { { __name__ = "m" } }
      for i = 1, 10000 do
        entry[i + 1] = { START + (part * 10000 + i) * 1000, (i * 7919) % 1000 / 7 }
      end
      assert.equal(10000, (store:push { entry }))
      store:run "persist"
    end
    settle(store)
    engine.C.store_evict(store.store, 0)
    store:advance(10 * DAY)
    local before = tonumber(store:stats().memory_bytes)
    local function resident()
      local file = io.open "/proc/self/status"
      local kilobytes = file:read("*a"):match "VmHWM:%s+(%d+)"
      file:close()
      return tonumber(kilobytes)
    end
    local peak = resident()
    store:run "maintain"
    -- 1 M samples as columns would be 16 MB.
    assert.is_true(resident() - peak < 8000, resident() - peak)
    assert.is_true(tonumber(store:stats().memory_bytes) <= before + 262144)
    local found = samples(store)
    assert.is_true(#found > 270 and #found < 4000, #found)
    assert.equal(1000000 - #found, audit(folder).big.samples)
  end)

  it("does what a plan says, over random stores and rules", function()
    local done = 0
    for seed = 1, os.getenv "LONG" == "1" and 200 or 15 do
      math.randomseed(seed)
      local function any(list) return list[math.random(#list)] end
      local lines = { any { "", 'tide.retention("r", { match = \'{team="a"}\', keep = "12d" })' } }
      for i = 1, math.random(3) do
        lines[#lines + 1] = ('tide.downsample("d%d", { %safter = "%s", every = "%s", using = %s })')
          :format(i, any { "", 'match = \'{team="a"}\', ',
            "match = function(s) return s.labels.i == '1' end, " }, any { "1d", "5d", "11d" },
            any { "1m", "5m", "1h" }, any { '"last"', '"avg"', '"counter"',
            'function() error "no" end',
            "function(_, v) return #v % 2 == 0 and v:last() or nil end" })
      end
      local store, _, folder = open(table.concat(lines, "\n"),
        { min_shrink_ratio = any { 0, 0.1, 0.5 } })
      for i = 1, math.random(4) do
        fill(store, random_samples(math.random(4000)),
          { __name__ = "m", i = tostring(i), team = any { "a", "b" } })
      end
      if math.random(2) == 1 then settle(store) end
      if math.random(2) == 1 then store:run "maintain" end
      store:advance(math.random(0, 13) * DAY)
      for _ = 1, 2 do
        local planned = plan(store)
        assert.same(planned, plan(store)) -- planning changes nothing
        os.remove(folder .. "/audit.jsonl")
        store:run "maintain"
        local told = audit(folder)
        for title, one in pairs(planned) do
          for _, name in ipairs { "series", "chunks", "samples", "bytes", "first_ms", "last_ms" } do
            if one.samples > 0 then
              assert.equal(told[title][name], one[name], seed .. " " .. title .. " " .. name ..
                "\n" .. table.concat(lines, "\n"))
            end
          end
          if one.samples > 0 then
            done = done + 1
            told[title] = nil
          end
        end
        assert.is_nil(next(told), seed)
        store:advance(2 * DAY)
      end
      assert.is_true(store:close())
    end
    assert.is_true(done > 5, done)
  end)

  -- Each operation of the disk fails once; then the server crashes, and starts again.
  it("is done or not done, wherever the disk fails", function()
    local raw = {}
    for i = 1, 1500 do raw[i] = { START + i * 15000, bits_of(i % 100) } end
    local wanted = text(model(raw, "avg", 5 * MINUTE, raw[#raw][1] - 1))
    local failures = 0
    for after = 0, 100 do
      local book = assert(rules.open { ["a.lua"] =
        'tide.downsample("f", { after = "10d", every = "5m", using = "avg" })' })
      local store, volume, inner = open_faulty(book, raw)
      local failed = maintain_once_failing(store, volume, after)
      local found = text(samples(store))
      assert.is_true(found == text(raw) or found == wanted, after)
      store:abandon()
      store = open_on(nil, book, { volume = volume, clock_ms = START + 60 * DAY })
      found = text(samples(store))
      assert.is_true(found == text(raw) or found == wanted, after)
      store:run "maintain"
      assert.equal(wanted, text(samples(store)), after)
      assert.is_true(store:close())
      volume.close(volume)
      inner.close(inner)
      if not failed then break end
      failures = failures + 1
    end
    assert.is_true(failures > 5 and failures < 100, failures)
  end)

  local NONE = "-- no rule yet"
  local function thinning(using)
    return ('tide.downsample("t", { after = "10d", every = "5m", using = "%s" })'):format(using)
  end

  local function change(book, scripts, lines)
    rules.write(scripts, { ["a.lua"] = lines })
    assert.is_true(rules.reload(book))
  end

  local function trash(store)
    local list, count, err = ffi.new("struct removal *[1]"), ffi.new("size_t[1]"), tide.error()
    assert(C.store_trash_list(store.store, list, count, err) == 0, tide.text(err))
    local found = {}
    for i = 0, tonumber(count[0]) - 1 do
      local one = list[0][i]
      found[i + 1] = { id = ffi.string(one.id), series = tonumber(one.series),
        samples = tonumber(one.samples), action = ffi.string(C.removal_action(one)) }
    end
    C.mem_free(list[0])
    return found
  end

  local function undelete(store, id)
    local err = tide.error()
    assert(C.store_undelete(store.store, id, "spec", ffi.new("struct removal"), err) == 0,
      tide.text(err))
  end

  it("under new rules puts what was into the trash, and an undelete brings it back", function()
    math.randomseed(23)
    local raw = random_samples(3000)
    for _, using in ipairs { "counter", "last", "avg" } do
      local store, book, folder, scripts = open(NONE)
      fill(store, raw)
      fill(store, raw, { __name__ = "other" })
      settle(store)
      store:advance(30 * DAY)
      store:run "maintain" -- and archives them
      change(book, scripts, thinning(using))
      store:run "maintain"
      local wanted = model(raw, using, 5 * MINUTE, raw[#raw][1] - 1)
      assert.equal(text(wanted), text(samples(store)))
      local entries = trash(store)
      assert.equal(1, #entries)
      assert.same({ "downsample", 2, 2 * (#raw - #wanted) },
        { entries[1].action, entries[1].series, entries[1].samples })
      assert.equal(entries[1].id, audit(folder).t.id)

      undelete(store, entries[1].id)
      assert.same({}, trash(store))
      local found = samples(store)
      if using == "avg" then -- what windows became stands beside, where there was nothing
        local there = {}
        for _, sample in ipairs(raw) do there[sample[1]] = true end
        local kept = {}
        for _, sample in ipairs(found) do
          if there[sample[1]] then kept[#kept + 1] = sample end
        end
        found = kept
      end
      assert.equal(text(raw), text(found))
      assert.equal(#samples(store), #samples(store, "other"))

      -- It stays, over a restart and a reload of the same, until the rules are others.
      local before = text(samples(store))
      assert.is_true(rules.reload(book))
      store:run "maintain"
      local now = tonumber(engine.C.clock_wall_ms(store.clock))
      assert.is_true(store:close())
      store = open_on(folder, book, { clock_ms = now + 2 * DAY })
      store:run "maintain"
      assert.equal(before, text(samples(store)))
      change(book, scripts, thinning(using) .. " -- really")
      store:run "maintain"
      assert.is_true(#samples(store) < #raw / 2)
      assert.equal(1, #trash(store))
      assert.is_true(store:close())
    end
  end)

  it("keeps nothing of what grows old under rules that are not new", function()
    local store, book, _, scripts = open(NONE)
    local raw = {}
    for i = 1, 1500 do raw[i] = { START + i * 15000, bits_of(i % 100) } end
    fill(store, raw)
    settle(store)
    change(book, scripts, thinning "last")
    store:run "maintain" -- nothing is old yet
    store:advance(30 * DAY)
    store:run "maintain"
    assert.is_true(#samples(store) < #raw / 2)
    assert.same({}, trash(store))
  end)

  -- As above, under new rules: what was is in the store or in the trash, never in neither.
  it("loses nothing under new rules, wherever the disk fails", function()
    local raw = {}
    for i = 1, 1500 do raw[i] = { START + i * 15000, bits_of(i % 100) } end
    local wanted = text(model(raw, "last", 5 * MINUTE, raw[#raw][1] - 1))
    local failures, halfway = 0, 0
    for after = 0, 200 do
      local book, scripts = rules.open { ["a.lua"] = NONE }
      local store, volume, inner = open_faulty(book, raw)
      change(book, scripts, thinning "last")
      local failed = maintain_once_failing(store, volume, after)
      store:abandon()
      store = open_on(nil, book, { volume = volume, clock_ms = START + 60 * DAY })
      local found = text(samples(store))
      assert.is_true(found == text(raw) or found == wanted, after)
      local entries = trash(store)
      if found == wanted then
        assert.is_true(#entries > 0, after)
      elseif #entries > 0 then
        halfway = halfway + 1
      end
      for _, entry in ipairs(entries) do
        assert.equal("downsample", entry.action)
        undelete(store, entry.id)
      end
      assert.equal(text(raw), text(samples(store)), after)
      assert.is_true(store:close())
      volume.close(volume)
      inner.close(inner)
      if not failed then break end
      failures = failures + 1
    end
    assert.is_true(failures > 10 and failures < 200, failures)
    assert.is_true(halfway > 0)
  end)

  it("refuses what is no rule, where it stands", function()
    for body, problem in pairs {
      ['{ after = "1d", every = "5m" }'] = "using: one of avg, count, counter, last, max, min, " ..
        "sum, or a function",
      ['{ every = "5m", using = "last" }'] = 'after: not a duration of at least 1s (try "30d")',
      ['{ after = "1d", every = "2d", using = "last" }'] = "every is longer than after",
      ['{ after = "1d", evry = "1m", using = "last" }'] =
        "unknown option evry (did you mean every?)",
      ['"1d"'] = "the second argument is { after = ..., every = ..., using = ... }",
    } do
      local book, err = rules.open { ["a.lua"] = '\ntide.downsample("x", ' .. body .. ")" }
      assert.is_nil(book)
      assert.truthy(err:find("a.lua:2: tide.downsample: " .. problem, 1, true), err)
    end
  end)
end)
