-- What a console can look at and do, command by command, as text and as JSON; and the second
-- socket, whose consoles only look.
local cjson = require "cjson"
local engine = require "spec.unit.store.engine"
local layout = require "spec.support.layout"
local process = require "spec.support.process"
local server = require "spec.support.server"
local C = require "spec.support.tide".load("base/logger.h")

local build = os.getenv("BUILD") or "build"
local HOUR = 3600000

C.logger_set_level(C.LOG_LEVEL_ERROR)

local SCRIPTS = [[
tide.admit("no dev", function(series)
  if series.labels.env == "dev" then return tide.drop "dev" end
end)
tide.admit("no pods", function(series) series.labels.pod = nil end)
tide.retention("lab", { match = '{team="lab"}', keep = "2h" })
tide.retention("web", function(series)
  if series.labels.team == "web" then return "3d", "1h" end
end)
tide.downsample("old", { match = '{team="lab"}', after = "30d", every = "5m", using = "last" })
tide.query("own", function(q) q:restrict { team = q.tenant } end)
tide.result("secrets", { hide = { "secret" }, decide = function(_, series)
  if series.labels.secret then series.labels.secret = "hidden" end
end })
tide.command("double", "twice a number", function(number) return 2 * number end)
]]

describe("console commands", function()
  local base, running, looking

  local function write(path, text)
    local file = assert(io.open(path, "wb"))
    file:write(text)
    file:close()
  end

  -- Output and exit status of a console that is given the text.
  local function console(text, socket, options)
    write(base .. "/line", text)
    local pipe = io.popen(("%s/tidemark console --socket %s < %s/line %s; echo status=$?"):format(
      build, socket or base .. "/data/console.sock", base, options or "2>&1"))
    local output, status = pipe:read("*a"):match("^(.*)status=(%d+)\n$")
    pipe:close()
    return output, tonumber(status)
  end

  -- The first value, as a program gets it, and what was printed beside it.
  local function json(text, socket)
    local output = console(text, socket, "--json 2>" .. base .. "/printed")
    local answer = cjson.decode(output)
    assert.is_nil(answer.error, output)
    return answer.values[1], layout.slurp(base .. "/printed")
  end

  local function fails(text, expected, socket)
    local output, status = console(text, socket)
    assert.equal(1, status, text)
    assert.truthy(output:find(expected, 1, true), output)
  end

  local function start()
    running = server.start(base .. "/data", "--scripts", base .. "/scripts", "--set",
      "console.read_only_socket=" .. looking)
  end

  -- load{team="lab"} and load{team="web"}: ten hours until now, complete chunks in files already.
  setup(function()
    base = process.folder()
    looking = base .. "/look.sock"
    assert(os.execute("mkdir " .. base .. "/scripts") == 0)
    write(base .. "/scripts/a.lua", SCRIPTS)
    local now = os.time() * 1000
    local store = assert(engine.open { data_dir = base .. "/data", clock_ms = now })
    local entries = {}
    for i, team in ipairs { "lab", "web" } do
      entries[i] = { { __name__ = "load", team = team } }
      for n = 0, 2399 do
        table.insert(entries[i], { now - 10 * HOUR + n * 15000, n * n % 977 + 0.5 })
      end
    end
    assert.equal(4800, (store:push(entries)))
    store:run "persist"
    assert.is_true(store:close())
    start()
  end)
  teardown(function()
    assert.equal(0, running:stop())
    process.remove(base)
  end)

  it("chunks: agrees with the file, by fingerprint and by selector", function()
    local fp = layout.fingerprint { { "__name__", "load" }, { "team", "web" } }
    local stored = layout.file_chunks(layout.file_of(base .. "/data", fp))
    local list, printed = json(("chunks %q"):format(fp))
    assert.truthy(printed:find('^load{team="web"}  ' .. fp .. ": " .. #stored * 1041 ..
      " bytes on disk\n$"))
    local samples = 0
    for i, chunk in ipairs(list) do
      samples = samples + chunk.samples
      if stored[i] then
        assert.same({ tonumber(stored[i].first) / 1000, (i - 1) * 1041 },
          { chunk.first, chunk.offset })
      end
    end
    assert.equal(2400, samples)
    assert.equal("head", list[#list].place)
    local both = json "chunks 'load'"
    assert.is_true(#both > #list and both[1].fp ~= nil)
    local output = console "chunks('load{team=\"web\"}', { limit = 2 })"
    assert.truthy(output:find("\nfirst +last +encoding +samples +bytes +place +offset\n" ..
      "2%d+%-[%d%-: ]+  varbit +%d+ +%d+  file +0\n"), output)
    assert.truthy(output:find("there are more", 1, true))
    fails("chunks 'nothing{'", "parse error")
    fails("chunks '0000000000000001'", "no series has the fingerprint 0000000000000001")
    fails("chunks('load', { limt = 1 })", "unknown option limt")
  end)

  it("shows lists of records as tables, numbers at the right", function()
    assert.equal(" a  b   c\n 1  xx\n10      true\n",
      (console "return { { a = 1, b = 'xx' }, { a = 10, c = true } }"))
    assert.truthy(console("top('label_pairs', 1)"):find("^count  text\n    2  __name__=load\n$"))
    assert.truthy(console("rules()"):find("^hook +title +script +line +calls"))
    assert.truthy(console("series 'load'"):find("^fp +first +last +labels\n%x+  2.-load{team="))
    -- What is none stays Lua.
    assert.equal("{\n  {\n    a = {},\n  },\n}\n", (console "return { { a = {} } }"))
  end)

  it("plan and maintain: tell what would go, and do it at the second step", function()
    local rules = json "plan()"
    local by_title = {}
    for _, rule in ipairs(rules) do by_title[rule.rule] = rule end
    assert.is_true(by_title.lab.chunks > 0)
    assert.equal(0, by_title.web.chunks)
    local explained = json "plan '{team=\"lab\"}'"
    assert.same({ { team = "lab", __name__ = "load" }, "lab", by_title.lab.chunks },
      { explained[1].labels, explained[1].rule, explained[1].chunks })
    assert.equal("no series matches\n", (console "plan 'nothing'"))
    local count = "return #tide.query('load{team=\"lab\"}[11h]')[1].values"
    assert.equal(2400, json(count))
    local output = console "maintain()"
    local id = output:match('^Nothing has happened yet.-maintain "(%x+)" does it')
    assert.truthy(id, output)
    assert.truthy(console("maintain 'wrong'"):find("^Since that plan something has changed"))
    assert.equal(2400, json(count))
    assert.equal("", (console(("maintain %q"):format(id))))
    assert.is_true(json(count) < 2400)
    assert.equal("", (console "maintain()")) -- nothing more to drop: at once
  end)

  it("delete, trash and undelete: there and back", function()
    local samples = "return #tide.query('load{team=\"web\"}[11h]')[1].values"
    assert.equal(1, #json "trash()") -- what the first pass under its rules dropped
    local plan = console "delete 'load{team=\"web\"}'"
    local second = plan:match("^Nothing has happened yet[^\n]*\n  (delete[^\n]*)\n")
    assert.equal(2400, json(samples))
    local done = console(second)
    local id = done:match('^undelete "([%w%-]+)"')
    assert.truthy(id, done)
    assert.equal(0, json "return #tide.query 'load{team=\"web\"}'")
    local trash = json "trash()"
    assert.same({ 2, id, 2400, 1 }, { #trash, trash[2].id, trash[2].samples, trash[2].series })
    fails(second, "something has changed")
    console(("undelete %q"):format(id))
    assert.equal(2400, json(samples))
  end)

  it("trace: what every rule says, in order", function()
    local function verdicts(text)
      local list, printed = json(text)
      local found = {}
      for i, step in ipairs(list) do
        found[i] = step.hook .. " " .. step.title .. ": " .. step.verdict
      end
      return found, printed
    end
    local found, output = verdicts [[trace('load{team="web", pod="p"}', { tenant = "web" })]]
    assert.same({ "admit no dev: has no opinion", 'admit no pods: makes it load{team="web"}',
      "retention lab: does not match", "retention web: keeps 3d, which holds for 1h",
      "downsample old: does not match", "query own: shows only some series, and this one",
      "result secrets: has no opinion" }, found)
    assert.truthy(output:find('not in the store; it ends as load{team="web"}', 1, true))
    found, output = verdicts [[trace('load{team="lab"}', { tenant = "web" })]]
    assert.truthy(output:find("is in the store", 1, true))
    assert.equal("retention lab: keeps 2h", found[3])
    assert.equal("retention web: is not asked any more", found[4])
    assert.equal("downsample old: keeps of what is older than 30d one sample every 5m (last)",
      found[5])
    assert.truthy(found[6]:find("^query own: hides it"))
    found = verdicts [[trace('load{env="dev", secret="s"}', { tenant = "x" })]]
    assert.equal("admit no dev: drops it: dev", found[1])
    assert.equal("admit no pods: is not asked any more", found[2])
    assert.equal('result secrets: shows it as load{env="dev", secret="hidden"}', found[7])
    -- A rule that fails is not suspended for what somebody tries.
    for _ = 1, 12 do found = verdicts [[trace 'up']] end
    assert.truthy(found[6]:find("^query own: fails: "))
    for _, rule in ipairs(json "rules()") do
      if rule.title == "own" then
        assert.same({ 0, 0, false }, { rule.calls, rule.errors, rule.suspended })
      end
    end
    fails("trace '{a=~\"b\"}'", 'labels of one series, please: {name="value"')
  end)

  it("config: every key with its origin, and nobody's secrets", function()
    local list = json "config()"
    local by_key = {}
    for _, one in ipairs(list) do by_key[one.key] = one end
    assert.same({ key = "storage.retention", value = '"15d"', origin = "default" },
      by_key["storage.retention"])
    assert.equal("--scripts", by_key.scripts.origin)
    assert.equal("--set", by_key["console.read_only_socket"].origin)
    assert.truthy(console("config 'console'"):find("^key +value +origin\nconsole%.socket"))
    fails("config 'nonsense'", 'no key has "nonsense"')
  end)

  it("help: with the words of the documents", function()
    local page = layout.slurp "docs/console.md"
    package.path = "lua/?.lua;" .. package.path
    local words = require "tidemark.console_help"
    assert.equal(words.into(page), page, "make docs")
    local all = console "help()"
    for _, command in ipairs(words.commands) do
      assert.truthy(all:find("\n  " .. command[1] .. "(", 1, true), command[1])
      assert.equal("function", (json("return type(" .. command[1] .. ")")))
      assert.equal(words.command(command[1]) .. "\n", (console(("help %q"):format(command[1]))))
    end
    assert.truthy(all:find("commands.double(...)   twice a number", 1, true))
    assert.equal(console "help 'plot'", (console "help(plot)"))
    local api = layout.slurp "docs/lua-api.md"
    for name in api:gmatch("\n### (tide%.[%w_]+)\n") do
      local text = console(("help %q"):format(name))
      assert.is_true(#text > 100 and api:find(text, 1, true) ~= nil, name)
    end
    assert.equal(console "help 'tide.store'", (console "help 'store.stats'"))
    assert.truthy(console("help 'storage.retention'"):find("How long samples are kept", 1, true))
    fails("help 'nonsense'", "nothing is known of that")
  end)

  it("quarantined: a damaged file, chunk by chunk", function()
    assert.equal("nothing is in quarantine\n", (console "quarantined()"))
    local fp = layout.fingerprint { { "__name__", "load" }, { "team", "lab" } }
    local path = layout.file_of(base .. "/data", fp)
    assert.equal(0, running:stop())
    local bytes = layout.slurp(path)
    write(path, bytes:sub(1, 17) .. ("\1"):rep(1024) .. bytes:sub(1, 100))
    write(base .. "/data/DIRTY", "")
    start()
    local list = json "quarantined()"
    assert.same({ 1, fp, 'load{team="lab"}', 1141 },
      { #list, list[1].fp, list[1].metric, list[1].bytes })
    local chunks, printed = json(("quarantined %q"):format(fp))
    assert.equal(1, #chunks)
    assert.truthy(chunks[1].problem)
    assert.truthy(printed:find("100 of them behind the last whole chunk", 1, true))
  end)

  it("confirm: says what the clock holds back, and lets it go", function()
    assert.equal("nothing is held back\n", (console "confirm()"))
    local old = process.folder()
    local store = assert(engine.open { data_dir = old, clock_ms = os.time() * 1000 - 5000 * HOUR })
    assert.equal(1, (store:push { { { __name__ = "old" },
      { os.time() * 1000 - 5000 * HOUR, 1 } } }))
    assert.is_true(store:close())
    local other = server.start(old)
    local socket = old .. "/console.sock"
    local held = json("confirm()", socket)
    assert.equal("clock", held[1].id)
    assert.truthy(held[1].why:find("the clock is ahead", 1, true))
    assert.truthy(console("plan()", socket):find("^held: "))
    fails("confirm 'other'", "nothing is held under other", socket)
    assert.truthy(console("confirm 'clock'", socket):find("deletions by age go on", 1, true))
    assert.equal("nothing is held back\n", (console("confirm()", socket)))
    assert.equal(0, other:stop())
    process.remove(old)
  end)

  describe("over the socket that only looks", function()
    it("shows everything", function()
      local mode = io.popen("stat -c %a " .. looking)
      assert.equal("660\n", mode:read("*a"))
      mode:close()
      for _, line in ipairs { "stats()", "chunks 'load'", "plan()", "trash()", "config()",
        "rules()", "queries()", "tide.query 'load'", "tide.delete 'load'", "loglevel()",
        "confirm()", "quarantined()", "tide.shared.get 'x'", "trace 'up'", "commands.double(2)" } do
        local output, status = console(line, looking)
        assert.equal(0, status, line .. ": " .. output)
      end
    end)

    it("refuses what acts, also by way of scripts' commands and pcall", function()
      local before = json "return tide.store.stats().samples"
      for _, line in ipairs { "kill '1'", "reload()", "checkpoint()", "persist()",
        "tide.server.maintain()", "loglevel 'debug'", "tide.push('x', {}, 1)",
        "tide.shared.set('x', 1)", "tide.shared.incr 'x'", "undelete 'x'",
        "tide.server.confirm_clock()", "pcall(tide.push, 'x', {}, 1) tide.push('x', {}, 1)",
        "local d = tide.delete 'load' " ..
          "return tide.delete('load', { id = d.id, from = d.from, to = d.to })" } do
        fails(line, "and this console only looks (console.read_only_socket)", looking)
      end
      console("pcall(tide.push, 'x', {}, 1)", looking)
      assert.equal(before, json "return tide.store.stats().samples")
      assert.equal(0, json "return #tide.query 'x'")
    end)
  end)
end)
