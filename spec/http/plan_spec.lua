-- `tidemark plan` and its route on a real server, with scripts in force and with others.
local json = require "cjson"
local engine = require "spec.unit.store.engine"
local lfs = require "lfs"
local process = require "spec.support.process"
local server = require "spec.support.server"
local C = require "spec.support.tide".load("base/logger.h")

local build = os.getenv("BUILD") or "build"
local PLAN = "/api/v1/admin/tsdb/plan"
local HOUR = 3600000

C.logger_set_level(C.LOG_LEVEL_ERROR)

-- Output and exit code of `tidemark plan`.
local function run(tidemark, ...)
  local words = { build .. "/tidemark", "plan", "--url", "http://" .. tidemark.address }
  for _, word in ipairs { ... } do words[#words + 1] = "'" .. word .. "'" end
  local pipe = io.popen(table.concat(words, " ") .. " 2>&1; echo $?")
  local text = pipe:read("*a")
  pipe:close()
  local output, code = text:match("^(.-)(%d+)\n$")
  return output, tonumber(code)
end

local function write(folder, text)
  lfs.mkdir(folder)
  local file = assert(io.open(folder .. "/a.lua", "w"))
  file:write(text)
  file:close()
  return folder
end

describe("tidemark plan", function()
  local base, tidemark
  before_each(function()
    base = process.folder()
    write(base .. "/scripts", 'tide.retention("lab", { match = \'{team="lab"}\', keep = "2h" })')
    -- Ten hours until now, with the complete chunks in files already.
    local now = os.time() * 1000
    local store = assert(engine.open { data_dir = base .. "/data", clock_ms = now - 10 * HOUR })
    local entries = {}
    for i, team in ipairs { "lab", "web" } do
      entries[i] = { { __name__ = "load", team = team } }
      for n = 0, 2399 do
        table.insert(entries[i], { now - 10 * HOUR + n * 15000, n * n % 977 + 0.5 })
      end
    end
    store:advance(10 * HOUR)
    assert.equal(4800, (store:push(entries)))
    store:run "persist"
    assert.is_true(store:close())
    tidemark = server.start(base .. "/data", "--scripts", base .. "/scripts")
  end)
  after_each(function()
    assert.equal(0, tidemark:stop())
    process.remove(base)
  end)

  local function by_rule(answer)
    assert.equal(200, answer.status, answer.body)
    local found = {}
    for _, rule in ipairs(json.decode(answer.body).data.rules) do found[rule.rule] = rule end
    return found
  end

  it("tells by rule what would go, with the scripts in force and with others", function()
    local rules = by_rule(tidemark:request("POST", PLAN))
    assert.is_true(rules.lab.chunks > 0)
    assert.equal("rule", rules.lab.kind)
    assert.same({ 1, 1 }, { rules.lab.decides, rules.lab.series })
    assert.equal(rules.lab.chunks * 1041, rules.lab.bytes)
    assert.same({ __name__ = "load", team = "lab" }, rules.lab.examples[1].labels)
    assert.is_true(rules.lab.newest_ms < os.time() * 1000 - 2 * HOUR)
    assert.same({ 1, 0 }, { rules.configuration.decides, rules.configuration.series })
    assert.equal(json.null, rules.configuration.oldest_ms)

    local other = write(base .. "/other", 'tide.retention("all", { keep = "1h" })')
    local output, code = run(tidemark, "--scripts", other)
    assert.equal(0, code, output)
    assert.truthy(output:find('rule "all": decides for 2 series\n  drops %d+ chunks'), output)
    assert.truthy(output:find('of load{team="web"}', 1, true), output)
    output, code = run(tidemark, "--json", "--scripts", other)
    assert.same({ 0, 2 }, { code, json.decode(output).data.rules[1].series })

    output = run(tidemark, "--explain", '{team="lab"}')
    assert.truthy(output:find('^load{team="lab"}: rule "lab" keeps samples since 20'), output)
    assert.is_nil(output:find('\n  "lab"'), output) -- nobody else was asked
    assert.truthy(run(tidemark, "--explain", '{team="no"}'):find("^no series matches"))
    -- Who was asked before, and what they said.
    local chain = write(base .. "/chain", [[
      tide.retention("no opinion", function() end)
      tide.retention("of others", { match = '{team="web"}', keep = "1h" })
      tide.retention("decides", function(s) return "2d", "1h" end)
      tide.retention("too late", { keep = "1h" })]])
    output, code = run(tidemark, "--scripts", chain, "--explain", '{team="lab"}')
    assert.equal(0, code, output)
    assert.truthy(output:find('^load{team="lab"}: rule "decides" keeps samples since 20'), output)
    assert.truthy(output:find('\n  "no opinion" has no opinion\n' ..
      '  "decides" keeps 2d, which holds for 1h\n', 1, true), output)
    assert.is_nil(output:find("of others", 1, true))
    assert.is_nil(output:find("too late", 1, true))
    output = json.decode((run(tidemark, "--json", "--scripts", chain, "--explain", '{team="lab"}')))
    assert.same({ '"no opinion" has no opinion', '"decides" keeps 2d, which holds for 1h' },
      output.data.explained[1].asked)
    -- Nothing is dropped by all this.
    local count = json.decode(tidemark:request("POST", "/api/v1/query",
      "query=sum(count_over_time(load[11h]))",
      { ["Content-Type"] = "application/x-www-form-urlencoded" }).body)
    assert.equal("4800", count.data.result[1].value[2])
  end)

  it("tells what changes between the scripts in force and others", function()
    local other = write(base .. "/other",
      'tide.retention("web", { match = \'{team="web"}\', keep = "1h" })')
    local answer = tidemark:request("POST", PLAN .. "?diff=true&scripts=" .. other)
    assert.equal(200, answer.status, answer.body)
    local data = json.decode(answer.body).data
    local changes = {}
    for _, change in ipairs(data.changes) do changes[change.rule] = change end
    assert.equal(json.null, changes.lab.after)
    assert.equal(json.null, changes.web.before)
    assert.is_true(changes.lab.before.chunks > 0)
    assert.is_true(changes.web.after.chunks >= changes.lab.before.chunks)
    assert.is_nil(changes.configuration) -- it decides for another series, but as many
    assert.not_equal(data.before.rules_hash, data.after.rules_hash)
    local output, code = run(tidemark, "--diff", "--scripts", other)
    assert.equal(0, code, output)
    assert.truthy(output:find('rule "lab"\n  now: decides for 1 series, drops %d+ chunks'), output)
    assert.truthy(output:find('rule "web"\n  now: decides for nothing\n  then: decides for 1'),
      output)
    assert.truthy(output:find("in all: now %d+ chunks, %d+ samples; then %d+ chunks"), output)
    -- The same scripts are no difference.
    output = run(tidemark, "--diff", "--scripts", base .. "/scripts")
    assert.truthy(output:find("^in all: "), output)
    output, code = run(tidemark, "--diff")
    assert.equal(2, code, output)
    assert.equal(400, tidemark:request("POST", PLAN .. "?diff=true").status)
  end)

  it("is held when the pass would drop too much, until its id is confirmed", function()
    assert.equal(0, tidemark:stop())
    assert(os.remove(base .. "/data/retention.state")) -- nobody knows when the last pass was
    tidemark = server.start(base .. "/data", "--scripts", base .. "/scripts",
      "--set", "retention.hold_least=0", "--set", "retention.hold_share=0")
    local confirm = "/api/v1/admin/tsdb/confirm"
    local function maintain()
      assert.equal(0, os.execute(("%s/tidemark console --socket %s/data/console.sock --eval " ..
        "'tide.server.maintain()'"):format(build, base)))
    end
    local function count()
      return json.decode(tidemark:request("POST", "/api/v1/query",
        "query=sum(count_over_time(load[11h]))",
        { ["Content-Type"] = "application/x-www-form-urlencoded" }).body).data.result[1].value[2]
    end
    local function holds(method, query)
      local answer = tidemark:request(method, confirm .. (query or ""))
      assert.equal(200, answer.status, answer.body)
      return json.decode(answer.body).data.holds
    end
    assert.same({}, holds "GET")
    assert.is_true(json.decode(tidemark:request("POST", PLAN).body).data.waits)
    maintain()
    local held = holds "GET"
    assert.same({ 1, "retention", 1 }, { #held, held[1].kind, held[1].series })
    assert.truthy(tidemark:request("GET", "/metrics").body:find("tidemark_retention_pass_held 1\n"))
    assert.equal("4800", count())
    assert.truthy(run(tidemark):find("^too much at once: "))
    assert.equal(404, tidemark:request("POST", confirm .. "?id=0123456789abcdef").status)
    assert.same({}, holds("POST", "?id=" .. held[1].id))
    maintain()
    assert.is_true(tonumber(count()) < 4800)
    local trash = json.decode(tidemark:request("GET", "/api/v1/admin/tsdb/trash").body).data
    assert.same({ 1, "retention" }, { #trash, trash[1].action })
    assert.equal(200, tidemark:request("POST", "/api/v1/admin/tsdb/undelete?id=" ..
      trash[1].id).status)
    maintain()
    assert.equal("4800", count())
  end)

  it("says what is wrong with scripts and parameters, and goes on", function()
    local broken = write(base .. "/broken", "\ntide.retention(")
    local output, code = run(tidemark, "--scripts", broken)
    assert.equal(1, code)
    assert.truthy(output:find("answered 400: .*broken/a.lua:2:"), output)
    for query, expected in pairs {
      ["?scripts=/does/not/exist"] = "invalid parameter \"scripts\"",
      ["?match[]=1%2B1"] = "not a series selector",
      ["?match[]=a&match[]=b"] = "more than one",
      ["?format=xml"] = "neither json nor text",
    } do
      local answer = tidemark:request("POST", PLAN .. query)
      assert.equal(400, answer.status, answer.body)
      assert.truthy(json.decode(answer.body).error:find(expected, 1, true), answer.body)
    end
    assert.equal(405, tidemark:request("GET", PLAN).status)
    assert.equal(200, tidemark:request("POST", PLAN).status)
  end)
end)
