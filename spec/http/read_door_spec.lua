-- Every read passes the operator's query rules: whatever route it comes by, whatever it asks, it
-- gets what a server would answer that holds nothing but what the rules leave.
local adversary = require "spec.support.adversary"
local json = require "cjson"
local process = require "spec.support.process"
local protobuf = require "spec.support.protobuf"
local remote_write = require "spec.support.remote_write"
local server = require "spec.support.server"

local bytes, number = protobuf.bytes, protobuf.number

local function read_file(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

-- How each route with the role READ that reads series is asked; the others read none.
local ASKS = {
  ["/api/v1/query"] = "?query=up",
  ["/api/v1/query_range"] = "?query=up&start=0&end=60&step=15",
  ["/api/v1/series"] = "?match[]=up",
  ["/api/v1/labels"] = "",
  ["/api/v1/label/*/values"] = "",
  ["/federate"] = "?match[]=up",
  ["/api/v1/export"] = "?match[]=up",
  ["/api/v1/metadata"] = "",
  ["/api/v1/status/tsdb"] = "",
  ["/api/v1/read"] = "",
  ["/api/v1/rules"] = "",
  ["/api/v1/alerts"] = "",
}
local READS_NONE = {
  ["/api/v1/format_query"] = "only parses", ["/api/v1/parse_query"] = "only parses",
  ["/api/v1/status/buildinfo"] = "the version", ["/metrics"] = "the server's own numbers",
  ["/api/v1/status/runtimeinfo"] = "the process", ["/api/v1/status/walreplay"] = "the start",
}
for _, name in ipairs { "query_exemplars", "targets", "targets/metadata",
  "scrape_pools", "alertmanagers", "notifications", "features" } do
  READS_NONE["/api/v1/" .. name] = "an empty answer"
end

local function scripts(text)
  local folder = process.folder()
  local file = assert(io.open(folder .. "/rule.lua", "w"))
  file:write(text)
  file:close()
  return folder
end

local running, folders = {}, {}

local function start(rule)
  local folder = rule and scripts(rule)
  folders[#folders + 1] = folder
  local one = rule and server.start(nil, "--scripts", folder) or server.start()
  running[#running + 1], folders[#folders + 1] = one, one.folder
  return one
end

local function stop_all()
  for _, one in ipairs(running) do assert.equal(0, one:stop()) end
  for _, folder in ipairs(folders) do process.remove(folder) end
  running, folders = {}, {}
end

local function escape(text)
  return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

describe("the read door", function()
  teardown(stop_all)

  it("is the only place of the room that gets at the store's querier", function()
    local pipe = io.popen("grep -lE 'store_querier\\(|store_top_get\\(' core/http/*.c")
    local names = {}
    for name in pipe:lines() do names[#names + 1] = name:match("[^/]+$") end
    pipe:close()
    assert.equal("read_door.c", table.concat(names, " "))
  end)

  it("is passed by each route that reads", function()
    local one = start 'tide.query("no", function(q) return tide.refuse(418, q.kind) end)'
    local seen = 0
    for pattern, verbs, role in read_file("core/http/routes.c"):gmatch(
      '\n    {"(/[^"]*)",%s*([%u |]+),%s*HTTP_ROLE_(%u+),') do
      if role == "READ" and not READS_NONE[pattern] then
        assert.is_truthy(ASKS[pattern], pattern .. ": does it read series? ASKS or READS_NONE")
        local answer = one:request(verbs:find("GET") and "GET" or "POST",
          pattern:gsub("%*", "job") .. ASKS[pattern])
        assert.equal(418, answer.status, pattern .. " " .. answer.body)
        seen = seen + 1
      end
    end
    assert.is_true(seen >= 5)
  end)

  it("answers with the rule's text in the API's form, and with 503 for a broken rule", function()
    local one = start [[
      tide.query("guard", function(q)
        if q.kind == "series" then error "oops" end
        if q.dashboard == "d" then
          return tide.refuse(422, q.dashboard .. q.panel .. q.remote .. tostring(q.user))
        end
        return tide.refuse(403, "no")
      end)]]
    local answer = one:request("GET", "/api/v1/query?query=up")
    assert.equal(403, answer.status)
    assert.same({ status = "error", errorType = "forbidden", error = 'no (rule "guard")' },
      json.decode(answer.body))
    answer = one:request("GET", "/api/v1/labels", nil,
      { ["X-Dashboard-Uid"] = "d", ["X-Panel-Id"] = "7" })
    assert.equal(422, answer.status)
    assert.equal('d7127.0.0.1nil (rule "guard")', json.decode(answer.body).error)
    answer = one:request("GET", "/api/v1/series?match[]=up")
    assert.equal(503, answer.status)
    assert.equal('the query rule "guard" is broken, so nothing can be read',
      json.decode(answer.body).error)
  end)

  it("narrows times, steps and bounds, and lets a rule rescue a query that is too fine", function()
    local one = start [[
      tide.query("narrow", function(q)
        if q.dashboard == "late" then q.from = 2000 end
        if q.dashboard == "never" then q.from, q.to = 10, 5 end
        if q.dashboard == "points" then q.step = 600 end
        if q.dashboard == "few" then q.max_points = 3 end
        if q.dashboard == "count" then
          return tide.refuse(422, tostring(q.selects) .. " " .. q.selectors)
        end
      end)]]
    local now = math.floor(os.time() / 1000) * 1000
    assert.equal(204, one:request("POST", "/api/v1/import/prometheus",
      ('up{a="1"} 1 %d000\nup{a="2"} 2 %d000\n'):format(now, now)).status)
    local function ask(dashboard, path)
      local answer = one:request("GET", path, nil, { ["X-Dashboard-Uid"] = dashboard })
      return answer.status, json.decode(answer.body)
    end
    local range = "/api/v1/query_range?query=vector(1)&start=1000&end=3000&step="
    local _, late = ask("late", range .. "500")
    assert.equal(2000, late.data.result[1].values[1][1])
    assert.same({ resultType = "matrix", result = {} },
      select(2, ask("never", range .. "500")).data)
    assert.same({ resultType = "vector", result = {} },
      select(2, ask("never", "/api/v1/query?query=1")).data)
    assert.same({}, select(2, ask("never", "/api/v1/series?match[]=up")).data)
    assert.same({}, select(2, ask("never", "/api/v1/labels")).data)
    assert.equal(400, (ask("", range .. "0.001")))
    assert.equal(200, (ask("points", range .. "0.001")))
    assert.equal(400, (ask("few", range .. "500")))
    assert.equal('3 2 (rule "narrow")',
      select(2, ask("count", "/api/v1/query?query=" .. escape 'up + up{a="1"}' ..
        "&time=" .. now)).error)
    assert.equal('2 0 (rule "narrow")',
      select(2, ask("count", "/api/v1/series?match[]=up")).error)
  end)
end)

-- --- an adversary --------------------------------------------------------------------------------

local QUERIES, SELECTORS = adversary.queries, adversary.selectors

-- Two ways to keep tenants apart: a query rule, and the server's own label of credentials.
local kinds = {}

kinds["a query rule"] = {
  both = function()
    return start [[
      tide.query("own", function(q)
        q:restrict { tenant = "a" }
      end)]]
  end,
  alone = function() return start() end,
  label = function(tenant) return tenant end,
  headers = function() return nil end,
}

local function with_tenants()
  local one = server.configured([[
    local push_read = { "push", "read" }
    return { listen = "127.0.0.1:PORT", tenants = { label = "tenant" }, http = { users = {
      { user = "ann", token = "token-of-ann-0123", roles = push_read, tenant = "a" },
      { user = "b", token = "token-of-b-01234567", roles = push_read },
      { user = "chief", token = "token-of-chief-01", roles = push_read, tenant = "*" } } } }]])
  one:ready()
  running[#running + 1], folders[#folders + 1] = one, one.folder
  return one
end

kinds["tenants.label"] = {
  both = with_tenants,
  alone = with_tenants,
  label = function(tenant) return tenant == "a" and "b" or "a" end, -- senders lie
  headers = function(tenant)
    return { Authorization = "Bearer " .. (tenant == "a" and "token-of-ann-0123" or
      "token-of-b-01234567") }
  end,
}

for what, way in pairs(kinds) do describe("an adversary against " .. what, function()
  local both, alone
  local now = os.time() - 600

  local function data(tenant)
    local lines = {}
    do
      local own = { a = "public", b = "secretb" }
      for minute = 0, 9 do
        local function put(name, labels, value)
          lines[#lines + 1] = ('%s{tenant="%s",%s} %s %d000\n'):format(name, way.label(tenant),
            labels, value, now + minute * 60)
        end
        put("up", ('job="%s",instance="i1"'):format(own[tenant]), tenant == "a" and 1 or 77001)
        put("up", ('job="%s",instance="i2"'):format(own[tenant]), tenant == "a" and 2 or 77002)
        put("target_info", ('job="%s",instance="i1",data="%s_info"'):format(own[tenant],
          own[tenant]), 1)
        if tenant == "b" then
          put("secret", 'job="secretb",instance="i1",secretb_label="x"', 77003)
          put("target_info", 'job="public",instance="i1",data="secretb_of_a"', 1)
        end
      end
    end
    return table.concat(lines)
  end

  local function push(one, tenant, text)
    assert.equal(204, one:request("POST", "/api/v1/import/prometheus", text,
      way.headers(tenant)).status)
  end

  setup(function()
    both, alone = way.both(), way.alone()
    push(both, "a", data "a")
    push(both, "b", data "b")
    push(alone, "a", data "a")
    -- The data is there, and the marks of it are what they seem.
    assert.is_truthy(data("b"):find("secretb") and data("b"):find("77001"))
    if what == "tenants.label" then
      local all = both:request("GET", "/api/v1/series?match[]=up", nil,
        { Authorization = "Bearer token-of-chief-01" })
      assert.equal(4, #json.decode(all.body).data)
    end
  end)
  teardown(stop_all)

  local function same(path)
    local expected = alone:request("GET", path, nil, way.headers "a")
    local got = both:request("GET", path, nil, way.headers "a")
    assert.equal(expected.status, got.status, path .. "\n" .. got.body)
    -- Restrictions show in texts of errors; nothing of b may.
    assert.is_nil(got.body:gsub("{[^{}]*tenant=[^{}]*}", ""):find("secretb"), path)
    assert.is_nil(got.body:find("7700%d"), path)
    if got.status == 200 then
      assert.same(json.decode(expected.body), json.decode(got.body), path)
    end
    return got
  end

  for _, query in ipairs(QUERIES) do
    it("gets nothing of others by " .. query, function()
      local text = query:find("%%d") and query:format(now + 300) or query
      same("/api/v1/query?query=" .. escape(text) .. "&time=" .. now + 570)
      same("/api/v1/query_range?query=" .. escape(text) .. "&start=" .. now .. "&end=" ..
        now + 600 .. "&step=60")
    end)
  end

  it("gets nothing of others by series, labels and values", function()
    for _, selector in ipairs(SELECTORS) do
      local match = "match[]=" .. escape(selector)
      same("/api/v1/series?" .. match)
      same("/api/v1/series?" .. match .. "&match[]=up&start=0&end=" .. now + 1000)
      same("/api/v1/labels?" .. match)
      for _, name in ipairs { "tenant", "job", "__name__", "secretb_label", "data" } do
        same("/api/v1/label/" .. name .. "/values?" .. match)
      end
    end
    same("/api/v1/labels")
    same("/api/v1/labels?start=0&end=" .. now + 1000)
    for _, name in ipairs { "tenant", "job", "__name__", "secretb_label", "data" } do
      same("/api/v1/label/" .. name .. "/values")
    end
  end)

  it("gets nothing of others by export, federation and remote read", function()
    local function same_bytes(method, path, body, headers)
      headers = headers or {}
      headers.Authorization = (way.headers "a" or {}).Authorization
      local expected = alone:request(method, path, body, headers)
      assert.equal(expected.body, both:request(method, path, body, headers).body, path)
    end
    for _, selector in ipairs(SELECTORS) do
      local match = "?match[]=" .. escape(selector)
      same_bytes("GET", "/api/v1/export" .. match)
      same_bytes("GET", "/federate" .. match)
      same_bytes("GET", "/api/v1/export" .. match .. "&match[]=up&start=" .. now + 60)
    end
    for kind, value in pairs { [0] = "b", "a", ".*", "a" } do
      local matcher = bytes(3, number(1, kind) .. bytes(2, "tenant") .. bytes(3, value))
      local query = bytes(1, number(1, now * 1000) .. number(2, (now + 600) * 1000) .. matcher)
      for _, accepted in ipairs { "", number(2, 1) } do
        same_bytes("POST", "/api/v1/read", remote_write.snappy(query .. accepted),
          { ["Content-Encoding"] = "snappy" })
      end
    end
  end)

  it("gets no metadata of metrics and no counts that others have", function()
    local help = "# TYPE up gauge\n# TYPE secret counter\n"
    push(both, "b", help)
    local told = json.decode(both:request("GET", "/api/v1/metadata", nil,
      way.headers "a").body).data
    assert.is_truthy(told.up)
    assert.is_nil(told.secret)
    local function counted(one)
      local answer = one:request("GET", "/api/v1/status/tsdb?limit=10000", nil, way.headers "a")
      assert.equal(200, answer.status, answer.body)
      local lists = json.decode(answer.body).data
      lists.headStats.chunkCount = nil -- known of all that is there only
      for _, list in pairs(lists) do
        table.sort(list, function(x, y) return x.name < y.name end)
      end
      return lists
    end
    local told_both = counted(both)
    assert.same(counted(alone), told_both)
    assert.is_true(told_both.headStats.numSeries > 0)
    assert.is_true(#told_both.seriesCountByLabelValuePair > 0)
  end)
end) end

describe("a label for tenants", function()
  teardown(stop_all)

  local function headers(who, more)
    more = more or {}
    more.Authorization = "Bearer " .. ({ ann = "token-of-ann-0123", b = "token-of-b-01234567",
      chief = "token-of-chief-01" })[who]
    return more
  end

  it("is set whatever the protocol, the path and the sender say", function()
    local one = with_tenants()
    local function push(who, method, path, body, more)
      local answer = one:request(method, path, body, headers(who, more))
      assert.is_true(answer.status < 300, path .. " " .. answer.status .. answer.body)
    end
    push("ann", "POST", "/api/v1/import/prometheus", 'm{tenant="b",from="text"} 1\n')
    push("ann", "POST", "/api/v1/import/prometheus?extra_label=tenant=b", 'm{from="extra"} 1\n')
    push("ann", "POST", "/write", "m,tenant=b,from=influx value=1\n")
    push("ann", "PUT", "/metrics/job/j/tenant/b", 'm{from="gateway",tenant="b"} 1\n')
    push("ann", "POST", "/api/v1/import",
      '{"metric":{"__name__":"m","tenant":"b","from":"json"},"values":[1],"timestamps":[' ..
      os.time() .. '000]}\n')
    push("ann", "POST", "/api/v1/write", remote_write.snappy(bytes(1,
      bytes(1, bytes(1, "__name__") .. bytes(2, "m")) ..
      bytes(1, bytes(1, "from") .. bytes(2, "remote")) ..
      bytes(1, bytes(1, "tenant") .. bytes(2, "b")) ..
      bytes(2, number(2, os.time() * 1000)))), { ["Content-Encoding"] = "snappy" })
    push("b", "PUT", "/metrics/job/j/tenant/a", 'm{from="b"} 1\n')
    push("chief", "POST", "/api/v1/import/prometheus", 'm{tenant="c",from="chief"} 1\n')

    local function values(who, name)
      local answer = one:request("GET", "/api/v1/label/" .. name .. "/values", nil, headers(who))
      return table.concat(json.decode(answer.body).data, " ")
    end
    assert.equal("extra gateway influx json remote text", values("ann", "from"))
    assert.equal("a", values("ann", "tenant"))
    assert.equal("b", values("b", "from"))
    assert.equal("a b c", values("chief", "tenant"))

    -- The groups of a Pushgateway are the tenant's own, too.
    push("b", "DELETE", "/metrics/job/j/tenant/a")
    local function up(who)
      local answer = one:request("GET", "/api/v1/query?query=" .. escape 'm{job="j"}', nil,
        headers(who))
      return #json.decode(answer.body).data.result
    end
    assert.same({ 1, 0 }, { up "ann", up "b" })
  end)

  it("does not go with a port that knows no credentials", function()
    local one = server.configured(
      'return { listen = "127.0.0.1:PORT", tenants = { label = "t" },' ..
      ' push = { graphite_listen = "127.0.0.1:0" } }')
    process.wait_for("its end", 10, function() return one.process:status() end)
    assert.is_truthy(one.process:output():find("cannot be used with tenants.label", 1, true))
    process.remove(one.folder)
  end)

  it("lets nobody in who has no tenant", function()
    local one = server.configured(
      'return { listen = "127.0.0.1:PORT", tenants = { label = "t" } }')
    one:ready()
    running[#running + 1], folders[#folders + 1] = one, one.folder
    assert.equal(403, one:request("POST", "/api/v1/import/prometheus", "up 1\n").status)
    assert.equal(403, one:request("GET", "/api/v1/query?query=1").status)
    assert.equal(200, one:request("GET", "/metrics").status)
  end)
end)
