-- Passes of retention that would drop too much are held; what the first one under new rules drops
-- goes into the trash and comes back from there.
local ffi = require "ffi"
local json = require "cjson"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local rules = require "spec.support.rules"
local C = tide.load("store/pass_guard.h", "store/plan.h", "store/trash.h", "store/delete.h")

local HOUR, DAY = 3600000, 86400000
local START = rules.NOW
local KEEP_ALL = 'tide.retention("all", { keep = "forever" })'
local function keep(time) return ('tide.retention("short", { keep = "%s" })'):format(time) end

describe("a pass of retention", function()
  local folder, store, book, scripts, settings

  local function open(text, options)
    book, scripts = assert(rules.open({ ["a.lua"] = text }, { max_errors = 1000000 }))
    settings = { data_dir = folder, clock_ms = START, policy = C.rulebook_policy(book),
      retention_ms = 30 * DAY, clock_slack_ms = 9223372036854775807LL, hold_least_bytes = 0 }
    for name, value in pairs(options or {}) do settings[name] = value end
    store = assert(engine.open(settings))
  end

  -- As after a restart, at the same time.
  local function reopen(how, options)
    local now = store.clock.manual_wall_ms
    if how == "abandon" then store:run "checkpoint" end
    store[how or "close"](store)
    for name, value in pairs(options or {}) do settings[name] = value end
    settings.clock_ms = now
    store = assert(engine.open(settings))
  end

  local function change(text)
    rules.write(scripts, { ["a.lua"] = text })
    assert.is_true(rules.reload(book))
  end

  local function labels(i) return { __name__ = "m", i = tostring(i) } end

  -- A sample a minute for each of the series from the clock's time on; the clock ends there.
  local function push(hours, from, to)
    local entries = {}
    local now = tonumber(store.clock.manual_wall_ms)
    store:advance(hours * HOUR)
    for i = from or 1, to or 5 do
      local entry = { labels(i) }
      for n = 1, hours * 60 do
        table.insert(entry, { now + n * 60000, math.sin(n * i) * 1e6 })
      end
      entries[#entries + 1] = entry
    end
    assert(store:push(entries) > 0)
  end

  local function maintain()
    store:run "persist"
    store:run "maintain"
  end

  -- How many samples there are, and all of them as a text.
  local function samples()
    local found = {}
    for name, list in pairs(store:query { { "__name__", "=", "m" } }) do
      for _, sample in ipairs(list) do
        found[#found + 1] = name .. " " .. sample[1] .. " " .. sample[2]
      end
    end
    table.sort(found)
    return #found, table.concat(found, "\n")
  end

  local function hold()
    local held = ffi.new("struct store_hold")
    C.store_hold_get(store.store, held)
    local id = ffi.string(held.id)
    return id ~= "" and id or nil, held
  end

  local function confirm(id)
    local err = tide.error()
    return C.store_hold_confirm(store.store, id, "spec", err) == 0, tide.text(err)
  end

  local function trash()
    local list, count, err = ffi.new("struct removal *[1]"), ffi.new("size_t[1]"), tide.error()
    assert(C.store_trash_list(store.store, list, count, err) == 0, tide.text(err))
    local found = {}
    for i = 0, tonumber(count[0]) - 1 do
      local one = list[0][i]
      found[i + 1] = { id = ffi.string(one.id), samples = tonumber(one.samples),
        series = tonumber(one.series), by_pass = one.by_pass, interrupted = one.interrupted }
    end
    C.mem_free(list[0])
    return found
  end

  local function undelete(id)
    local restored, err = ffi.new("struct removal"), tide.error()
    assert(C.store_undelete(store.store, id, "spec", restored, err) == 0, tide.text(err))
    return restored
  end

  local function audit(action)
    local found = {}
    for line in io.lines(folder .. "/audit.jsonl") do
      local one = json.decode(line)
      if one.action == action then found[#found + 1] = one end
    end
    return found
  end

  before_each(function() folder = engine.folder() end)
  after_each(function()
    if store and store.store then store:abandon() end
    rules.close_all()
    engine.remove(folder)
  end)

  it("is never held while a steady store expires day by day, whatever its rhythm", function()
    for _, ratio in ipairs { 0, 0.1, 0.5 } do
      open(keep "1d", { min_shrink_ratio = ratio })
      for _ = 1, 24 do
        push(4)
        maintain()
        assert.is_nil(hold(), ratio)
      end
      assert.is_true(samples() < 5 * 60 * 24 * 4)
      assert.same({}, trash()) -- and goes for good
      -- Days without a server are time, too.
      assert.is_true(store:close())
      settings.clock_ms = settings.clock_ms + 20 * DAY
      store = assert(engine.open(settings))
      maintain() -- closes heads, or finds no more than them
      store:advance(2 * HOUR)
      for _ = 1, 3 do maintain() end
      assert.is_nil(hold(), ratio)
      assert.equal(0, (samples()))
      store:abandon()
      engine.remove(folder)
      os.execute("mkdir " .. folder)
      rules.close_all()
    end
  end)

  it("that would drop too much by new rules is held until its id is confirmed", function()
    open(KEEP_ALL)
    push(48)
    maintain()
    local before, all = samples()
    assert.is_nil(hold())
    change(keep "6h")
    maintain()
    local id, held = hold()
    assert.truthy(id)
    assert.equal(5, tonumber(held.series))
    assert.is_true(held.chunks * 5 > held.all_chunks)
    assert.equal(START + 60000, tonumber(held.first_ms))
    assert.is_true(all == select(2, samples()))
    assert.same({}, trash())
    for _ = 1, 3 do maintain() end -- waits, under the same id
    assert.equal(id, (hold()))
    local ok, problem = confirm("0123456789abcdef")
    assert.is_false(ok)
    assert.truthy(problem:find(id, 1, true), problem)
    maintain()
    assert.equal(before, (samples()))
    assert.is_true(confirm(id))
    assert.is_nil(hold())
    assert.is_false(confirm(id))
    maintain()
    assert.is_true(samples() < before / 3)
    assert.is_nil(hold())
    local told = audit("confirm")
    assert.same({ 1, id, "spec" }, { #told, told[1].id, told[1].by })
  end)

  it("expires what is no surprise while it is held", function()
    open(keep "1d")
    push(48, 1, 2)
    maintain()
    change('tide.retention("a", { match = \'{i="1"}\', keep = "1h" })' .. keep "1d")
    push(4, 1, 2)
    maintain()
    assert.truthy(hold())
    local function oldest(i)
      local list = store:query({ { "i", "=", tostring(i) } })[('{__name__="m", i="%d"}'):format(i)]
      return (tonumber(store.clock.manual_wall_ms) - list[1][1]) / HOUR
    end
    for _ = 1, 4 do
      push(4, 1, 2)
      maintain()
    end
    assert.is_true(oldest(1) > 36) -- that day by day rule would have dropped some of it
    assert.is_true(oldest(2) < 30, oldest(2))
    assert.truthy(hold())
  end)

  it("needs another confirmation when the rules or the data change", function()
    open(KEEP_ALL)
    push(48)
    maintain()
    change(keep "12h")
    maintain()
    local first = hold()
    change(keep "6h")
    maintain()
    local second = hold()
    assert.truthy(second)
    assert.not_equal(first, second)
    assert.is_false((confirm(first)))
    assert.is_true(confirm(second))
    change(keep "3h") -- before a pass
    maintain()
    local third = hold()
    assert.truthy(third)
    assert.equal(5 * 48 * 60, (samples()))
    -- Confirmed for what there was; much more of it comes.
    assert.is_true(confirm(third))
    local entries = {}
    for i = 6, 40 do
      entries[#entries + 1] = { labels(i) }
      for n = 1, 48 * 60 do
        table.insert(entries[#entries], { START + n * 60000, math.sin(n * i) * 1e6 })
      end
    end
    assert(store:push(entries) > 0)
    store:advance(2 * HOUR)
    for _ = 1, 4 do maintain() end
    local fourth = hold()
    assert.truthy(fourth)
    assert.not_equal(third, fourth)
    assert.is_true(samples() > 20 * 48 * 60)
  end)

  it("is held, and confirmed, over restarts", function()
    for _, stop in ipairs { "close", "abandon" } do
      open(KEEP_ALL)
      push(48)
      maintain()
      change(keep "6h")
      maintain()
      local id = hold()
      reopen(stop)
      maintain()
      assert.equal(id, (hold()), stop)
      assert.equal(5 * 48 * 60, (samples()))
      assert.is_true(confirm(id))
      reopen(stop)
      maintain()
      assert.is_nil(hold())
      assert.is_true(samples() < 5 * 20 * 60, stop)
      store:abandon()
      rules.close_all()
      engine.remove(folder)
      os.execute("mkdir " .. folder)
    end
  end)

  it("is not held below hold_least_bytes, nor with hold_share 1", function()
    for _, options in ipairs { { hold_least_bytes = 16 * 1024 * 1024 }, { hold_share = 1 } } do
      open(KEEP_ALL, options)
      push(48)
      maintain()
      change(keep "6h")
      maintain()
      assert.is_nil(hold())
      assert.is_true(samples() < 5 * 20 * 60)
      store:abandon()
      rules.close_all()
      engine.remove(folder)
      os.execute("mkdir " .. folder)
    end
  end)

  it("of a folder whose last pass nobody knows is held, and by a shorter configuration", function()
    open(KEEP_ALL)
    push(48)
    maintain()
    reopen("close", { policy = ffi.new("struct policy *"), retention_ms = 6 * HOUR })
    maintain()
    assert.truthy((hold()))
    assert.equal(5 * 48 * 60, (samples()))
    assert.is_true(store:close())
    os.remove(folder .. "/retention.state")
    store = assert(engine.open(settings))
    maintain()
    assert.truthy((hold()))
    assert.equal(5 * 48 * 60, (samples()))
    store:close()
    local file = assert(io.open(folder .. "/retention.state", "w"))
    file:write("nonsense")
    file:close()
    store = assert(engine.open(settings))
    maintain()
    assert.truthy((hold()))
  end)

  it("by the clockwork is surveyed within half a minute, held, and done in the next sweep",
    function()
      open(KEEP_ALL)
      push(48)
      store:run "persist"
      change(keep "6h")
      for _ = 1, 70 do
        store:run "tick"
        store:advance(250)
      end
      local id = hold()
      assert.truthy(id)
      for _ = 1, 8 do
        store:advance(15 * 60000)
        store:run "tick"
      end
      assert.equal(5 * 48 * 60, (samples()))
      assert.equal(id, (hold()))
      assert.is_true(confirm(id))
      for _ = 1, 8 do
        store:advance(15 * 60000)
        store:run "tick"
      end
      assert.is_true(samples() < 5 * 20 * 60)
      assert.equal(1, #trash())
    end)

  describe("under new rules", function()
    local before, all

    -- The first pass has been, and dropped a part of each of 5 series and all of another.
    local function first_pass(options)
      options = options or {}
      options.hold_share = 1
      open(KEEP_ALL, options)
      push(24, 6, 6)
      push(48)
      maintain()
      before, all = samples()
      change(keep "12h")
      maintain()
      assert.is_true(samples() < before / 2)
    end

    it("puts what it drops into the trash, and an undelete brings all of it back", function()
      first_pass()
      local left = samples()
      local entries = trash()
      assert.equal(1, #entries)
      assert.is_true(entries[1].by_pass)
      assert.is_false(entries[1].interrupted)
      assert.same({ 6, before - left }, { entries[1].series, entries[1].samples })
      local told = audit "retention"
      assert.equal(entries[1].id, told[#told].id)
      assert.equal("short", told[#told].by)
      assert.equal(16, #told[#told].rules)
      assert.same({ 6, 1, before - left },
        { told[#told].series, told[#told].series_gone, told[#told].samples })
      local restored = undelete(entries[1].id)
      assert.equal(before - left, tonumber(restored.samples))
      assert.is_true(all == select(2, samples()))
      assert.same({}, trash())
    end)

    it("leaves what came back alone, over restarts, until the rules change", function()
      first_pass()
      undelete(trash()[1].id)
      for _, stop in ipairs { "close", "abandon" } do
        reopen(stop)
        for _ = 1, 2 do maintain() end
        store:advance(6 * HOUR)
        maintain()
        assert.is_true(all == select(2, samples()), stop)
      end
      change(keep "13h")
      maintain()
      assert.is_true(samples() < before / 2)
      assert.equal(1, #trash())
    end)

    it("leaves it alone for undelete_hold and no longer", function()
      first_pass { undelete_hold_ms = 2 * DAY }
      undelete(trash()[1].id)
      store:advance(DAY)
      maintain()
      assert.equal(before, (samples()))
      store:advance(2 * DAY)
      maintain()
      maintain()
      assert.equal(0, (samples()))
    end)

    it("is the first one only once: the daily expiry after it is not kept", function()
      first_pass()
      local id = trash()[1].id
      push(12)
      maintain()
      reopen "close"
      push(12)
      maintain()
      assert.equal(1, #trash())
      assert.equal(id, trash()[1].id)
      store:advance(2 * DAY) -- and the trash empties by its time
      store:run "tick"
      assert.same({}, trash())
    end)

    it("counts as new after scripts that mean the same, and not after a reload of the same",
      function()
        first_pass()
        undelete(trash()[1].id)
        assert.is_true(rules.reload(book))
        maintain()
        assert.equal(before, (samples()))
        change(keep "12h" .. " -- really")
        maintain()
        assert.is_true(samples() < before)
        assert.equal(1, #trash())
      end)

    it("loses nothing when it is cut off by a crash before the drop, and keeps what was", function()
      first_pass()
      local entries = trash()
      reopen "abandon"
      assert.equal(entries[1].id, trash()[1].id)
      undelete(entries[1].id)
      assert.is_true(all == select(2, samples()))
    end)
  end)
end)
