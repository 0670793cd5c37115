-- What scripts can hand to tide.transform and tide.limit while they load, and what senders can do
-- to rules in force: it ends by the limits, and what is checked is what holds.
local rules = require "spec.support.rules"
local engine = require "spec.unit.store.engine"

local store

after_each(function()
  if store then store:abandon() end
  store = nil
  rules.close_all()
end)

-- Loads; the error or nil.
local function load(text, options)
  local book, problem = rules.open({ ["a.lua"] = text }, options)
  return book, problem
end

local function open(text, options)
  local book = assert(load(text, options))
  store = assert(engine.open { clock = rules.clock, policy = rules.C.rulebook_policy(book) })
  return book
end

describe("options that change while they are looked at", function()
  -- A table whose fields are other ones at each look.
  local shifty = [[
    local function shifty(first, then_)
      local looks = 0
      return setmetatable({}, { __index = function(_, key)
        looks = looks + 1
        if looks == 1 then return first end
        return then_
      end })
    end ]]

  it("clamp by the bounds that were checked", function()
    open(shifty .. 'tide.transform("x", { clamp = shifty(5, 10) })') -- { 5, 10 }
    store:push { { { __name__ = "a" }, { rules.NOW, 1 }, { rules.NOW + 1, 99 } } }
    local _, samples = next(store:query { { "__name__", "=", "a" } })
    assert.same({ 5, 10 }, { samples[1][2], samples[2][2] })
    assert.is_nil((load(shifty .. 'tide.transform("x", { clamp = shifty(5, {}) })')))
    assert.is_nil((load(shifty .. 'tide.transform("x", { clamp = shifty(5, 1) })')))
  end)

  it("are read from the table itself, not by metamethods", function()
    for _, text in ipairs { 'tide.transform("x", setmetatable({}, { __index = { round = 1 } }))',
      'tide.limit("x", setmetatable({}, { __index = { series = 1 } }))',
      'tide.limit("x", { series = 1, over = "strip", ' ..
        'strip = setmetatable({}, { __index = { "a" } }) })' } do
      assert.is_nil((load(text)), text)
    end
  end)

  it("cannot be changed behind a rule's back", function()
    open [[local options = { by = { "t" }, series = 1, over = "strip", strip = { "pod" } }
      tide.limit("x", options)
      options.by[1], options.strip[1], options.series = "pod", "t", 1000]]
    for i = 1, 5 do
      store:push { { { __name__ = "m", t = "a", pod = tostring(i) }, { rules.NOW, 1 } } }
    end
    assert.same({ '{__name__="m", pod="1", t="a"}', '{__name__="m", t="a"}' },
      store:names { { "__name__", "=", "m" } })
  end)
end)

describe("a load", function()
  local attacks = {
    ["registers for ever"] = 'local i = 0 while true do i = i + 1 ' ..
      'tide.transform("t" .. i, { round = 1 }) end',
    ["registers limits for ever"] = 'local i = 0 while true do i = i + 1 ' ..
      'tide.limit("t" .. i, { series = 1, by = { "a", "b", "c" } }) end',
    ["registers under pcall"] = 'while true do pcall(tide.limit, "x", { series = 1 }) end',
    ["gives a list without end"] = 'local list = {} for i = 1, 1e7 do list[i] = "x" .. i end ' ..
      'tide.limit("x", { series = 1, by = list })',
    ["gives options without end"] = 'local o = {} for i = 1, 1e6 do o["x" .. i] = i end ' ..
      'tide.transform("x", o)',
    ["gives a metamethod without end"] = 'tide.transform("x", { clamp = setmetatable({}, ' ..
      '{ __index = function() while true do end end }) })',
    ["gives huge numbers"] = 'tide.limit("x", { series = 1e300 })',
    ["gives numbers that are none"] = 'tide.limit("x", { samples_per_second = 0/0 })',
    ["gives a name with a zero byte"] = 'tide.limit("x", { series = 1, by = "a\\0b" })',
  }
  for name, text in pairs(attacks) do
    it("that " .. name .. " ends with an error", function()
      local book, problem = load(text)
      assert.is_nil(book)
      assert.is_truthy(problem:find("a.lua", 1, true), problem)
    end)
  end

  it("may register many rules", function()
    open('for i = 1, 3000 do tide.transform("t" .. i, { match = "m" .. i, offset = i }) end ' ..
      'for i = 1, 3000 do tide.limit("t" .. i, { match = "m" .. i, series = 1 }) end',
      { load_ms = 60000 })
    for i = 1, 3000, 500 do
      local labels = { __name__ = "m" .. i }
      assert.equal(1, (store:push { { labels, { rules.NOW, 0 } } }))
      assert.equal(0, (store:push { { { __name__ = "m" .. i, x = "1" }, { rules.NOW, 0 } } }))
      local _, samples = next(store:query { { "__name__", "=", labels.__name__ } })
      assert.equal(i, samples[1][2])
    end
  end)
end)

describe("a sender", function()
  it("cannot pass for another's quota by label values that run together", function()
    open 'tide.limit("x", { by = { "a", "b" }, series = 1 })'
    local values = { { "1", "23" }, { "12", "3" }, { "123" }, { nil, "123" }, { "1\1\0\0\0", "2" },
      { "1", "\1\0\0\0002" }, {} }
    for _, one in ipairs(values) do
      assert.equal(1, (store:push { { { __name__ = "m", a = one[1], b = one[2] },
        { rules.NOW, 1 } } }))
      assert.equal(0, (store:push { { { __name__ = "n", a = one[1], b = one[2] },
        { rules.NOW, 1 } } }))
    end
  end)

  it("cannot grow the quotas by what is refused", function()
    local book = open 'tide.limit("x", { by = "t", series = 0 })'
    for from = 1, 20000, 1000 do
      local entries = {}
      for i = 1, 1000 do entries[i] = { { __name__ = "m", t = tostring(from + i) },
        { rules.NOW, 1 } } end
      assert.equal(0, (store:push(entries)))
    end
    assert.equal(0, rules.rules(book)[1].quotas)
  end)

  it("cannot set the label of short retention to be kept longer", function()
    open 'tide.limit("x", { series = 1, over = "short", keep = "2h" })'
    store:push { { { __name__ = "m" }, { rules.NOW, 1 } } }
    store:push { { { __name__ = "n", over_limit = "mine" }, { rules.NOW, 1 } } }
    assert.same({ '{__name__="n", over_limit="x"}' }, store:names { { "__name__", "=", "n" } })
  end)
end)
