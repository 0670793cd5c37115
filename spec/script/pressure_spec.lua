-- tide.disk_pressure: on a volume that says how much is free, who loses what, and who nothing.
local ffi = require "ffi"
local json = require "cjson"
local engine = require "spec.unit.store.engine"
local rules = require "spec.support.rules"
local tide = require "spec.support.tide"
local C = tide.load("disk/volume.h", "disk/volume_fault.h", "store/audit.h", "store/plan.h")

local HOUR, DAY = 3600000, 86400000
local START = 1699920000000
local FREE = ffi.cast("uint64_t", 10 ^ 9)

local folders, volumes = {}, {}

-- A store with a bound of 10^9 bytes free, and the volume below it.
local function open(text, options)
  local book = assert(rules.open({ ["a.lua"] = text }, { max_errors = 1000000 }))
  local folder, err = engine.folder(), tide.error()
  folders[#folders + 1] = folder
  local inner = C.volume_posix_open(folder, true, err)
  assert(inner ~= nil, tide.text(err))
  local volume = C.volume_fault_new(inner)
  volumes[#volumes + 1] = { volume, inner }
  local settings = { volume = volume, clock_ms = START, policy = rules.C.rulebook_policy(book),
    retention_ms = rules.FOREVER, clock_slack_ms = 9223372036854775807LL, disk_low_bytes = FREE }
  for name, value in pairs(options or {}) do settings[name] = value end
  return assert(engine.open(settings)), volume, folder, book
end

local function set_free(volume, free_bytes)
  C.volume_fault_space(volume, ffi.new("struct volume_space", { free_bytes = free_bytes,
    total_bytes = 10 ^ 12, free_files = 10 ^ 6, total_files = 10 ^ 7 }))
end

-- Ten days of four series in the files: two dev, two prod; one of each ended on the second day.
local function fill(store)
  local entries = {}
  for i, env in ipairs { "dev", "dev", "prod", "prod" } do
    local entry = { { __name__ = "m", env = env, i = tostring(i) } }
    for n = 0, (i % 2 == 0 and 2 or 10) * 1440 - 1 do
      entry[#entry + 1] = { START + n * 60000, math.sin(n + i) }
    end
    entries[i] = entry
  end
  store:advance(10 * DAY)
  assert(store:push(entries))
  store:advance(2 * HOUR)
  store:run "maintain"
  store:run "persist"
end

local function counts(store)
  local found = {}
  for name, samples in pairs(store:query { { "__name__", "=", "m" } }) do
    found[name:match 'i="(%d)"'] = #samples
  end
  return found
end

local function audit(folder)
  local found = {}
  local file = io.open(folder .. "/audit.jsonl")
  for line in file and file:lines() or function() end do
    local one = json.decode(line)
    if one.action == "disk_pressure" then found[#found + 1] = one end
  end
  if file then file:close() end
  return found
end

local function planned(store)
  local made, err = ffi.new("struct store_plan"), tide.error()
  assert(C.store_plan(store.store, ffi.new("struct plan_request"), made, err) == 0, tide.text(err))
  local one = made.pressed ~= nil and made.pressed.removed
  local found = one and { by = ffi.string(made.pressed.title) }
  for _, name in ipairs { "series", "series_gone", "chunks", "samples", "bytes", "first_ms",
    "last_ms" } do
    if one then found[name] = tonumber(one[name]) end
  end
  C.store_plan_destroy(made)
  return found
end

-- Ten seconds later the disk is looked at again.
local function tick(store)
  store:advance(11000)
  store:run "tick"
end

local DEV_FIRST = [[
  tide.disk_pressure("dev first", function(candidates)
    local list = {}
    for _, one in ipairs(candidates) do
      if one.labels.env == "dev" then list[#list + 1] = one end
    end
    table.sort(list, function(a, b) return a.last < b.last end)
    return list
  end)]]

describe("disk pressure", function()
  local console
  after_each(function()
    if console then console:close() end
    console = nil
    rules.stop_schedulers()
    rules.close_all()
    for _, pair in ipairs(volumes) do
      for _, volume in ipairs(pair) do volume.close(volume) end
    end
    for _, folder in ipairs(folders) do engine.remove(folder) end
    folders, volumes = {}, {}
  end)

  it("drops nothing while enough is free", function()
    local store, volume = open(DEV_FIRST)
    fill(store)
    local before = counts(store)
    tick(store)
    assert.same(before, counts(store))
    set_free(volume, FREE)
    tick(store)
    assert.same(before, counts(store))
    assert.is_false(planned(store))
    assert.is_true(store:close())
  end)

  it("drops what the rule ranks first, until there is room; a plan says the same", function()
    local store, volume, folder = open(DEV_FIRST)
    fill(store)
    local before = counts(store)
    -- A tenth of the bound more than is missing: the ended dev series is enough for that.
    set_free(volume, FREE - 1)
    local plan = planned(store)
    assert.same(plan, planned(store))
    assert.same(before, counts(store))
    tick(store)
    local told = audit(folder)
    assert.equal(1, #told)
    for name, value in pairs(plan) do assert.equal(value, told[1][name], name) end
    local after = counts(store)
    assert.is_nil(after["2"]) -- it ended long ago: all of it
    assert.is_true(after["1"] < before["1"] and after["1"] >= before["1"] / 2) -- the older half
    assert.equal(before["3"], after["3"])
    assert.equal(before["4"], after["4"])
    assert.equal(before["1"] + before["2"] - after["1"], told[1].samples)
    -- It is still low: the next look halves again, until only what is kept is left.
    for _ = 1, 10 do tick(store) end
    local left = counts(store)["1"]
    assert.is_true(left >= 1440 - 125 and left < 2 * 1440, left) -- a day, two hours ago
    C.volume_fault_space(volume, nil)
    assert.is_true(store:close())
  end)

  it("stops when there is room", function()
    local store, volume = open([[
      tide.disk_pressure("all", function(candidates)
        table.sort(candidates, function(a, b) return a.labels.i < b.labels.i end)
        return candidates
      end)]], { disk_low_bytes = 20000 })
    fill(store)
    local before = counts(store)
    set_free(volume, 19000) -- 1,000 and a tenth of 20,000 are wanted: three chunks
    tick(store)
    local after = counts(store)
    assert.is_true(after["1"] < before["1"])
    for _, i in ipairs { "2", "3", "4" } do assert.equal(before[i], after[i]) end
    assert.is_true(store:close())
  end)

  it("keeps what a candidate is told to keep", function()
    local store, volume = open [[
      tide.disk_pressure("keep", function(candidates)
        for _, one in ipairs(candidates) do
          one.keep = one.labels.env == "prod" and "forever" or "5d"
        end
        return candidates
      end)]]
    fill(store)
    local before = counts(store)
    set_free(volume, 0)
    for _ = 1, 5 do tick(store) end
    local after = counts(store)
    assert.equal(before["3"], after["3"])
    assert.equal(before["4"], after["4"])
    assert.is_nil(after["2"])
    assert.is_true(after["1"] >= 5 * 1440 - 120 and after["1"] < 6 * 1440, after["1"])
    assert.is_true(store:close())
  end)

  it("drops nothing by a rule that is broken, also not by the next one", function()
    for _, body in ipairs { 'error "no"', "while true do end", "return 5", "return { {} }",
      'candidates[1].keep = "soon" return candidates' } do
      local store, volume, folder, book = open('tide.disk_pressure("bad", function(candidates) ' ..
        body .. ' end)\ntide.disk_pressure("next", function(c) return c end)')
      fill(store)
      local before = counts(store)
      set_free(volume, 0)
      tick(store)
      assert.same(before, counts(store), body)
      assert.same({}, audit(folder))
      assert.equal(1, rules.rules(book)[1].errors, body)
      assert.is_true(store:close())
    end
  end)

  it("asks the next rule when one has no opinion, and tells candidates what is known", function()
    local store, volume, folder, book = open [[
      tide.disk_pressure("none", function() return nil end)
      tide.disk_pressure("looks", function(candidates)
        for _, one in ipairs(candidates) do
          assert(one.bytes == one.chunks * 1041 and one.chunks > 0)
          assert(one.first == 1699920000 and one.last > one.first)
        end
        assert(#candidates == 4)
        return { candidates[1] }
      end)]]
    fill(store)
    set_free(volume, 0)
    tick(store)
    assert.equal(0, rules.rules(book)[2].errors, rules.rules(book)[2].last_error)
    local told = audit(folder)
    assert.equal("looks", told[1].by)
    assert.equal(1, told[1].series)
    assert.is_true(store:close())
  end)

  it("raises the event once, and again after it was over", function()
    local store, volume, _, book = open [[
      tide.on("disk_low", "count", function(event)
        tide.shared.set("last", event.number .. " of " .. event.bound)
        tide.shared.incr "times"
      end)]]
    local runner = rules.scheduler(book, store)
    console = rules.console(book)
    local function shared(name)
      rules.run_due(runner)
      local _, shown = console:eval("return tide.shared.get '" .. name .. "'")
      return (shown:gsub("%s+$", ""))
    end
    set_free(volume, 5)
    tick(store)
    tick(store)
    assert.equal('5 of 1000000000', shared "last")
    assert.equal("1", shared "times")
    set_free(volume, FREE)
    tick(store)
    set_free(volume, 7)
    tick(store)
    assert.equal("2", shared "times")
    assert.is_true(store:close())
  end)

  it("drops nothing while the clock is doubted", function()
    local store, volume = open(DEV_FIRST, { clock_slack_ms = DAY })
    fill(store)
    store:advance(30 * DAY)
    local before = counts(store)
    set_free(volume, 0)
    tick(store)
    assert.same(before, counts(store))
    assert.is_true(store:close())
  end)
end)
