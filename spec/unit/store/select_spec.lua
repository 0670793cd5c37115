-- Matchers against a plain filter in Lua over the same label sets.
local engine = require "spec.unit.store.engine"

local T = 1600000000000

-- 600 series; every label of some is missing.
local function population()
  local list = {}
  for i = 1, 600 do
    local labels = { __name__ = "m" .. i % 3, id = ("%03d"):format(i) }
    if i % 2 == 0 then labels.even = "yes" end
    if i % 5 ~= 0 then labels.zone = ({ "north", "south", "east", "west" })[i % 4 + 1] end
    if i % 7 == 0 then labels.rare = "r" .. i % 21 end
    list[i] = labels
  end
  return list
end

-- Alternatives of literals and prefixes with ".*", as a Lua predicate.
local function regex(pattern)
  return function(value)
    for alternative in (pattern .. "|"):gmatch("(.-)|") do
      local lua = "^" .. alternative:gsub("%.%*", "\1"):gsub("%.", "."):gsub("\1", ".*") .. "$"
      if value:find(lua) then return true end
    end
    return false
  end
end

local accepts = {
  ["="] = function(value, want) return value == want end,
  ["!="] = function(value, want) return value ~= want end,
  ["=~"] = function(value, want) return regex(want)(value) end,
  ["!~"] = function(value, want) return not regex(want)(value) end,
}

local function text_of(labels)
  local names = {}
  for name in pairs(labels) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = ('%s="%s"'):format(name, labels[name]) end
  return "{" .. table.concat(names, ", ") .. "}"
end

describe("select", function()
  local store, list

  setup(function()
    store, list = assert(engine.open()), population()
    local entries = {}
    for i, labels in ipairs(list) do entries[i] = { labels, { T + i, i } } end
    assert.equal(600, (store:push(entries)))
  end)
  teardown(function() store:close() end)

  local cases = {
    { { "id", "=", "007" } },
    { { "id", "=", "nope" } },
    { { "__name__", "=", "m1" } },
    { { "__name__", "=", "m1" }, { "even", "=", "yes" } },
    { { "__name__", "=", "m1" }, { "even", "=", "" } },
    { { "__name__", "=", "m1" }, { "even", "!=", "yes" } },
    { { "__name__", "=", "m1" }, { "even", "!=", "" } },
    { { "zone", "=~", "north|south" } },
    { { "zone", "=~", "n.*|.*st" } },
    { { "zone", "=~", "north|" }, { "__name__", "=", "m2" } },
    { { "zone", "!~", "north|south" }, { "__name__", "=", "m0" } },
    { { "zone", "!~", "n.*" }, { "even", "=", "yes" } },
    { { "zone", "!~", "|north" } },
    { { "id", "=~", "0.*" }, { "rare", "!=", "" } },
    { { "id", "!~", "0.*" }, { "rare", "!=", "r7" } },
    { { "id", "=~", "1.*" }, { "id", "!~", ".*5" }, { "zone", "=", "east" } },
    { { "even", "!=", "yes" } },
    { { "nothing", "=", "" } },
    { { "nothing", "!=", "" } },
    { { "nothing", "=~", ".*" }, { "rare", "=", "r0" } },
    { { "rare", "=", "r0" }, { "rare", "=", "r7" } },
    { { "rare", "=~", "r0|r7|r14" }, { "id", "=~", ".*4|.*7" } },
    {},
  }
  for i, matchers in ipairs(cases) do
    local parts = {}
    for k, m in ipairs(matchers) do parts[k] = ('%s%s"%s"'):format(m[1], m[2], m[3]) end
    it(i .. ": {" .. table.concat(parts, ",") .. "} finds what a filter finds", function()
      local want = {}
      for _, labels in ipairs(list) do
        local all = true
        for _, m in ipairs(matchers) do
          all = all and accepts[m[2]](labels[m[1]] or "", m[3])
        end
        if all then want[#want + 1] = text_of(labels) end
      end
      table.sort(want)
      assert.same(want, store:names(matchers))
    end)
  end

  it("leaves out series outside the time range, both ends inclusive", function()
    assert.equal(11, #store:names({ { "__name__", "=~", "m.*" } }, T + 10, T + 20))
    assert.equal(1, #store:names({ { "__name__", "=~", "m.*" } }, T + 600, T + 9000))
    assert.equal(0, #store:names({ { "__name__", "=~", "m.*" } }, T + 601, T + 9000))
    assert.equal(0, #store:names({ { "__name__", "=~", "m.*" } }, T + 20, T + 10))
  end)

  it("refuses more series than were allowed", function()
    local nothing = function() end
    assert.equal(200, store:each({ { "__name__", "=", "m1" } }, nil, nil, nothing, 200))
    local ok, problem = pcall(store.each, store, { { "__name__", "=", "m1" } }, nil, nil, nothing,
      199)
    assert.is_false(ok)
    assert.truthy(tostring(problem):find("more than 199 series"))
  end)

  it("gives newest sample and fingerprint", function()
    store:each({ { "id", "=", "007" } }, nil, nil, function(series)
      assert.equal(T + 7, tonumber(series.last_ms))
      assert.equal(T + 7, tonumber(series.first_ms))
      assert.is_true(series.last_value_known)
      assert.equal(7, series.last_value)
      assert.is_true(series.fp == engine.C.fingerprint_of(series.labels))
    end)
  end)

  it("lists label names and values, sorted, with matchers and limits", function()
    assert.same({ "__name__", "even", "id", "rare", "zone" }, store:label_names())
    assert.same({ "east", "north", "south", "west" }, store:label_values("zone"))
    assert.same({}, store:label_values("nothing"))
    assert.same({ "r0", "r14", "r7" }, store:label_values("rare"))
    assert.same({ "__name__", "id", "rare", "zone" }, store:label_names { { "id", "=", "007" } })
    assert.same({ "m1" }, store:label_values("__name__", { { "id", "=", "007" } }))
    assert.same({ "001", "002", "003" }, store:label_values("id", nil, 2))
  end)
end)
