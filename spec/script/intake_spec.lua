-- tide.transform and tide.limit on a store: what is stored, what is refused, what is counted.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local rules = require "spec.support.rules"
local engine = require "spec.unit.store.engine"
local C = engine.C

local NAN, STALE = 0x7ff8000000000001ULL, 0x7ff0000000000002ULL
local T0 = rules.NOW

local store, book, folder

-- A store in memory, or in `settings.data_dir`, by the rules of `text`.
local function open(text, settings)
  local problem
  book, problem = rules.open { ["a.lua"] = text }
  assert(book, problem)
  settings = settings or {}
  settings.clock, settings.policy = rules.clock, rules.C.rulebook_policy(book)
  store = assert(engine.open(settings))
end

local function reload(text)
  rules.write(rules.folder(book), { ["a.lua"] = text })
  assert(rules.reload(book))
  C.store_refresh_rules(store.store)
end

after_each(function()
  if store then store:abandon() end
  store = nil
  rules.close_all()
  if folder then engine.remove(folder) end
  folder = nil
end)

-- { {seconds after T0, value}, ... } of the one series that matches.
local function samples(name)
  local found
  for _, list in pairs(store:query { { "__name__", "=", name } }) do
    assert(not found, "more than one series")
    found = {}
    for i, sample in ipairs(list) do found[i] = { (sample[1] - T0) / 1000, sample[2] } end
  end
  return found or {}
end

local function push(name, ...)
  local entry = { { __name__ = name } }
  for i, sample in ipairs { ... } do entry[i + 1] = { T0 + sample[1] * 1000, sample[2] } end
  return store:push { entry }
end

-- One sample of a series each; accepted, refused, examples.
local function push_series(list)
  local entries = {}
  for i, labels in ipairs(list) do entries[i] = { labels, { T0, 1 } } end
  return store:push(entries)
end

local function done(title)
  for _, rule in ipairs(rules.rules(book)) do
    if rule.title == title and rule.hook ~= "retention" then return rule end
  end
end

local function values(list)
  local out = {}
  for i, sample in ipairs(list) do out[i] = sample[2] end
  return out
end

describe("tide.transform", function()
  it("scales, clamps and rounds in this order, as a model does", function()
    open 'tide.transform("x", { scale = 1.5, offset = 2, clamp = { -10, 1000 }, round = 2 })'
    local given, expected, changed = {}, {}, 0
    local seed = 42
    for i = 1, 500 do
      seed = (seed * 1103515245 + 12345) % 2 ^ 31
      local value = (seed / 2 ^ 31 - 0.5) * 10 ^ (i % 8)
      local result = math.min(math.max(value * 1.5 + 2, -10), 1000)
      result = math.floor(result * 100 + 0.5) / 100
      changed = changed + (result ~= value and 1 or 0)
      given[i], expected[i] = { i - 600, value }, result
    end
    assert.equal(500, (push("a", unpack(given))))
    assert.same(expected, values(samples "a"))
    assert.equal(changed, done "x".changed)
  end)

  it("rounds to tens with negative digits, leaves huge values and infinities alone", function()
    open 'tide.transform("x", { round = -2 }) tide.transform("y", { match = "b", round = 15 })'
    push("a", { 1, 149 }, { 2, 150 }, { 3, -150 }, { 4, 1e300 }, { 5, 1 / 0 }, { 6, -1 / 0 })
    assert.same({ 100, 200, -100, 1e300, 1 / 0, -1 / 0 }, values(samples "a"))
  end)

  it("drops NaN and nothing else, and says so", function()
    open 'tide.transform("x", { drop_nan = true })'
    local accepted, refused, examples = push("a", { 1, 1 }, { 2, NAN }, { 3, 3 })
    assert.equal(2, accepted)
    assert.same({ policy = 1 }, refused)
    assert.equal('no number (transform "x")', examples[1])
    assert.same({ { 1, 1 }, { 3, 3 } }, samples "a")
    assert.equal(1, done "x".dropped_nan)
  end)

  it("drops what scaling makes no number", function()
    open 'tide.transform("x", { scale = 0, drop_nan = true })'
    push("a", { 1, 1 }, { 2, 1 / 0 }, { 3, -3 })
    assert.same({ { 1, 0 }, { 3, -0 } }, samples "a")
  end)

  it("never touches staleness markers", function()
    open [[tide.transform("x", { drop_nan = true, scale = 2, offset = 1, clamp = { 0, 5 },
      round = 0, min_interval = "10s" })]]
    push("a", { 0, 1 }, { 1, STALE }, { 2, 2 }, { 3, 1 })
    local bits = store:query_bits { { "__name__", "=", "a" } }
    local list = select(2, next(bits))
    assert.equal(3, #list) -- the sample after a marker comes in, the next one is too soon
    assert.equal(STALE, list[2][2])
    assert.same({ 0, 1, 2 }, { (list[1][1] - T0) / 1000, (list[2][1] - T0) / 1000,
      (list[3][1] - T0) / 1000 })
  end)

  it("runs all rules that match, in file order, and no other", function()
    open [[tide.transform("first", { match = "a", scale = 2 })
      tide.transform("second", { match = '{__name__=~"a|b"}', offset = 1 })
      tide.transform("third", { match = "c", scale = 100 })]]
    push("a", { 1, 5 })
    push("b", { 1, 5 })
    push("d", { 1, 5 })
    assert.same({ { 1, 11 } }, samples "a")
    assert.same({ { 1, 6 } }, samples "b")
    assert.same({ { 1, 5 } }, samples "d")
    assert.same({ 1, 2, 0 }, { done "first".changed, done "second".changed, done "third".changed })
  end)

  it("matches the labels that admission left", function()
    open [[tide.admit("rename", function(s) s.labels.unit = "f" end)
      tide.transform("x", { match = '{unit="f"}', scale = 10 })]]
    push("a", { 1, 5 })
    assert.same({ { 1, 50 } }, samples "a")
  end)

  it("keeps samples apart by min_interval, over pushes and for late ones", function()
    open 'tide.transform("x", { min_interval = "10s" })'
    push("a", { 0, 1 }, { 5, 2 }, { 10, 3 }, { 19, 4 })
    push("a", { 19.999, 5 }, { 20, 6 })
    assert.same({ { 0, 1 }, { 10, 3 }, { 20, 6 } }, samples "a")
    assert.equal(3, done "x".dropped_interval)
    -- The same again is no news, and late ones are kept apart from each other and the newest.
    local accepted, refused = push("a", { 0, 1 }, { 5, 2 }, { 10, 3 }, { 19, 4 },
      { 20, 6 })
    assert.equal(3, accepted)
    assert.same({ policy = 2 }, refused)
    push("a", { 100, 7 })
    push("a", { 50, 1 }, { 55, 2 }, { 60, 3 }, { 95, 4 })
    assert.same({ { 0, 1 }, { 10, 3 }, { 20, 6 }, { 50, 1 }, { 60, 3 }, { 100, 7 } }, samples "a")
  end)

  it("does the same to imports", function()
    folder = engine.folder()
    open('tide.transform("x", { match = "a", scale = 2, drop_nan = true, min_interval = "10s" })',
      { data_dir = folder })
    local entry = { { __name__ = "a" } }
    for i = 0, 99 do
      entry[i + 2] = { T0 - 86400000 + ((i * 37) % 100) * 1000, i % 10 == 3 and NAN or i }
    end
    local _, refused = store:import { entry, { { __name__ = "b" }, { T0 - 1000, 7 } } }
    store:run "merge"
    local expected, dropped, last = {}, 0, nil
    for t = 0, 99 do
      local i = (t * 73) % 100 -- 37 * 73 = 2701
      if i % 10 == 3 or last and t - last < 10 then
        dropped = dropped + 1
      else
        expected[#expected + 1], last = { t - 86400, 2 * i }, t
      end
    end
    assert.same(expected, samples "a")
    assert.same({ policy = dropped }, refused)
    assert.same({ { -1, 7 } }, samples "b")
  end)

  it("is in force for known series after a reload, and gone after the next", function()
    open 'tide.transform("x", { match = "a", scale = 2 })'
    push("a", { 1, 1 })
    push("b", { 1, 1 })
    reload 'tide.transform("x", { match = "b", scale = 3 })'
    push("a", { 2, 1 })
    push("b", { 2, 1 })
    reload ""
    push("a", { 3, 1 })
    push("b", { 3, 1 })
    assert.same({ 2, 1, 1 }, values(samples "a"))
    assert.same({ 1, 3, 1 }, values(samples "b"))
    reload 'tide.transform("x", { scale = 5 })'
    push("a", { 4, 1 })
    assert.equal(5, values(samples "a")[4])
  end)

  it("is not applied again by the replay of the log", function()
    folder = engine.folder()
    local text = 'tide.transform("x", { scale = 2, min_interval = "10s" })'
    open(text, { data_dir = folder, wal_sync = 3 })
    push("a", { 0, 1 }, { 10, 2 }, { 20, 3 })
    store:wait_durable()
    store:abandon()
    store = assert(engine.open { data_dir = folder, wal_sync = 3, clock = rules.clock,
      policy = rules.C.rulebook_policy(book) })
    assert.same({ { 0, 2 }, { 10, 4 }, { 20, 6 } }, samples "a")
    push("a", { 30, 4 }) -- and is there for what comes
    assert.same({ 30, 8 }, samples "a"[4])
  end)

  it("is known to samples that were archived meanwhile", function()
    folder = engine.folder()
    open('tide.transform("x", { scale = 2 })', { data_dir = folder, retention_ms = 2 ^ 40 })
    push("a", { 0, 1 })
    rules.advance(2 * 3600 * 1000)
    store:run "maintain"
    store:run "persist"
    store:run "maintain"
    assert.equal(1, tonumber(store:stats().series_archived))
    push("a", { 7200, 2 })
    assert.same({ 2, 4 }, values(samples "a"))
  end)
end)

describe("tide.limit", function()
  it("refuses series over a quota, of each value by itself, and says so", function()
    open 'tide.limit("per tenant", { by = "tenant", series = 2 })'
    local list = {}
    for _, tenant in ipairs { "a", "b" } do
      for i = 1, 3 do list[#list + 1] = { __name__ = "m", tenant = tenant, i = tostring(i) } end
    end
    list[#list + 1] = { __name__ = "m" }
    local accepted, refused, examples = push_series(list)
    assert.equal(5, accepted)
    assert.same({ series_limit = 2 }, refused)
    assert.equal('limit "per tenant": {tenant="a"} has the 2 series that it may have in memory',
      examples[1])
    -- Again: the same answer out of the cache, and what is in stays in.
    accepted, refused = push_series(list)
    assert.equal(5, accepted)
    assert.same({ series_limit = 2 }, refused)
    local rule = done "per tenant"
    assert.same({ 3, 2 }, { rule.quotas, rule.full_quotas })
  end)

  it("lets a refused series in when another one has gone", function()
    folder = engine.folder()
    open('tide.limit("all", { series = 2 })', { data_dir = folder, retention_ms = 2 ^ 40 })
    push("a", { 0, 1 })
    push("b", { 0, 1 })
    for _ = 1, 3 do assert.same({ series_limit = 1 }, select(2, push("c", { 0, 1 }))) end
    rules.advance(3600 * 1000 + 5000)
    push("b", { 3600, 1 })
    store:run "maintain"
    store:run "persist"
    store:run "maintain"
    assert.equal(1, tonumber(store:stats().series_archived))
    assert.equal(1, (push("c", { 3600, 1 })))
    -- The archived one is a new one now: it waits for room, and its samples are there.
    assert.same({ series_limit = 1 }, select(2, push("a", { 3600, 1 })))
    assert.same({ { 0, 1 } }, samples "a")
  end)

  it("counts after a restart what is in memory, exactly", function()
    folder = engine.folder()
    open('tide.limit("all", { by = "t", series = 3 })', { data_dir = folder })
    for i = 1, 3 do push_series { { __name__ = "m" .. i, t = "x" } } end
    push_series { { __name__ = "m1", t = "y" } }
    assert.is_true(store:close())
    store = assert(engine.open { data_dir = folder, clock = rules.clock,
      policy = rules.C.rulebook_policy(book) })
    assert.same({ series_limit = 1 }, select(2, push_series { { __name__ = "m4", t = "x" } }))
    assert.equal(2, (push_series { { __name__ = "m2", t = "y" }, { __name__ = "m3", t = "y" } }))
    assert.same({ series_limit = 1 }, select(2, push_series { { __name__ = "m4", t = "y" } }))
  end)

  it("counts anew after a reload", function()
    open ""
    for i = 1, 5 do push_series { { __name__ = "m" .. i, t = "x" } } end
    reload 'tide.limit("all", { by = "t", series = 6 })'
    assert.equal(1, (push_series { { __name__ = "m6", t = "x" } }))
    assert.same({ series_limit = 1 }, select(2, push_series { { __name__ = "m7", t = "x" } }))
    reload 'tide.limit("all", { by = "t", series = 7 })'
    assert.equal(1, (push_series { { __name__ = "m7", t = "x" } }))
    assert.same({ series_limit = 1 }, select(2, push_series { { __name__ = "m8", t = "x" } }))
    reload 'tide.limit("other", { match = "m8", series = 0 })'
    assert.same({ series_limit = 1 }, select(2, push_series { { __name__ = "m8", t = "x" } }))
    reload ""
    assert.equal(1, (push_series { { __name__ = "m8", t = "x" } }))
  end)

  it("takes places in all quotas or in none", function()
    open [[tide.limit("job", { by = "job", series = 2 })
      tide.limit("env", { by = "env", series = 1 })]]
    assert.equal(1, (push_series { { __name__ = "m", job = "a", env = "x" } }))
    for i = 1, 3 do
      local _, refused = push_series { { __name__ = "m" .. i, job = "a", env = "x" } }
      assert.same({ series_limit = 1 }, refused)
    end
    assert.equal(1, (push_series { { __name__ = "m", job = "a", env = "y" } }))
    assert.equal(0, done "job".refused_series)
    assert.equal(3, done "env".refused_series)
  end)

  it("strips labels, so that series merge, and ends with that when there is room", function()
    open 'tide.limit("x", { by = "t", series = 2, over = "strip", strip = { "pod", "ip" } })'
    local function one(pod) return { __name__ = "m", t = "a", pod = pod, ip = pod } end
    local accepted, refused = push_series { one "1", one "2", one "3", one "4" }
    assert.equal(4, accepted)
    assert.same({}, refused)
    assert.same({ '{__name__="m", ip="1", pod="1", t="a"}',
      '{__name__="m", ip="2", pod="2", t="a"}', '{__name__="m", t="a"}' },
      store:names { { "__name__", "=", "m" } })
    assert.equal(2, done "x".stripped)
    -- A tenth more is let in, at least one: then even stripped ones are refused.
    accepted, refused = push_series { { __name__ = "n", t = "a", pod = "1" } }
    assert.same({ 0, { series_limit = 1 } }, { accepted, refused })
    -- What has nothing to strip is refused.
    assert.same({ series_limit = 1 }, select(2, push_series { { __name__ = "o", t = "a" } }))
    reload 'tide.limit("x", { by = "t", series = 20, over = "strip", strip = { "pod", "ip" } })'
    push_series { one "3" }
    assert.equal(4, #store:names { { "__name__", "=", "m" } })
  end)

  it("keeps one in n of the series over a quota, always the same ones, and is no error", function()
    open 'tide.limit("x", { series = 100, over = "sample", keep_one_in = 4 })'
    local list = {}
    for i = 1, 1000 do list[i] = { __name__ = "m", i = tostring(i) } end
    local accepted, refused = push_series(list)
    assert.equal(1000, accepted + refused.policy)
    assert.is_nil(refused.series_limit)
    assert.is_true(accepted > 100 + 150 and accepted < 100 + 300, accepted)
    for _ = 1, 2 do assert.equal(accepted, (push_series(list))) end
  end)

  it("keeps series over a quota for a short time, by a label and a retention rule", function()
    open 'tide.limit("x", { series = 1, over = "short", keep = "2h" })'
    assert.equal(2, (push_series { { __name__ = "m", i = "1" }, { __name__ = "m", i = "2" } }))
    assert.same({ '{__name__="m", i="1"}', '{__name__="m", i="2", over_limit="x"}' },
      store:names { { "__name__", "=", "m" } })
    assert.equal(2 / 24, (rules.keep(book, { __name__ = "m", over_limit = "x" })))
    assert.equal("default", (rules.keep(book, { __name__ = "m" })))
  end)

  it("refuses samples over a rate, and lets them in with time", function()
    open 'tide.limit("x", { by = "t", samples_per_second = 10, burst = "2s" })'
    local entries = {}
    for i = 1, 30 do entries[i] = { { __name__ = "m" .. i, t = "a" }, { T0, i } } end
    entries[31] = { { __name__ = "m", t = "b" }, { T0, 1 } }
    local accepted, refused, examples = store:push(entries)
    assert.equal(21, accepted)
    assert.same({ rate_limit = 10 }, refused)
    assert.equal('limit "x": more than 10 samples a second', examples[1])
    -- The newest samples again are free: a sender that repeats all of it comes to an end.
    accepted, refused = store:push(entries)
    assert.same({ 21, { rate_limit = 10 } }, { accepted, refused })
    rules.advance(500)
    accepted, refused = store:push(entries)
    assert.same({ 26, { rate_limit = 5 } }, { accepted, refused })
    rules.advance(500)
    accepted, refused = store:push(entries)
    assert.same({ 31, {} }, { accepted, refused })
    assert.equal(25, done "x".refused_samples)
  end)

  it("comes to an end with late samples that are sent again", function()
    open 'tide.limit("x", { samples_per_second = 1, burst = "1s" })'
    local entry, rounds, accepted = { { __name__ = "m" } }, 0, 0
    for i = 1, 9 do entry[i + 1] = { T0 + i * 1000, i } end
    while accepted < 9 and rounds < 100 do
      accepted, rounds = store:push { entry }, rounds + 1
      rules.advance(1000)
    end
    assert.equal(9, accepted)
    assert.equal(9, #samples "m")
  end)

  it("thins samples over a rate", function()
    open [[tide.limit("x", { samples_per_second = 10, burst = "1s", over = "sample",
      keep_one_in = 5 })]]
    local entry = { { __name__ = "m" } }
    for i = 1, 110 do entry[i + 1] = { T0 + i, i } end
    local accepted, refused = store:push { entry }
    assert.equal(30, accepted)
    assert.same({ policy = 80 }, refused)
  end)

  it("tells of soft bounds once, and again after they were left", function()
    folder = engine.folder()
    open([[tide.limit("x", { by = "t", series = 10, soft = 0.5 })
      tide.on("limit_soft", "tell", function(event)
        tide.shared.incr("told")
        tide.shared.set("last", event.text .. " " .. event.labels.t .. " " .. event.number ..
          " of " .. event.bound)
      end)]], { data_dir = folder })
    local runner = rules.scheduler(book, store)
    for i = 1, 4 do push_series { { __name__ = "m" .. i, t = "a" } } end
    rules.run_due(runner)
    assert.is_nil(rules.shared(book, "told"))
    for i = 5, 8 do push_series { { __name__ = "m" .. i, t = "a" } } end
    rules.run_due(runner)
    assert.same({ 1, "x a 5 of 10" }, { rules.shared(book, "told"), rules.shared(book, "last") })
    assert.equal(1, done "x".soft)
  end)

  it("lets everything in, unchanged, of a group too many, and counts it", function()
    open 'tide.limit("x", { by = "t", series = 1 })'
    local list = {}
    for i = 1, 100000 do list[i] = { __name__ = "m", t = tostring(i) } end
    assert.equal(100000, (push_series(list)))
    assert.equal(2, (push_series { { __name__ = "m", t = "new" }, { __name__ = "n", t = "new" } }))
    assert.same({ series_limit = 1 }, select(2, push_series { { __name__ = "n", t = "1" } }))
  end)
end)

describe("declared rules that are wrong", function()
  local wrong = {
    ["tide.transform('x', { rond = 2 })"] = "unknown option rond (did you mean round?)",
    ["tide.transform('x', {})"] = "nothing is to be done",
    ["tide.transform('x', function() end)"] = "the second argument is a table",
    ["tide.transform('x', { round = 2.5 })"] = "round: how many digits",
    ["tide.transform('x', { scale = 0/0 })"] = "scale: not a number",
    ["tide.transform('x', { clamp = { 5, 1 } })"] = "clamp: { min, max }",
    ["tide.transform('x', { clamp = {} })"] = "clamp: { min, max }",
    ["tide.transform('x', { min_interval = '0s' })"] = "min_interval: a duration",
    ["tide.limit('x', { by = 'a' })"] = "nothing is bounded",
    ["tide.limit('x', { series = -1 })"] = "series: a whole number",
    ["tide.limit('x', { series = 1, by = { 'a', 'a' } })"] = "by: a label name",
    ["tide.limit('x', { samples_per_second = 0 })"] = "samples_per_second: a number over 0",
    ["tide.limit('x', { series = 1, burst = '1s' })"] = "burst: only with samples_per_second",
    ["tide.limit('x', { series = 1, soft = 2 })"] = "soft: a share",
    ["tide.limit('x', { series = 1, over = 'explode' })"] = 'over: "drop"',
    ["tide.limit('x', { series = 1, over = 'strip' })"] = 'over = "strip" needs strip',
    ["tide.limit('x', { series = 1, over = 'strip', strip = '__name__' })"] = "needs its name",
    ["tide.limit('x', { series = 1, by = 'a', over = 'strip', strip = 'a' })"] = "a label of `by`",
    ["tide.limit('x', { series = 1, over = 'sample', keep_one_in = 1 })"] = "keep_one_in:",
    ["tide.limit('x', { series = 1, keep = '1d' })"] = 'keep: only with over = "short"',
    ["tide.limit('x', { samples_per_second = 1, over = 'short', keep = '1d' })"] = "about series",
    ["tide.limit('x', { series = 1, match = '{a=~\"(\"}' })"] = "tide.limit: match:",
  }
  for text, says in pairs(wrong) do
    it("do not load: " .. text, function()
      local made, problem = rules.open { ["a.lua"] = text }
      assert.is_nil(made)
      assert.is_truthy(problem:find("a.lua:1:", 1, true), problem)
      assert.is_truthy(problem:find(says, 1, true), problem)
    end)
  end

  it("are told by tidemark check when they have no effect", function()
    local out, err = ffi.new("struct buf"), tide.error()
    local made = rules.folder_of { ["a.lua"] = [[
tide.transform("a", { round = 2 })
tide.transform("b", { round = 2 })
tide.limit("c", { by = "t", series = 10 })
tide.limit("d", { by = "t", series = 10 })
tide.limit("e", { by = "t", series = 5 })]] }
    assert.equal(2, rules.C.rulebook_check(made, 300000, out, err))
    local text = ffi.string(out.data, out.len)
    C.buf_destroy(out)
    assert.is_truthy(text:find('a.lua:2: transform "b" does again what "a"', 1, true), text)
    assert.is_truthy(text:find('a.lua:4: limit "d" is never reached', 1, true), text)
  end)
end)
