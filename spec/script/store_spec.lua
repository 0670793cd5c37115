-- Rules on a real store: what they decide happens to real samples.
local ffi = require "ffi"
local lfs = require "lfs"
local engine = require "spec.unit.store.engine"
local rules = require "spec.support.rules"

local HOUR = 3600000
local START = rules.NOW -- where the rules' clock stands, too

local folders = {}

-- A store on disk that asks the given scripts; its clock begins at START. Sequel: rulebook, folder.
local function open(files, options)
  local book, scripts = assert(rules.open(files, options))
  local folder = engine.folder()
  folders[#folders + 1] = folder
  local store = assert(engine.open { data_dir = folder, clock_ms = START,
    policy = rules.C.rulebook_policy(book), retention_ms = 15 * 24 * HOUR,
    clock_slack_ms = 9223372036854775807LL }) -- these move it by days without samples
  return store, book, scripts
end

local function series(team) return { __name__ = "m", team = team } end

-- Ten hours of a sample every 15 s for each team, ending at the clock.
local function push_history(store, ...)
  local entries = {}
  for i, team in ipairs { ... } do
    entries[i] = { series(team) }
    for n = 0, 2399 do
      table.insert(entries[i], { START + n * 15000, math.sin(n * i) })
    end
  end
  store:advance(10 * HOUR)
  assert.equal(2400 * #entries, (store:push(entries)))
end

-- Hours back from the clock at which a team's samples begin; nil when there are none.
local function age(store, team)
  local found = store:query { { "team", "=", team } }
  local samples = found[('{__name__="m", team="%s"}'):format(team)]
  return samples and samples[1] and (tonumber(store.clock.manual_wall_ms) - samples[1][1]) / HOUR
end

local function maintain(store)
  store:run "persist"
  store:run "maintain"
end

describe("rules on a store", function()
  after_each(function()
    rules.close_all()
    for _, folder in ipairs(folders) do engine.remove(folder) end
    folders = {}
  end)

  it("drop by retention what the rule says and nothing else, also after a reload", function()
    local store, book, scripts = open { ["a.lua"] = [[
      tide.retention("lab", { match = '{team="lab"}', keep = "1h" })
      tide.retention("by function", function(s)
        if s.labels.team == "web" then return "2h" end
      end)]] }
    push_history(store, "lab", "web", "other")
    maintain(store)
    assert.equal(10, age(store, "other"))
    local lab, web = age(store, "lab"), age(store, "web")
    assert.is_true(lab >= 1 and lab < 3, lab)
    assert.is_true(web >= 2 and web < 4, web)
    assert.is_true(lab < web)
    rules.write(scripts, { ["a.lua"] = [[
      tide.retention("all", { keep = "90m" })]] })
    assert.is_true(rules.reload(book))
    maintain(store)
    local other = age(store, "other")
    assert.is_true(other >= 1.5 and other < 3.5, other)
    assert.is_true(store:close())
  end)

  it("keep everything when a rule is broken, even what the configuration would drop", function()
    for _, body in ipairs { 'error("no")', "while true do end", "return 0", 'return "soon"' } do
      local store, book = open({ ["a.lua"] =
        'tide.retention("broken", { match = \'{team="a"}\', keep = function() ' .. body ..
        " end }) tide.retention('short', { keep = '1h' })" }, { time_ms = 20 })
      push_history(store, "a", "b")
      store:advance(30 * 24 * HOUR)
      maintain(store)
      maintain(store)
      assert.is_true(age(store, "a") > 30 * 24, body)
      assert.is_nil(age(store, "b"), body)
      assert.is_true(rules.rules(book)[1].errors >= 1)
      assert.is_true(store:close())
    end
  end)

  it("keep everything whatever breaks: memory, answers, suspension, before and after it worked",
    function()
      for _, body in ipairs { 'local t = {} while true do t[#t + 1] = ("x"):rep(1000) end',
        "return {}", "error {}", "return -1", 'return "1h", "soon"', "return s.nonsense",
        "s.labels.team = nil return '1h'", "return 0/0" } do
        local store, book, scripts = open({ ["a.lua"] =
          'tide.retention("broken", { match = \'{team="a"}\', keep = function(s) ' .. body ..
          " end }) tide.retention('short', { keep = '1h' })" }, { time_ms = 20, max_errors = 1 })
        push_history(store, "a", "b")
        store:advance(30 * 24 * HOUR)
        for _ = 1, 3 do maintain(store) end
        assert.is_true(age(store, "a") > 30 * 24, body)
        assert.is_nil(age(store, "b"), body)
        assert.is_true(rules.rules(book)[1].suspended, body)
        -- Scripts that do not load change nothing: the rule stays what it is.
        rules.write(scripts, { ["b.lua"] = "tide.retention(" })
        assert.is_false((rules.reload(book)))
        maintain(store)
        assert.is_true(age(store, "a") > 30 * 24, body)
        -- And once it works again, it decides.
        rules.write(scripts, { ["a.lua"] = 'tide.retention("mended", { keep = "1h" })',
          ["b.lua"] = "" })
        assert.is_true(rules.reload(book))
        maintain(store)
        assert.is_nil(age(store, "a"), body)
        assert.is_true(store:close())
      end
    end)

  it("keep what an answer kept when the rule breaks later", function()
    local store, book = open { ["a.lua"] = [[
      tide.retention("turns", { match = '{team="a"}', keep = function(s)
        if tide.shared.get "broken" then error "no" end
        return "60d", "1m"
      end })
      tide.retention("short", { keep = "1h" })]] }
    push_history(store, "a", "b")
    rules.advance(10 * HOUR)
    maintain(store)
    assert.equal(10, age(store, "a"))
    assert.is_true(age(store, "b") < 4)
    local console = rules.console(book)
    console:eval 'tide.shared.set("broken", 1)'
    console:close()
    store:advance(90 * 24 * HOUR)
    rules.advance(90 * 24 * HOUR)
    for _ = 1, 3 do maintain(store) end
    assert.is_true(age(store, "a") > 90 * 24)
    assert.is_nil(age(store, "b"))
    assert.is_true(store:close())
  end)

  it("that look at reads are asked again after a read, before their answer's time", function()
    local store, book = open { ["a.lua"] = [[
      tide.retention("by name", { match = '{team=~"c|d"}', keep = function(s)
        if s.labels.team == "d" then return nil, "365d" end
        return s.created and "60d", "365d"
      end })
      tide.retention("what is read", function(s)
        return s.last_read and "60d" or "20d", "365d"
      end)]] }
    local function calls()
      local told = rules.rules(book)
      return told[1].calls, told[2].calls
    end
    local function read(team)
      store.querier = rules.C.store_client_querier(store.store)
      store:each({ { "team", "=", team } }, nil, nil, function() end)
      store.querier = rules.C.store_querier(store.store)
    end
    push_history(store, "a", "b", "c", "d")
    maintain(store)
    maintain(store)
    assert.same({ 2, 3 }, { calls() }) -- all answers hold for a year
    read "a"
    read "c" -- whose rule looks at its creation only
    maintain(store)
    assert.same({ 2, 4 }, { calls() })
    read "a"
    read "d"
    maintain(store)
    maintain(store)
    assert.same({ 3, 6 }, { calls() })
    store:advance(30 * 24 * HOUR)
    for _ = 1, 3 do maintain(store) end
    assert.is_true(age(store, "a") > 30 * 24)
    assert.is_nil(age(store, "b"))
    assert.is_true(age(store, "c") > 30 * 24)
    assert.is_true(age(store, "d") > 30 * 24)
    assert.is_true(store:close())
  end)

  it("admit, relabel and drop at the first sight of a series", function()
    local store, book = open { ["a.lua"] = [[
      tide.admit("tidy", function(s)
        if s.labels.team == "dev" then return tide.drop "development" end
        s.labels.pod = nil
        s.labels.seen = "yes"
      end)]] }
    local function push(n)
      return store:push {
        { { __name__ = "m", team = "web", pod = "x" }, { START + n, n } },
        { { __name__ = "m", team = "dev" }, { START + n, n } },
      }
    end
    for n = 1, 5 do
      local accepted, refused, examples = push(n)
      assert.equal(1, accepted)
      assert.same({ policy = 1 }, refused)
      assert.equal('dropped by the rule "tidy": development', examples[1])
    end
    -- The stored one once; a refusal that a push shows as an example is asked for its reason.
    assert.equal(1 + 5, rules.rules(book)[1].calls)
    assert.same({ '{__name__="m", seen="yes", team="web"}' },
      store:names { { "__name__", "=", "m" } })
    assert.is_true(store:close())
  end)

  it("admit unchanged when the rule is broken", function()
    local store = open { ["a.lua"] = [[
      tide.admit("broken", function(s) s.labels.team = nil error("no") end)]] }
    assert.equal(1, (store:push { { series "web", { START, 1 } } }))
    assert.same({ '{__name__="m", team="web"}' }, store:names { { "__name__", "=", "m" } })
    assert.is_true(store:close())
  end)

  it("see how many chunks and bytes a series has, also one that is in its file only", function()
    local store, book, scripts = open { ["a.lua"] = "" }
    local function size(team)
      local found
      store:each({ { "team", "=", team } }, nil, nil, function(one)
        local hex = ffi.new("char[17]")
        engine.C.fingerprint_format(hex, one.fp)
        found = lfs.attributes(folders[#folders] .. "/" ..
          ffi.string(hex):gsub("^(..)", "%1/") .. ".db", "size")
      end)
      return found
    end
    push_history(store, "lab", "web")
    maintain(store)
    store:advance(2 * HOUR) -- the heads are closed, written, and the series archived
    for _ = 1, 2 do maintain(store) end
    assert.equal(2, tonumber(store:stats().series_archived))
    local bytes = size "lab"
    assert.is_true(bytes > 1041)
    local text = [[
      tide.retention("exact", function(s)
        if s.archived and s.chunks == %d and s.bytes == %d then return "1h" end
      end)]]
    for _, wrong in ipairs { 1, 0 } do
      rules.write(scripts, { ["a.lua"] = text:format(bytes / 1041 + wrong, bytes) })
      assert.is_true(rules.reload(book))
      maintain(store)
      assert.equal(wrong == 1 and bytes or nil, size "lab")
    end
    assert.is_true(store:close())
  end)

  it("are asked once, and again when their answer is over or the scripts change", function()
    local store, book, scripts = open { ["a.lua"] = [[
      tide.retention("labels", { match = '{team="lab"}', keep = function() return "9d" end })
      tide.retention("short", { match = '{team="web"}', keep = function() return "9d", "10m" end })
    ]] }
    push_history(store, "lab", "web")
    rules.advance(10 * HOUR)
    local function calls()
      local list = rules.rules(book)
      return { list[1].calls, list[2].calls }
    end
    for _ = 1, 3 do maintain(store) end
    assert.same({ 1, 1 }, calls())
    store:advance(HOUR / 12)
    maintain(store)
    assert.same({ 1, 1 }, calls())
    rules.advance(HOUR / 6)
    store:advance(HOUR / 12)
    maintain(store)
    assert.same({ 1, 2 }, calls())
    rules.write(scripts, { ["b.lua"] = "" })
    assert.is_true(rules.reload(book))
    for _ = 1, 2 do maintain(store) end
    assert.same({ 2, 3 }, calls())
    assert.is_true(store:close())
  end)

  -- The series file of a team in the last store's folder.
  local function file_of(store, team)
    local hex = ffi.new("char[17]")
    store:each({ { "team", "=", team } }, nil, nil, function(one)
      engine.C.fingerprint_format(hex, one.fp)
    end)
    return folders[#folders] .. "/" .. ffi.string(hex):gsub("^(..)", "%1/") .. ".db",
      folders[#folders] .. "/orphaned/" .. ffi.string(hex):gsub("^(..)", "%1/")
  end

  local function read_file(path)
    local file = io.open(path, "rb")
    if not file then return nil end
    local bytes = file:read("*a")
    file:close()
    return bytes
  end

  local function write_file(path, bytes)
    local file = assert(io.open(path, "wb"))
    file:write(bytes)
    file:close()
  end

  it("decide what becomes of damaged files: salvaged, deleted or put aside", function()
    local store = open { ["a.lua"] = [[
      tide.quarantine("by team", function(series, damage)
        if series.labels.team == "salvage" then
          assert(damage.chunks_bad == 2 and damage.chunks_sound > 10, damage.chunks_bad)
          assert(damage.offset == 3 * 1041, damage.offset)
          return "salvage"
        end
        if series.labels.team == "delete" then return "delete" end
      end)
      tide.retention("meet the damage", { match = '{team=~".+"}', keep = "9h" })]] }
    push_history(store, "salvage", "delete", "aside", "sound")
    store:run "persist"
    local before = store:query { { "team", "=", "salvage" } }['{__name__="m", team="salvage"}']
    for _, team in ipairs { "salvage", "delete", "aside" } do
      local path = file_of(store, team)
      local bytes = assert(read_file(path))
      -- A record in the middle is not what it says, and the end is torn.
      local at = 3 * 1041
      write_file(path, bytes:sub(1, at) .. ("\255"):rep(40) .. bytes:sub(at + 41) .. "torn")
    end
    local kept, aside = file_of(store, "salvage")
    local deleted, not_aside = file_of(store, "delete")
    local _, whole = file_of(store, "aside")
    maintain(store)
    maintain(store)
    assert.is_nil((age(store, "delete")))
    assert.is_nil((age(store, "aside")))
    assert.is_true((age(store, "sound")) > 8)
    -- What is sound of the salvaged one is there, sample for sample.
    local after = store:query { { "team", "=", "salvage" } }['{__name__="m", team="salvage"}']
    assert.is_true(#after > 1000 and #after < #before, #after)
    local values = {}
    for _, sample in ipairs(before) do values[sample[1]] = sample[2] end
    for _, sample in ipairs(after) do assert.equal(values[sample[1]], sample[2]) end
    assert.equal(0, #assert(read_file(kept)) % 1041)
    assert.is_truthy(read_file(aside .. ".db"))
    assert.is_truthy(read_file(whole .. ".db"))
    assert.is_nil((read_file(not_aside .. ".db")))
    assert.is_nil((read_file(deleted)))
    assert.is_truthy(read_file(folders[#folders] .. "/audit.jsonl"):find('"quarantine rule"', 1,
      true))
    -- It takes samples again, over a restart too.
    store:advance(HOUR)
    local now = tonumber(store.clock.manual_wall_ms)
    assert.equal(1, (store:push { { series "salvage", { now, 5 } } }))
    assert.equal(#after + 1,
      #store:query { { "team", "=", "salvage" } }['{__name__="m", team="salvage"}'])
    assert(store:close())
  end)

  it("hear of series that begin and end, and of damage", function()
    local store, book = open { ["a.lua"] = [[
      tide.on("series_new", "new", function(e) tide.shared.incr("new " .. e.labels.team) end)
      tide.on("series_gone", "gone", function(e) tide.shared.incr("gone " .. e.labels.team) end)
      tide.on("damage", "damage", function(e)
        tide.shared.set("damage " .. e.labels.team, e.text)
      end)
      tide.retention("lab", { match = '{team="lab"}', keep = "1h" })]] }
    local runner = rules.scheduler(book, store)
    push_history(store, "lab", "web", "bad")
    store:run "persist"
    rules.run_due(runner)
    local function shared(name) return rules.shared(book, name) end
    assert.same({ 1, 1, nil }, { shared "new lab", shared "new web", shared "gone lab" })
    local path = file_of(store, "bad")
    write_file(path, assert(read_file(path)) .. "torn")
    store:advance(20 * 24 * HOUR)
    for _ = 1, 3 do maintain(store) end
    rules.run_due(runner)
    assert.equal(1, shared "gone lab")
    assert.is_truthy(shared "damage bad")
    assert(store:close())
  end)
end)
