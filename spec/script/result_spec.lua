-- Result rules: labels as some may see them, and nothing by which their true values could be told.
local json = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"

local folder, one

local function start(script, ...)
  folder = process.folder()
  local file = assert(io.open(folder .. "/a.lua", "w"))
  file:write(script)
  file:close()
  one = server.start(nil, "--scripts", folder, ...)
  local now = os.time()
  assert.equal(204, one:request("POST", "/api/v1/import/prometheus",
    ('logins{email="ann@x.org",team="a"} 1 %d000\nlogins{email="bob@x.org",team="b"} 2 %d000\n' ..
    'up{team="a"} 1 %d000\n'):format(now, now, now)).status)
end

after_each(function()
  assert.equal(0, one:stop())
  process.remove(folder)
  process.remove(one.folder)
end)

local function escape(text)
  return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

-- As somebody who is not to see (or, with a dashboard, who may).
local function ask(path, chief)
  return one:request("GET", path, nil, { ["X-Dashboard-Uid"] = chief and "chief" or nil })
end

local MASK = [[
  tide.result("mask", { hide = { "email" }, decide = function(q, series)
    if q.dashboard == "chief" then return end
    if series.labels.email then series.labels.email = "person-" .. series.labels.team end
  end })]]

describe("a result rule", function()
  it("changes labels on every path, for those it wants", function()
    start(MASK)
    for _, path in ipairs { "/api/v1/query?query=logins", "/api/v1/series?match[]=logins",
      "/api/v1/label/email/values", "/api/v1/export?match[]=logins", "/federate?match[]=logins",
      "/api/v1/query?query=" .. escape "sum by (email) (logins)",
      "/api/v1/query?query=" .. escape(
        'count_values("v", label_replace(logins, "x", "$1", "email", "(.*)"))'),
      "/api/v1/query?query=" .. escape 'label_replace(logins, "x", "$1", "email", "(.*)")',
      "/api/v1/label/email/values?match[]=logins" } do
      local answer = ask(path)
      assert.equal(200, answer.status, path .. answer.body)
      assert.is_nil(answer.body:find("x.org", 1, true), path .. answer.body)
      if not path:find "count" then
        assert.is_truthy(answer.body:find("person-a", 1, true), path .. answer.body)
      end
      if not path:find "count" then
        assert.is_truthy(ask(path, true).body:find("ann@x.org", 1, true), path)
      end
    end
  end)

  it("leaves no way to test a hidden value", function()
    start(MASK)
    local function count(selector)
      local answer = ask("/api/v1/series?match[]=" .. escape(selector))
      assert.equal(200, answer.status, answer.body)
      return #json.decode(answer.body).data
    end
    assert.equal(0, count 'logins{email="ann@x.org"}')
    assert.equal(0, count 'logins{email=~"ann.*"}')
    assert.equal(2, count 'logins{email!="ann@x.org"}')
    assert.equal(2, count 'logins{email!~"ann.*"}')
    assert.equal(1, count 'logins{email="person-a"}')
    assert.equal(0, count '{email="ann@x.org"}')
    assert.equal(2, count '{email=~".+"}')
    local function value(query)
      return json.decode(ask("/api/v1/query?query=" .. escape(query)).body).data.result
    end
    assert.same({}, value 'logins{email="ann@x.org"}')
    assert.equal("1", value('logins{email="person-a"}')[1].value[2])
    assert.same("1", value('sum(logins{email!~"person-b"})')[1].value[2])
    assert.equal(403, ask("/api/v1/alerts").status)
    assert.equal(403, ask("/api/v1/status/tsdb").status)
  end)

  it("holds beside restrictions, which are tested on what is stored", function()
    start(MASK .. [[ tide.query("one", function(q) q:restrict { email = "bob@x.org" } end) ]])
    local answer = ask("/api/v1/series?match[]=" .. escape '{email="bob@x.org"}')
    assert.same({}, json.decode(answer.body).data)
    answer = ask("/api/v1/series?match[]=" .. escape '{__name__=~".+"}')
    assert.same({ { __name__ = "logins", team = "b", email = "person-b" } },
      json.decode(answer.body).data)
    assert.same({ "person-b" }, json.decode(ask("/api/v1/label/email/values").body).data)
    assert.same({ "b" }, json.decode(ask("/api/v1/label/team/values").body).data)
  end)

  it("that is broken lets nothing be read, and cannot do more than hide", function()
    start([[
      tide.result("broken", { hide = { "email" }, match = '{__name__="logins"}',
        decide = function(q, series) error "oops" end })
      tide.result("other label", { hide = { "email" }, match = '{__name__="up"}',
        decide = function(q, series)
          if q.dashboard == "label" then series.labels.team = "x" end
          if q.dashboard == "narrow" then q.max_series = 1 end
          if q.dashboard == "answer" then return "no" end
          if q.dashboard == "loop" then while true do end end
        end })]], "--set", "limits.script_errors=1000", "--set", "limits.script_time=50ms")
    local answer = ask("/api/v1/query?query=logins")
    assert.equal(503, answer.status)
    assert.is_truthy(answer.body:find('the result rule \\"broken\\" is broken', 1, true))
    assert.is_nil(answer.body:find("oops", 1, true))
    assert.equal(503, ask("/api/v1/label/team/values").status)
    assert.equal(200, ask("/api/v1/query?query=up").status)
    for _, dashboard in ipairs { "label", "narrow", "answer", "loop" } do
      assert.equal(503, one:request("GET", "/api/v1/query?query=up", nil,
        { ["X-Dashboard-Uid"] = dashboard }).status)
    end
    local last = json.decode(ask("/api/v1/status/scripts").body).data.rules[2]
    assert.equal(4, last.errors)
  end)
end)
