-- A plan is what the next pass does: over random stores and random rules, the counts of the plan
-- are compared with what the pass writes to audit.jsonl and with what is left.
local ffi = require "ffi"
local json = require "cjson"
local tide = require "spec.support.tide"
local engine = require "spec.unit.store.engine"
local rules = require "spec.support.rules"
local C = tide.load("store/audit.h", "store/plan.h",
  "store/pass_guard.h", "store/trash.h", "store/delete.h")

local HOUR = 3600000
local START = rules.NOW
local KINDS = { [0] = "rule", "configuration", "broken" }
local COUNTS = { "series", "series_gone", "chunks", "samples", "bytes", "first_ms", "last_ms" }

local folders = {}

local function text_of(labels)
  local buf = ffi.new("struct buf")
  C.labels_format_set(buf, labels)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

-- { [title] = counts }, and what belongs to the whole plan.
local function plan(store, request)
  local made, err = ffi.new("struct store_plan"), tide.error()
  assert(C.store_plan(store.store, request or ffi.new("struct plan_request"), made, err) == 0,
    tide.text(err))
  local found = {}
  for i = 0, tonumber(made.rule_count) - 1 do
    local rule = made.rules[i]
    local one = { kind = KINDS[tonumber(rule.kind)], decides = tonumber(rule.decides),
      examples = {} }
    for _, name in ipairs(COUNTS) do one[name] = tonumber(rule.removed[name]) end
    for k = 0, tonumber(rule.example_count) - 1 do
      one.examples[k + 1] = text_of(rule.examples[k].labels)
    end
    found[ffi.string(rule.title)] = one
  end
  local whole = { series = tonumber(made.series), held = made.held,
    waits = made.waits, first = made.first, unexpected = tonumber(made.surprising.samples),
    damaged = tonumber(made.damaged), explained = tonumber(made.explained_count) }
  C.store_plan_destroy(made)
  return found, whole
end

-- What passes wrote to the audit, by rule; the store's folder is the last one.
local function audit()
  local found = {}
  local file = io.open(folders[#folders] .. "/audit.jsonl")
  if not file then return found end
  for line in file:lines() do
    local one = json.decode(line)
    if one.action == "retention" then
      found[one.by == "storage.retention" and "configuration" or one.by] = one
    end
  end
  file:close()
  return found
end

local function samples_of(store)
  local count, series = 0, 0
  for _, samples in pairs(store:query { { "__name__", "=", "m" } }) do
    count = count + #samples
    if #samples > 0 then series = series + 1 end
  end
  return count, series
end

local TEAMS = { "a", "b", "c", "d" }
local KEEPS = { "30m", "2h", "5h", "12h", "3d", "forever" }

local function any(list) return list[math.random(#list)] end

-- One of each form of a rule: declared, by labels, by fields that change, broken.
local function random_rule(i)
  local forms = {
    function() return ('tide.retention("r%d", { match = \'{team="%s"}\', keep = "%s" })'):format(i,
      any(TEAMS), any(KEEPS)) end,
    function() return ('tide.retention("r%d", function(s) if s.labels.team == "%s" then ' ..
      'return "%s" end end)'):format(i, any(TEAMS), any(KEEPS)) end,
    function() return ('tide.retention("r%d", function(s) if s.chunks > %d then ' ..
      'return "%s" end end)'):format(i, math.random(20), any(KEEPS)) end,
    function() return ('tide.retention("r%d", { match = \'{i=~"%d.*"}\', keep = function() ' ..
      'error "no" end })'):format(i, math.random(9)) end,
  }
  return any(forms)()
end

local function random_rules()
  local lines = {}
  for i = 1, math.random(0, 5) do lines[i] = random_rule(i) end
  return table.concat(lines, "\n")
end

local function open(text, options)
  local book, scripts = assert(rules.open({ ["a.lua"] = text }, { max_errors = 1000000 }))
  local folder = engine.folder()
  folders[#folders + 1] = folder
  local settings = { data_dir = folder, clock_ms = START, policy = rules.C.rulebook_policy(book),
    retention_ms = 8 * HOUR, clock_slack_ms = 9223372036854775807LL }
  for name, value in pairs(options or {}) do settings[name] = value end
  return assert(engine.open(settings)), book, scripts
end

-- Series of random lengths and ages; some fall quiet and are archived by the first pass.
local function fill(store)
  local entries = {}
  for i = 1, math.random(5, 25) do
    local from, count = math.random(0, 9 * 240), math.random(1, 2400)
    entries[i] = { { __name__ = "m", i = tostring(i), team = any(TEAMS) } }
    for n = from, math.min(from + count, 2399) do
      table.insert(entries[i], { START + n * 15000, math.random(1000) ^ math.random(3) })
    end
  end
  store:advance(10 * HOUR)
  assert(store:push(entries) > 0)
  store:run "persist"
  if math.random(2) == 1 then
    store:advance(2 * HOUR)
    store:run "maintain" -- closes heads that are idle
    store:run "persist"
    store:run "maintain" -- and archives
    os.remove(folders[#folders] .. "/audit.jsonl")
  end
  store:advance(math.random(0, 12) * HOUR)
end

local function compare(store, what)
  local before, series_before = samples_of(store)
  local planned, whole = plan(store)
  assert.equal(0, whole.damaged)
  assert.same(planned, (plan(store)), what) -- planning changes nothing
  assert.same({ before, series_before }, { samples_of(store) }, what)
  store:run "maintain"
  local done, chunks = audit(), 0
  for title, one in pairs(planned) do
    local real = done[title]
    if one.series == 0 then
      assert.is_nil(real, what)
    else
      for _, name in ipairs(COUNTS) do
        assert.equal(real[name], one[name], what .. "\n" .. title .. " " .. name)
      end
      before, chunks = before - one.samples, chunks + one.chunks
      assert.equal(math.min(one.series, 10), #one.examples)
    end
    done[title] = nil
  end
  assert.is_nil(next(done), what)
  assert.equal(before, (samples_of(store)), what)
  return chunks
end

local function held(store)
  local hold = ffi.new("struct store_hold")
  C.store_hold_get(store.store, hold)
  return ffi.string(hold.id)
end

-- Brings back all that is in the trash; how many samples.
local function undelete_all(store)
  local list, count, err = ffi.new("struct removal *[1]"), ffi.new("size_t[1]"), tide.error()
  local restored, samples = ffi.new("struct removal"), 0
  assert(C.store_trash_list(store.store, list, count, err) == 0, tide.text(err))
  for i = 0, tonumber(count[0]) - 1 do
    assert(C.store_undelete(store.store, list[0][i].id, "spec", restored, err) == 0,
      tide.text(err))
    samples = samples + tonumber(restored.samples)
  end
  C.mem_free(list[0])
  return samples
end

local function sum_of(planned)
  local samples = 0
  for _, one in pairs(planned) do samples = samples + one.samples end
  return samples
end

-- One pass, of which the plan must have said how much it drops, and whether the rest is held.
local function foretold(store, what)
  local before = samples_of(store)
  local planned, whole = plan(store)
  local expected = sum_of(planned) - (whole.waits and whole.unexpected or 0)
  store:run "maintain"
  assert.equal(before - expected, (samples_of(store)), what)
  assert.equal(whole.waits, held(store) ~= "", what)
  return whole
end

describe("a plan", function()
  after_each(function()
    rules.close_all()
    for _, folder in ipairs(folders) do engine.remove(folder) end
    folders = {}
  end)

  it("is what the next pass drops, over random stores and rules", function()
    local dropped = 0
    for seed = 1, os.getenv "LONG" == "1" and 500 or 25 do
      math.randomseed(seed)
      local text = random_rules()
      local store = open(text)
      fill(store)
      if compare(store, "seed " .. seed .. "\n" .. text) > 0 then dropped = dropped + 1 end
      assert.is_true(store:close())
    end
    assert.is_true(dropped > 5, dropped)
  end)

  it("tells what is held and what goes into the trash, over random stores and new rules", function()
    local holds = 0
    for seed = 1, os.getenv "LONG" == "1" and 200 or 12 do
      math.randomseed(2000 + seed)
      local store, book, scripts = open('tide.retention("keep", { keep = "forever" })',
        { hold_least_bytes = 0, hold_share = any { 0, 0.1, 0.4 } })
      fill(store)
      local text = random_rules()
      local what = "seed " .. seed .. "\n" .. text
      rules.write(scripts, { ["a.lua"] = text })
      assert.is_true(rules.reload(book))
      local before, series = samples_of(store)
      local whole = foretold(store, what)
      assert.is_true(whole.first, what)
      if whole.waits then
        holds = holds + 1
        foretold(store, what) -- still
        local err = tide.error()
        assert(C.store_hold_confirm(store.store, held(store), "spec", err) == 0, tide.text(err))
        assert.is_false(foretold(store, what).waits, what)
      end
      local _, after = plan(store)
      assert.is_false(after.first, what)
      assert.equal(before - samples_of(store), undelete_all(store), what)
      store:run "maintain" -- leaves what came back
      assert.same({ before, series }, { samples_of(store) }, what)
      assert.is_true(store:close())
    end
    assert.is_true(holds > 2, holds)
  end)

  it("of other scripts is what a pass does once they are in force", function()
    for seed = 1, 10 do
      math.randomseed(1000 + seed)
      local store, book, scripts = open 'tide.retention("keep", { keep = "forever" })'
      fill(store)
      local text = random_rules()
      local err = tide.error()
      local other = C.rulebook_open_beside(book, rules.folder_of { ["a.lua"] = text }, err)
      assert(other ~= nil, tide.text(err))
      local request = ffi.new("struct plan_request")
      request.policy = C.rulebook_policy(other)
      local planned = plan(store, request)
      C.rulebook_close(other)
      assert.equal(0, plan(store).keep.series)
      rules.write(scripts, { ["a.lua"] = text })
      assert.is_true(rules.reload(book))
      assert.same(planned, (plan(store)), text)
      compare(store, text)
      assert.is_true(store:close())
    end
  end)

  it("says who decides: a rule, the configuration, a broken rule", function()
    local store = open [[
      tide.retention("configuration", { match = '{team="a"}', keep = "1h" })
      tide.retention("bad", { match = '{team="b"}', keep = function() error "no" end })]]
    local entries = {}
    for i, team in ipairs { "a", "b", "c" } do
      entries[i] = { { __name__ = "m", team = team }, { START, 1 } }
    end
    store:push(entries)
    local made, err = ffi.new("struct store_plan"), tide.error()
    local matcher = ffi.new("struct matcher[1]")
    assert(C.matcher_init(matcher, C.MATCH_REGEX, "team", 4, ".+", 2, nil, err) == 0)
    local request = ffi.new("struct plan_request", { matchers = matcher, matcher_count = 1 })
    assert(C.store_plan(store.store, request, made, err) == 0)
    local found = {}
    for i = 0, tonumber(made.explained_count) - 1 do
      local one = made.explained[i]
      found[text_of(one.labels)] = { KINDS[tonumber(one.kind)], ffi.string(one.title),
        one.keep_ms == rules.FOREVER and "forever" or tonumber(one.keep_ms) / HOUR }
    end
    C.store_plan_destroy(made)
    C.matcher_destroy(matcher)
    assert.same({
      ['{__name__="m", team="a"}'] = { "rule", "configuration", 1 },
      ['{__name__="m", team="b"}'] = { "broken", "broken rule", "forever" },
      ['{__name__="m", team="c"}'] = { "configuration", "configuration", 8 },
    }, found)
    assert.is_true(store:close())
  end)

  it("says that a pass is held by the clock, and counts all the same", function()
    local store = open("", { clock_slack_ms = 24 * HOUR })
    local entry = { { __name__ = "m" } }
    for n = 0, 2399 do table.insert(entry, { START + n * 15000, n % 7 }) end
    store:advance(10 * HOUR)
    store:push { entry }
    store:run "persist"
    store:advance(30 * 24 * HOUR)
    store:run "maintain" -- closes the head
    store:run "persist"
    local planned, whole = plan(store)
    assert.is_true(whole.held)
    assert.is_true(planned.configuration.chunks > 0)
    assert.equal(2400, planned.configuration.samples)
    store:run "maintain"
    assert.same({}, audit())
    assert.equal(2400, (samples_of(store)))
    assert.is_true(store:close())
  end)
end)
