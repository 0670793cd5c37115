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
  end)

  it("counts what is seen", function()
    start(MASK)
    local function counts(chief)
      local answer = ask("/api/v1/status/tsdb?limit=100", chief)
      assert.equal(200, answer.status, answer.body)
      local lists = {}
      for name, list in pairs(json.decode(answer.body).data) do
        lists[name] = {}
        for _, item in ipairs(list) do lists[name][item.name] = item.value end
      end
      return lists, answer.body, json.decode(answer.body).data.headStats
    end
    local told, body, head = counts()
    assert.is_nil(body:find("x.org", 1, true), body)
    assert.same({ logins = 2, up = 1 }, told.seriesCountByMetricName)
    assert.same({ __name__ = 2, email = 2, team = 2 }, told.labelValueCountByLabelName)
    assert.same({ ["__name__=logins"] = 2, ["__name__=up"] = 1, ["email=person-a"] = 1,
      ["email=person-b"] = 1, ["team=a"] = 2, ["team=b"] = 1 }, told.seriesCountByLabelValuePair)
    assert.same({ __name__ = 14, email = 16, team = 3 }, told.memoryInBytesByLabelName)
    assert.same({ 3, 6 }, { head.numSeries, head.numLabelPairs })
    assert.equal(1, counts(true).seriesCountByLabelValuePair["email=ann@x.org"])
    -- Broken: nothing.
    local file = assert(io.open(folder .. "/a.lua", "w"))
    file:write [[tide.result("broken", { hide = { "email" }, decide = function() error "no" end })]]
    file:close()
    assert.equal(200, one:request("POST", "/-/reload").status)
    assert.equal(503, ask("/api/v1/status/tsdb").status)
  end)

  it("shows alerts and rules with what is seen", function()
    start(MASK .. [[
      tide.alert("many", { expr = "logins > 0", every = "1s", labels = { kind = "test" },
        annotations = { summary = "{{ $labels.email }} logs in" } })
      tide.alert("team", { expr = "sum by (team) (logins) > 0", every = "1s",
        annotations = { summary = "{{ $labels.team }} logs in" } })
      tide.alert("one", { expr = 'logins{email="ann@x.org"} > 0', every = "1s",
        labels = { email = "ann@x.org" }, annotations = function(alert)
          return { summary = tide.query("logins")[1].labels.email }
        end })
      tide.record("broken", { expr = 'label_replace(logins, "team", "", "", "") * 0 + on() logins',
        every = "1s" })]])
    local function alerts(chief)
      local answer = ask("/api/v1/alerts", chief)
      assert.equal(200, answer.status, answer.body)
      return json.decode(answer.body).data.alerts, answer.body
    end
    process.wait_for("the alerts", 20, function() return #(alerts()) == 5 end)
    local function of(list, name)
      local found = {}
      for _, alert in ipairs(list) do
        if alert.labels.alertname == name then found[#found + 1] = alert end
      end
      table.sort(found, function(a, b) return a.value < b.value end)
      return found
    end
    local list, body = alerts()
    assert.is_nil(body:find("x.org", 1, true), body)
    local many = of(list, "many")
    assert.same({ alertname = "many", kind = "test", team = "b", email = "person-b" },
      many[2].labels)
    assert.same({ {}, "2", "firing" }, { many[2].annotations, many[2].value, many[2].state })
    assert.same({ summary = "a logs in" }, of(list, "team")[1].annotations)
    assert.same({}, of(list, "one")[1].annotations)
    assert.equal("ann@x.org", of(alerts(true), "many")[1].labels.email)
    assert.same({ summary = "ann@x.org logs in" }, of(alerts(true), "many")[1].annotations)

    local function rules()
      local answer = ask "/api/v1/rules"
      assert.equal(200, answer.status, answer.body)
      assert.is_nil(answer.body:find("x.org", 1, true), answer.body)
      local named = {}
      for _, rule in ipairs(json.decode(answer.body).data.groups[1].rules) do
        named[rule.name] = rule
      end
      return named
    end
    process.wait_for("an error", 10, function() return rules().broken.health == "err" end)
    local named = rules()
    assert.same({ "ok", "firing", "logins > 0", 2 }, { named.many.health, named.many.state,
      named.many.query, #named.many.alerts })
    assert.same({ kind = "test" }, named.many.labels)
    local hidden = "not shown: result rules hide labels here"
    assert.same({ hidden, {}, 1 }, { named.one.query, named.one.labels, #named.one.alerts })
    assert.same({ hidden, "err" }, { named.broken.lastError, named.broken.health })
    assert.same({ summary = "{{ $labels.team }} logs in" }, named.team.annotations)
    assert.same({}, named.many.annotations)

    local file = assert(io.open(folder .. "/b.lua", "w"))
    file:write [[tide.result("broken", { hide = { "email" }, match = '{alertname="team"}',
      decide = function() error "no" end })]]
    file:close()
    assert.equal(200, one:request("POST", "/-/reload").status)
    assert.equal(503, ask("/api/v1/alerts").status)
    assert.equal(503, ask("/api/v1/rules").status)
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
