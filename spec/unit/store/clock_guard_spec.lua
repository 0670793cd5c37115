-- Nothing is deleted by age while the clock is doubted. The clock is one that the spec moves.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local C = tide.load("store/clock_guard.h")

local T = 1600000000000
local HOUR, DAY = 3600000, 86400000
local KEEP = 3 * DAY

describe("the clock guard", function()
  local folder, store

  local function open(clock_ms, slack_ms)
    store = assert(engine.open { data_dir = folder, retention_ms = KEEP, clock_ms = clock_ms,
      clock_slack_ms = slack_ms or DAY })
  end

  local function doubt()
    local clock = ffi.new("struct store_clock")
    C.store_clock_get(store.store, clock)
    return ffi.string(C.clock_doubt_name(clock.doubt)), clock
  end

  local function confirm()
    local err = tide.error()
    assert(C.store_clock_confirm(store.store, "spec", err) == 0, tide.text(err))
  end

  local function push(time_ms, i)
    assert.equal(1, (store:push { { { __name__ = "m", i = tostring(i or 1) },
      { time_ms, time_ms % 1000 } } }))
  end

  -- 40 days, a sample an hour, in files.
  local function fill()
    for k = 1, 960 do
      store:push { { { __name__ = "m", i = "1" }, { T - 40 * DAY + k * HOUR, math.sin(k) } } }
    end
    store:run "persist"
  end

  local function maintain() -- closes, persists, drops, archives
    store:advance(2 * HOUR)
    for _ = 1, 3 do
      store:run "maintain"
      store:run "persist"
    end
  end

  local function samples(i)
    return #(store:query({ { "__name__", "=", "m" } })[('{__name__="m", i="%d"}'):format(i or 1)]
      or {})
  end

  before_each(function() folder = engine.folder() end)
  after_each(function()
    if store and store.store then store:abandon() end
    engine.remove(folder)
  end)

  it("lets retention work while samples come and the clock runs evenly", function()
    open(T)
    fill()
    maintain()
    assert.equal("trusted", (doubt()))
    local left = samples()
    assert.is_true(left < 960 and left >= 69)
    -- What went is told: in each pass one line for the rule.
    local dropped, passes = 0, 0
    for line in io.lines(folder .. "/audit.jsonl") do
      local told = require("cjson").decode(line)
      assert.equal("retention", told.action)
      assert.equal("storage.retention", told.by)
      assert.equal(T - 40 * DAY + HOUR, told.first_ms)
      dropped, passes = dropped + told.samples, passes + 1
    end
    assert.equal(960 - left, dropped)
    assert.is_true(passes <= 3)
  end)

  it("loses nothing of an old folder that is opened late, until confirmed", function()
    open(T)
    fill()
    assert(store:close())
    open(T + 400 * DAY)
    assert.equal("ahead", (doubt()))
    maintain()
    assert.equal(960, samples())
    -- New samples do not make the old ones fair game, and neither does a restart.
    push(T + 400 * DAY, 2)
    maintain()
    assert.equal(960, samples())
    assert(store:close())
    open(T + 400 * DAY + HOUR)
    assert.equal("ahead", (doubt()))
    maintain()
    assert.equal(960, samples())
    confirm()
    assert.equal("trusted", (doubt()))
    maintain()
    assert.equal(0, samples())
    assert.equal(1, samples(2))
  end)

  it("keeps the confirmation over a restart, clean or not", function()
    for _, stop in ipairs { "close", "abandon" } do
      open(T)
      fill()
      assert(store:close())
      open(T + 400 * DAY)
      confirm()
      store[stop](store)
      open(T + 400 * DAY + HOUR)
      assert.equal("trusted", (doubt()), stop)
      maintain()
      assert.equal(0, samples(), stop)
      store:abandon()
      engine.remove(folder)
      os.execute("mkdir " .. folder)
    end
  end)

  it("is not appeased by a confirmation of long ago", function()
    open(T)
    fill()
    confirm()
    push(T + 60000)
    assert(store:close())
    open(T + 30 * DAY)
    assert.equal("ahead", (doubt()))
  end)

  it("holds when the wall clock jumps, also when senders jump with it", function()
    open(T)
    fill()
    store:run "tick"
    C.clock_set_wall(store.clock, T + 50 * DAY)
    push(T + 50 * DAY, 2) -- a sender with the same clock, before anybody looked
    store:run "tick"
    assert.equal("jumped", (doubt()))
    maintain()
    assert.equal(960, samples())
    assert(store:close())
    open(T + 50 * DAY)
    assert.equal("jumped", (doubt()))
    maintain()
    assert.equal(960, samples())
    C.clock_set_wall(store.clock, T + HOUR)
    store:run "tick"
    assert.equal("jumped", (doubt()))
    confirm()
    maintain()
    assert.is_true(samples() < 960 and samples() >= 69)
  end)

  it("takes a clock that was put right for right", function()
    open(T)
    fill()
    assert(store:close())
    open(0) -- a machine without a battery, in 1970
    assert.equal("trusted", (doubt()))
    store:run "tick"
    C.clock_set_wall(store.clock, T + 60000) -- NTP
    store:run "tick"
    assert.equal("trusted", (doubt()))
    maintain()
    assert.is_true(samples() < 960)
  end)

  it("does not mind small steps and an even run", function()
    open(T)
    fill()
    for day = 1, 10 do
      C.clock_set_wall(store.clock, C.clock_wall_ms(store.clock) + 2 * HOUR)
      store:advance(22 * HOUR)
      push(T + day * DAY, 2)
      store:run "tick"
      assert.equal("trusted", (doubt()))
    end
    maintain()
    assert.equal(0, samples())
  end)

  it("holds while no samples come, and goes on when they come again", function()
    open(T)
    fill()
    store:advance(36 * HOUR)
    store:run "maintain"
    assert.equal("quiet", (doubt()))
    store:advance(300 * DAY)
    maintain()
    assert.equal(960, samples())
    push(T + 36 * HOUR + 300 * DAY, 2)
    maintain()
    assert.equal("trusted", (doubt()))
    assert.equal(0, samples())
  end)

  it("holds when its file cannot be read", function()
    open(T)
    fill()
    assert(store:close())
    local file = io.open(folder .. "/clock.state", "w")
    file:write("confirmed 99999999999999999999\n")
    file:close()
    open(T)
    assert.equal("ahead", (doubt()))
    confirm()
    assert(store:close())
    open(T)
    assert.equal("trusted", (doubt()))
  end)

  it("can be turned off", function()
    open(T)
    fill()
    assert(store:close())
    open(T + 400 * DAY, 9223372036854775807LL)
    maintain()
    assert.equal(0, samples())
  end)
end)
