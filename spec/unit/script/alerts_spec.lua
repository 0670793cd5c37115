-- Recording and alerting rules under a clock that the spec moves: on a store in memory.
local ffi = require "ffi"
local json = require "cjson"
local engine = require "spec.unit.store.engine"
local rules = require "spec.support.rules"
local tide = require "spec.support.tide"

local book, store, runner

local function open(script)
  book = assert((rules.open { ["a.lua"] = script }))
  store = assert(engine.open { clock = rules.clock })
  runner = rules.scheduler(book, store)
end

after_each(function()
  rules.stop_schedulers()
  rules.close_all()
  store:abandon()
end)

local function now() return tonumber(rules.clock.manual_wall_ms) end

-- Sets the samples of some series, moves the clock to the next full 10 s, runs what is due.
local function step(values)
  local entries = {}
  for room, value in pairs(values or {}) do
    entries[#entries + 1] = { { __name__ = "celsius", room = room }, { now(), value } }
  end
  if #entries > 0 then assert.equal(#entries, (store:push(entries))) end
  store:run "wait_indexed"
  rules.advance(10000 - now() % 10000)
  rules.run_due(runner)
  store:run "wait_indexed"
end

local function described(name)
  local out = ffi.new("struct buf")
  assert.equal(0, rules.C["rulebook_put_" .. name](book, ffi.new "struct read_request", true, true,
    out, tide.error()))
  local data = json.decode(ffi.string(out.data, out.len))
  rules.C.buf_destroy(out)
  return data
end

local function alerts()
  local out = ffi.new("struct buf")
  assert.equal(0, rules.C.rulebook_put_alerts(book, ffi.new "struct read_request", out,
    tide.error()))
  local data = json.decode(ffi.string(out.data, out.len))
  rules.C.buf_destroy(out)
  local map = {}
  for _, alert in ipairs(data.alerts) do map[alert.labels.room] = alert.state end
  return map
end

-- The newest sample of a series: its value, or "stale".
local function newest(labels)
  local matchers = {}
  for name, value in pairs(labels) do matchers[#matchers + 1] = { name, "=", value } end
  local value
  store:each(matchers, nil, nil, function(_, columns)
    if columns.len > 0 then
      value = columns.values[columns.len - 1]
      if ffi.cast("uint64_t *", columns.values)[columns.len - 1] == 0x7ff0000000000002ULL then
        value = "stale"
      end
    end
  end)
  return value
end

describe("an alert", function()
  it("is pending for `hold`, firing, and gone", function()
    open [[tide.alert("Hot", { expr = "celsius > 30", every = "10s", hold = "20s" })]]
    step { a = 20, b = 35 }
    assert.same({ b = "pending" }, alerts())
    assert.equal(1, newest { __name__ = "ALERTS", room = "b", alertstate = "pending" })
    step { a = 40, b = 35 }
    assert.same({ a = "pending", b = "pending" }, alerts())
    step { a = 20, b = 35 }
    assert.same({ b = "firing" }, alerts()) -- what was only pending leaves no trace
    assert.equal(1, newest { __name__ = "ALERTS", room = "b", alertstate = "firing" })
    assert.equal("stale", newest { __name__ = "ALERTS", room = "b", alertstate = "pending" })
    assert.equal("stale", newest { __name__ = "ALERTS", room = "a" })
    step { b = 20 }
    assert.same({}, alerts())
    assert.equal("stale", newest { __name__ = "ALERTS", room = "b", alertstate = "firing" })
    assert.equal("stale", newest { __name__ = "ALERTS_FOR_STATE", room = "b" })
    -- When it comes back, it waits again.
    step { b = 36 }
    assert.same({ b = "pending" }, alerts())
  end)

  it("goes on firing for `keep_firing`", function()
    open [[tide.alert("Hot", { expr = "celsius > 30", every = "10s", keep_firing = "30s" })]]
    step { a = 31 }
    assert.same({ a = "firing" }, alerts())
    step { a = 1 }
    step { a = 1 }
    assert.same({ a = "firing" }, alerts())
    step { a = 1 }
    assert.same({}, alerts())
  end)

  it("stays as it was while its query fails", function()
    open [[
      tide.func("may_fail", { args = "vector" }, function(value)
        if tide.shared.get "fail" then error "oops" end
        return value
      end)
      tide.alert("Hot", { expr = "may_fail(celsius) > 30", every = "10s" })]]
    step { a = 31 }
    assert.same({ a = "firing" }, alerts())
    local console = rules.console(book)
    console:eval "tide.shared.set('fail', 1)"
    step { a = 1 }
    step { a = 1 }
    assert.same({ a = "firing" }, alerts())
    local rule = described("rules").groups[1].rules[1]
    assert.same({ "err", "firing" }, { rule.health, rule.state })
    assert.is_truthy(rule.lastError:find("oops", 1, true), rule.lastError)
    console:eval "tide.shared.set('fail', nil)"
    console:close()
    step { a = 1 }
    assert.same({}, alerts())
  end)

  it("keeps its state over a reload, and loses it with its rule", function()
    local text = [[tide.alert("Hot", { expr = "celsius > %d", every = "10s", hold = "20s" })]]
    open(text:format(30))
    step { a = 35 }
    step { a = 35 }
    rules.write(rules.folder(book), { ["a.lua"] = text:format(31) })
    assert.is_true((rules.reload(book)))
    step { a = 35 }
    assert.same({ a = "firing" }, alerts())
    rules.write(rules.folder(book), { ["a.lua"] = "" })
    assert.is_true((rules.reload(book)))
    step { a = 35 }
    assert.same({}, alerts())
    assert.same({}, described("rules").groups)
  end)

  it("goes on waiting after a restart, by what is stored", function()
    local text = [[tide.alert("Hot", { expr = "celsius > 30", every = "10s", hold = "40s" })]]
    open(text)
    step { a = 35 }
    step { a = 35 }
    step { a = 35 }
    assert.same({ a = "pending" }, alerts())
    -- Another server over the same samples: nothing in memory is left.
    local first = store
    rules.stop_schedulers()
    local wall = now()
    book = assert((rules.open { ["a.lua"] = text }))
    rules.advance(wall - now())
    runner = rules.scheduler(book, first)
    step { a = 35 }
    step { a = 35 }
    assert.same({ a = "firing" }, alerts())
  end)

  it("is an error when labels come twice, or the answer is none", function()
    open [[
      tide.alert("Twice", { expr = "celsius or label_replace(celsius, '__name__', 'b', '', '')",
        every = "10s", labels = { room = "same" } })
      tide.alert("Range", { expr = "celsius[1m]", every = "10s" })]]
    step { a = 1, b = 2 }
    local list = described("rules").groups[1].rules
    assert.is_truthy(list[1].lastError:find("two alerts with the same labels", 1, true))
    assert.is_truthy(list[2].lastError:find("neither a vector nor a scalar", 1, true))
    assert.same({}, alerts())
  end)
end)

describe("a recording rule", function()
  it("is stored at the multiples of its interval, once after a pause", function()
    open [[tide.record("r", { expr = "celsius * 2", every = "10s" })]]
    step { a = 1 }
    step { a = 2 }
    rules.advance(65000) -- the machine slept
    rules.run_due(runner)
    local times = {}
    store:each({ { "__name__", "=", "r" } }, nil, nil, function(_, columns)
      for i = 0, tonumber(columns.len) - 1 do
        times[#times + 1] = tonumber(columns.times_ms[i]) % 10000
      end
    end)
    assert.same({ 0, 0, 0 }, times)
  end)

  it("marks what is no longer in the answer", function()
    open [[tide.record("hot", { expr = "celsius > 30", every = "10s" })]]
    step { a = 31, b = 32 }
    step { a = 31, b = 2 }
    assert.same({ 31, "stale" }, { newest { __name__ = "hot", room = "a" },
      newest { __name__ = "hot", room = "b" } })
  end)

  it("that is no PromQL does not load, and says where", function()
    local _, problem = rules.open { ["a.lua"] = '\ntide.record("x", { expr = "sum by (" })' }
    assert.is_truthy(problem:find('^SCRIPTS/a.lua:2: tide.record "x": expr: 1:%d+: parse error'),
      problem)
    open [[tide.func("mine", { args = "vector" }, function(v) return v end)
      tide.record("x", { expr = "mine(celsius)", every = "10s" })]]
    step { a = 7 }
    assert.equal(7, newest { __name__ = "x", room = "a" })
  end)
end)
