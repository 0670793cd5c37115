-- Late samples and imports: what is older than the newest of its series, in the range of memory, of
-- the file, of an archived series; what the files look like afterwards.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local check = require("spec.support.storage_v1").check
local C = tide.load("disk/volume.h", "disk/volume_fault.h", "model/fingerprint.h")

local T = 1600000000000
local HOUR = 3600000
local DAY = 24 * HOUR
local FOREVER = 9223372036854775807LL
local RECORD = 1041
local EIO = 5

local function metric(more)
  local labels = { __name__ = "m" }
  for name, value in pairs(more or {}) do labels[name] = value end
  return labels
end

-- Irregular values, so that chunks fill after some 100 samples.
local function value(k) return math.sin(k * 104729) * 1e6 end

describe("late samples", function()
  local folder, store

  local function open(settings)
    local all = { data_dir = folder, retention_ms = FOREVER, clock_ms = T }
    for name, setting in pairs(settings or {}) do all[name] = setting end
    store = assert(engine.open(all))
    return store
  end

  local function reopen(settings)
    assert(store:close())
    return open(settings)
  end

  -- What the series has, as list of {time, value}.
  local function samples(from_ms, to_ms)
    return store:query({ { "__name__", "=", "m" } }, from_ms, to_ms)['{__name__="m"}']
  end

  local function push(...) return store:push { { metric(), ... } } end

  -- Samples k * 10 s for k in from..to, but not multiples of `but`; returns what they are.
  local function fill(from, to, but)
    local entry = { metric() }
    for k = from, to do
      if not but or k % but ~= 0 then entry[#entry + 1] = { T - DAY + k * 10000, value(k) } end
    end
    assert.equal(#entry - 1, (store:push { entry }))
  end

  local function expect(from, to)
    local got = samples()
    assert.equal(to - from + 1, #got)
    for k = from, to do
      local sample = got[k - from + 1]
      assert.equal(T - DAY + k * 10000, sample[1])
      assert.equal(value(k), sample[2])
    end
  end

  local function series_files()
    local pipe = assert(io.popen(("find %s -path '*/[0-9a-f][0-9a-f]/*.db'"):format(folder)))
    local names = {}
    for name in pipe:lines() do names[#names + 1] = name end
    pipe:close()
    return names
  end

  local function file_bytes()
    local names = series_files()
    assert.equal(1, #names)
    local file = assert(io.open(names[1], "rb"))
    local bytes = file:read("*a")
    file:close()
    return bytes
  end

  local function metrics_text(metrics)
    local buf = ffi.new("struct buf")
    C.metrics_write(metrics, buf)
    local text = ffi.string(buf.data, buf.len)
    C.buf_destroy(buf)
    return text
  end

  before_each(function() folder = engine.folder() end)
  after_each(function()
    if store and store.store then store:abandon() end
    engine.remove(folder)
  end)

  it("are seen at once, in order, beside those that came in time", function()
    open()
    push({ T, 1 }, { T + 20, 3 })
    assert.equal(2, (push({ T + 10, 2 }, { T - 10, 0 })))
    assert.same({ { T - 10, 0 }, { T, 1 }, { T + 10, 2 }, { T + 20, 3 } }, samples())
    assert.same({ { T, 1 }, { T + 10, 2 } }, samples(T, T + 15))
    assert.equal(1, (push { T + 30, 4 }))
    reopen()
    assert.same({ { T - 10, 0 }, { T, 1 }, { T + 10, 2 }, { T + 20, 3 }, { T + 30, 4 } }, samples())
  end)

  it("are refused with their reason when they are older than the window", function()
    open { out_of_order_ms = HOUR }
    push { T, 1 }
    local accepted, refused, examples = push({ T - HOUR, 2 }, { T - HOUR - 1, 3 })
    assert.equal(1, accepted)
    assert.same({ too_old = 1 }, refused)
    assert.truthy(examples[1]:find("storage.out_of_order", 1, true))
    assert.same({ { T - HOUR, 2 }, { T, 1 } }, samples())
  end)

  local rules = {
    { "last", C.DUPLICATE_LAST, { 7, 2, 9 } },
    { "first", C.DUPLICATE_FIRST, { 5, 5, 5 } },
    { "max", C.DUPLICATE_MAX, { 7, 5, 9 } },
  }
  for _, rule in ipairs(rules) do
    it("of a time that is there follow the rule " .. rule[1] .. ", wherever it is", function()
      open { duplicates = rule[2], out_of_order_ms = 2 * DAY }
      local times = { T - HOUR, T - HOUR + 1, T - HOUR + 2 }
      local function again() return push({ times[1], 7 }, { times[2], 2 }, { times[3], 9 }) end
      local expected = {}
      for i = 1, 3 do expected[i] = { times[i], rule[3][i] } end
      for _, where in ipairs { "head", "newest", "chunk", "file" } do
        push({ times[1], 5 }, { times[2], 5 }, { times[3], 5 })
        if where ~= "newest" then push { T, 0 } end
        if where == "chunk" or where == "file" then
          store:advance(2 * HOUR)
          store:run "maintain"
        end
        if where == "file" then
          store:run "persist"
          store:run "maintain"
        end
        assert.equal(3, (again()))
        assert.same(expected, samples(nil, T - 1), where)
        store:run "merge"
        assert.same(expected, samples(nil, T - 1), where)
        reopen { duplicates = rule[2], out_of_order_ms = 2 * DAY }
        assert.same(expected, samples(nil, T - 1), where)
        store:abandon()
        engine.remove(folder)
        folder = engine.folder()
        open { duplicates = rule[2], out_of_order_ms = 2 * DAY }
      end
    end)
  end

  it("at the newest time change what instant queries see", function()
    open()
    push { T, 1 }
    push { T, 2 }
    store:each({}, nil, nil, function(one)
      assert.is_true(one.last_value_known)
      assert.equal(2, one.last_value)
    end)
    assert.same({ { T, 2 } }, samples())
    push { T + 1, 3 }
    assert.same({ { T, 2 }, { T + 1, 3 } }, samples())
  end)

  it("keep all bits: staleness markers, payloads of NaN, the sign of zero", function()
    open { out_of_order_ms = 2 * DAY }
    local bits = {
      0x7ff0000000000002ULL, 0x7ff8000000000001ULL, 0xfff8000000abcdefULL, 0x8000000000000000ULL,
      0x7ff0000000000000ULL, 0xffefffffffffffffULL, 1ULL,
    }
    fill(1, 2000)
    store:run "persist"
    local entry = { metric() }
    for i, b in ipairs(bits) do
      entry[#entry + 1] = { T - DAY + i * 10000 + 5, b }     -- in the file
      entry[#entry + 1] = { T - DAY + 20000000 - i * 10, b } -- in the head
      entry[#entry + 1] = { T - DAY + 20000000, b }          -- at the newest time
    end
    assert.equal(#entry - 1, (store:push { entry }))
    local function expect_bits()
      local found = {}
      for _, sample in ipairs(store:query_bits { { "__name__", "=", "m" } }['{__name__="m"}']) do
        found[sample[1]] = sample[2]
      end
      for i, b in ipairs(bits) do
        assert.is_true(found[T - DAY + i * 10000 + 5] == b)
        assert.is_true(found[T - DAY + 20000000 - i * 10] == b)
      end
      assert.is_true(found[T - DAY + 20000000] == bits[#bits])
    end
    expect_bits()
    store:run "merge"
    expect_bits()
    reopen()
    expect_bits()
    -- A marker at the newest time replaces another NaN.
    push { T, 0x7ff8000000000001ULL }
    push { T, 0x7ff0000000000002ULL }
    local all = store:query_bits { { "__name__", "=", "m" } }['{__name__="m"}']
    assert.is_true(all[#all][2] == 0x7ff0000000000002ULL)
  end)

  it("in the range of the file wait in memory, then rewrite it from the first change on", function()
    open { out_of_order_ms = 2 * DAY }
    fill(1, 3000, 7)
    store:run "persist"
    local before = file_bytes()
    local entry = { metric() }
    for k = 1400, 2800, 7 do entry[#entry + 1] = { T - DAY + k * 10000, value(k) } end
    assert.equal(#entry - 1, (store:push { entry }))
    local function expect_samples()
      local found, count = {}, 0
      for _, sample in ipairs(samples()) do found[sample[1]] = sample[2] end
      for k = 1, 3000 do
        local is_there = k % 7 ~= 0 or (k >= 1400 and k <= 2800)
        assert.equal(is_there and value(k) or nil, found[T - DAY + k * 10000])
        count = count + (is_there and 1 or 0)
      end
      assert.equal(count, #samples())
    end
    expect_samples()
    assert.equal(before, file_bytes())
    store:run "merge"
    expect_samples()
    local after = file_bytes()
    assert.is_true(#after > #before and #after % RECORD == 0)
    -- Records that end before the first late sample are those that were there.
    local same, first = 0, T - DAY + 1400 * 10000
    while true do
      local record = before:sub(same * RECORD + 1, (same + 1) * RECORD)
      local last = ffi.cast("const int64_t *", ffi.cast("const char *", record) + 9)[0]
      if last >= first then break end
      assert.equal(record, after:sub(same * RECORD + 1, (same + 1) * RECORD))
      same = same + 1
    end
    assert.is_true(same >= 5)
    -- The rest of the file stays as it is, too: behind the last change.
    assert.equal(before:sub(-RECORD), after:sub(-RECORD))
    reopen()
    expect_samples()
    assert(store:close())
    check(folder)
  end)

  it("are merged after ten minutes, or when there are 256", function()
    open { out_of_order_ms = 2 * DAY }
    fill(1, 2000)
    store:run "persist"
    local before = file_bytes()
    push { T - DAY + 5, 1 }
    store:run "tick"
    assert.equal(before, file_bytes())
    store:advance(601000)
    store:run "tick"
    assert.equal(#samples(), 2001)
    local after = file_bytes()
    assert.is_true(after ~= before)
    for k = 1, 300 do push { T - DAY + k * 10, k } end
    store:run "tick"
    assert.is_true(file_bytes() ~= after)
    assert.equal(#samples(), 2301)
  end)

  it("that are repeats leave the file alone", function()
    local metrics = C.metrics_new()
    open { out_of_order_ms = 2 * DAY, metrics = metrics }
    fill(1, 2000)
    store:run "persist"
    local before = file_bytes()
    local entry = { metric() }
    for k = 1, 2000 do entry[#entry + 1] = { T - DAY + k * 10000, value(k) } end
    assert.equal(2000, (store:push { entry }))
    store:run "merge"
    assert.equal(before, file_bytes())
    expect(1, 2000)
    local text = metrics_text(metrics)
    assert.truthy(text:find('\ntidemark_merges_total{outcome="equal"} 1\n', 1, true))
    assert.truthy(text:find('\ntidemark_merges_total{outcome="rewritten"} 0\n', 1, true))
    assert.truthy(text:find('\ntidemark_late_samples_pending 0\n', 1, true))
    assert.truthy(text:find('\ntidemark_late_bytes 0\n', 1, true))
    store:abandon()
    C.metrics_free(metrics)
  end)

  it("bring an archived series back, or wait on it, and it is archived again", function()
    open { out_of_order_ms = 2 * DAY }
    fill(1, 500)
    store:advance(2 * HOUR)
    store:run "maintain"
    store:run "persist"
    store:run "maintain"
    assert.equal(1, tonumber(store:stats().series_archived))
    assert.equal(2, (push({ T - DAY, 1 }, { T - DAY + 15000, 2 })))
    assert.equal(502, #samples())
    assert.equal(0, tonumber(store:stats().series_archived))
    store:each({}, nil, nil, function(one) -- its newest value is in the file alone
      assert.is_true(not one.last_value_known or one.last_value == value(500))
    end)
    assert.same({ '{__name__="m"}' }, store:names({}, nil, T - DAY))
    store:advance(2 * HOUR)
    store:run "tick"
    store:run "maintain"
    assert.equal(1, tonumber(store:stats().series_archived))
    assert.equal(502, #samples())
    -- Its time range in the archive is the new one.
    assert.same({ '{__name__="m"}' }, store:names({}, nil, T - DAY))
    reopen { out_of_order_ms = 2 * DAY }
    assert.equal(1, tonumber(store:stats().series_archived))
    assert.same({ '{__name__="m"}' }, store:names({}, nil, T - DAY))
    assert.equal(502, #samples())
    -- And over a clean stop while they still wait.
    push { T - DAY + 25000, 3 }
    reopen()
    assert.equal(503, #samples())
    assert(store:close())
    check(folder)
  end)

  it("outlive a checkpoint and a crash behind it", function()
    open { out_of_order_ms = 2 * DAY }
    fill(1, 1500, 5)
    store:run "persist"
    local entry = { metric() }
    for k = 5, 1500, 5 do entry[#entry + 1] = { T - DAY + k * 10000, value(k) } end
    store:push { entry }
    store:run "checkpoint"
    store:abandon()
    open { out_of_order_ms = 2 * DAY }
    assert.is_true(store:stats().started_dirty)
    expect(1, 1500)
  end)

  it("fill memory to a bound, and then wait for the merge", function()
    open { out_of_order_ms = 2 * DAY, memory_target_bytes = 8 * 1048576 }
    local entries = {}
    for i = 1, 40 do entries[i] = { metric { i = tostring(i) }, { T, 1 } } end
    store:push(entries)
    store:advance(2 * HOUR)
    store:run "maintain"
    store:run "persist" -- all of it is in files
    local problem
    for round = 1, 40 do
      local late = {}
      for i = 1, 40 do
        late[i] = { metric { i = tostring(i) } }
        for k = 1, 100 do late[i][k + 1] = { T - 100000 * round + k, k } end
      end
      local accepted, text = store:push(late)
      if not accepted then problem = text break end
    end
    assert.truthy(problem and problem:find("wait to be merged", 1, true))
    store:run "tick"
    assert.equal(1, (store:push { { metric { i = "1" }, { T - 1, 1 } } }))
  end)
end)

describe("an import", function()
  local folder, store
  local YEAR = 365 * DAY

  local function open(settings)
    local all = { data_dir = folder, retention_ms = FOREVER, clock_ms = T }
    for name, setting in pairs(settings or {}) do all[name] = setting end
    store = assert(engine.open(all))
  end

  before_each(function() folder = engine.folder() end)
  after_each(function()
    if store and store.store then store:abandon() end
    engine.remove(folder)
  end)

  it("brings a year into live series, from both ends and in pieces out of order", function()
    open()
    local model = { {}, {}, {} }
    local function live(k)
      local entries = {}
      for i = 1, 3 do
        local time = T + k * 15000
        model[i][time] = i * 1000 + k
        entries[i] = { metric { i = tostring(i) }, { time, i * 1000 + k } }
      end
      store:advance(15000)
      local accepted, problem = store:push(entries)
      assert.equal(3, accepted, problem)
    end
    for k = 1, 200 do live(k) end
    -- Every ten minutes of a year, 52,560 samples a series, in 30 pieces, the last ones first.
    local step, total = 600000, YEAR / 600000
    local piece = total / 30
    for p = 29, 0, -1 do
      local entries = {}
      for i = 1, 3 do
        local entry = { metric { i = tostring(i) } }
        for k = (p + 1) * piece - 1, p * piece, -1 do
          local time = T - YEAR + k * step
          model[i][time] = math.sin(k * i)
          entry[#entry + 1] = { time, model[i][time] }
        end
        entries[i] = entry
      end
      local accepted, refused = store:import(entries)
      assert.equal(3 * piece, accepted)
      assert.same({}, refused)
      live(201 + p)
      if p % 10 == 0 then store:run "tick" end
    end
    local function compare()
      local found = 0
      store:each({}, nil, nil, function(one, columns, text)
        local expected = model[tonumber(engine.metric(one.labels).i)]
        local count = 0
        for _ in pairs(expected) do count = count + 1 end
        assert.equal(count, tonumber(columns.len), text)
        for k = 0, count - 1 do
          if expected[tonumber(columns.times_ms[k])] ~= columns.values[k] then
            error(text .. " differs at " .. tostring(columns.times_ms[k]))
          end
        end
        found = found + 1
      end)
      assert.equal(3, found)
    end
    compare()
    store:run "merge"
    compare()
    assert(store:close())
    check(folder)
    open()
    compare()
  end)

  it("is answered once its late samples are in files, durable", function()
    open()
    store:push { { metric(), { T - HOUR, 1 } } }
    store:advance(2 * HOUR)
    store:run "maintain"
    store:run "persist"
    local _, _, _, result = store:import { { metric(), { T - DAY, 2 }, { T, 3 } } }
    local err = tide.error()
    assert.equal(1, tonumber(result.late))
    assert.equal(0, C.store_is_durable(store.store, result.ticket, err))
    store:run "tick"
    assert.equal(1, C.store_is_durable(store.store, result.ticket, err))
    assert.equal(3, #store:query { { "__name__", "=", "m" } }['{__name__="m"}'])
  end)

  it("settles two values of one time by the rule it is given", function()
    open()
    store:push { { metric(), { T - 2000, 1 }, { T, 1 } } }
    store:import({ { metric(), { T - 2000, 9 }, { T - 1000, 5 }, { T - 1000, 6 } } },
      C.DUPLICATE_FIRST)
    assert.same({ { T - 2000, 1 }, { T - 1000, 5 }, { T, 1 } },
      store:query { { "__name__", "=", "m" } }['{__name__="m"}'])
    -- The same series in several entries, with labels in another order.
    store:import {
      { { { "__name__", "n" }, { "a", "1" } }, { T - 1000, 1 } },
      { { { "a", "1" }, { "__name__", "n" } }, { T - 3000, 3 }, { T - 1000, 4 } },
      { { { "__name__", "n" }, { "a", "1" } }, { T - 2000, 2 } },
    }
    assert.same({ { T - 3000, 3 }, { T - 2000, 2 }, { T - 1000, 4 } },
      store:query { { "__name__", "=", "n" } }['{__name__="n", a="1"}'])
  end)

  it("counts what the retention will drop, and refuses the future", function()
    open { retention_ms = DAY }
    local accepted, refused, _, result = store:import {
      { metric(), { T - DAY - 1, 1 }, { T - DAY, 2 }, { T, 3 }, { T + DAY, 4 } },
    }
    assert.equal(3, accepted)
    assert.same({ too_far_in_future = 1 }, refused)
    assert.equal(1, tonumber(result.expiring))
  end)

  it("works without a folder", function()
    store = assert(engine.open { clock_ms = T, out_of_order_ms = 0 })
    store:push { { metric(), { T, 1 } } }
    store:import { { metric(), { T - YEAR, 2 } } }
    assert.same({ { T - YEAR, 2 }, { T, 1 } },
      store:query { { "__name__", "=", "m" } }['{__name__="m"}'])
    assert(store:close())
    store = nil
  end)
end)

describe("a merge on a failing disk", function()
  local folder, inner, volume, store

  local function open()
    store = assert(engine.open {
      volume = volume, retention_ms = FOREVER, clock_ms = T, out_of_order_ms = 2 * DAY,
    })
  end

  before_each(function()
    local err = tide.error()
    folder = engine.folder()
    inner = C.volume_posix_open(folder, true, err)
    assert(inner ~= nil, tide.text(err))
    volume = C.volume_fault_new(inner)
  end)
  after_each(function()
    C.volume_fault_disarm(volume)
    if store and store.store then store:abandon() end
    volume.close(volume)
    inner.close(inner)
    engine.remove(folder)
  end)

  for name, style in pairs { clean = C.FAULT_CLEAN, torn = C.FAULT_TORN, after = C.FAULT_AFTER } do
    it("loses nothing whichever operation fails, " .. name, function()
      local logger = tide.load("base/logger.h")
      local level = logger.logger_level()
      logger.logger_set_level(logger.LOG_LEVEL_ERROR - 1)
      open()
      local model = {}
      local function push(time, number)
        model[time] = number
        return { time, number }
      end
      for i = 1, 4 do
        local entry = { metric { i = tostring(i) } }
        for k = 1, 600 do entry[#entry + 1] = push(T - DAY + k * 10000, value(k)) end
        store:push { entry }
      end
      store:run "persist"
      local function compare()
        local count = 0
        for _ in pairs(model) do count = count + 1 end
        local found = store:each({}, nil, nil, function(_, columns, text)
          assert(columns, text)
          assert.equal(count, tonumber(columns.len), text)
          for k = 0, count - 1 do
            assert.equal(model[tonumber(columns.times_ms[k])], columns.values[k])
          end
        end)
        assert.equal(4, found)
      end
      local failures, after = 0, 0
      repeat
        local entries = {}
        for i = 1, 4 do
          entries[i] = { metric { i = tostring(i) } }
          for k = 1, 5 do
            entries[i][k + 1] = push(T - DAY + (after * 131 + k * 997) % 5900000 + 1, after + k)
          end
        end
        store:push(entries)
        C.volume_fault_arm(volume, C.FAULT_ANY, after, 1, EIO, style)
        local ok = pcall(store.run, store, "merge")
        local failed = tonumber(C.volume_fault_failed(volume))
        C.volume_fault_disarm(volume)
        failures = failures + failed
        compare()
        store:advance(6000)
        assert(ok or failed == 1)
        pcall(store.run, store, "tick")
        compare()
        after = after + 1
      until failed == 0
      assert.is_true(failures >= 20, failures .. " operations failed")
      store:run "merge"
      compare()
      assert(store:close())
      check(folder)
      open()
      compare()
      logger.logger_set_level(level)
    end)
  end
end)
