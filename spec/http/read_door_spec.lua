-- Every read passes the operator's query rules: whatever route it comes by, whatever it asks, it
-- gets what a server would answer that holds nothing but what the rules leave.
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

-- Each of them is tried as the tenant "a" on a server that holds "a" and "b", and on one that holds
-- "a" only: the answers are the same to the byte.
local QUERIES = {
  'up', '{__name__=~".+"}', 'up{tenant="b"}', 'up{tenant=~"b|a"}', 'up{tenant=~".*"}',
  'up{tenant!="a"}', 'up{tenant!~"a"}', 'up{tenant=""}', '{tenant="b",__name__=~".+"}',
  'up or up{tenant="b"}', '{__name__="up",tenant="a" or tenant="b"}', 'up and on() secret',
  'up unless secret', 'up @ %d', 'up{tenant="b"} @ %d', 'up @ start()', 'up @ end()',
  'up offset 1m', 'up{tenant="b"} offset -1m', 'up[5m]', 'secret[10m:1m]', 'up{tenant="b"}[5m:1m]',
  'max_over_time(up{tenant=~".*"}[10m])', 'max_over_time((up or secret)[10m:1m])',
  'count_over_time({__name__=~".+"}[10m])', 'rate(up[5m:1m] @ end())', 'sum(up)',
  'sum by (tenant) (up)', 'sum without (job) ({__name__=~".+"})', 'count(up) by (tenant)',
  'count_values("tenant", up)', 'count_values("x", {__name__=~".+"})', 'topk(10, {job=~".+"})',
  'bottomk(10, up)', 'quantile(0.5, up)', 'group by (tenant, job) ({__name__!=""})',
  'limitk(9, up)',
  'limit_ratio(1, up)', 'label_replace(up, "tenant", "a", "", "")',
  'label_replace(up{tenant="b"}, "tenant", "a", "tenant", "b")',
  'label_join(up, "tenant", "-", "job", "instance")',
  'label_replace({tenant="b"}, "__name__", "up", "", "")', 'absent(up{tenant="b"})',
  'absent(secret)',
  'absent_over_time(secret[5m])', 'present_over_time(secret[5m])', 'scalar(secret)',
  'vector(scalar(sum(secret)))', 'up * on() group_left secret', 'up * ignoring(tenant) secret',
  'up * on(instance) group_left(tenant) secret', 'info(up)', 'info(up, {tenant="b"})',
  'info(up, {tenant=~".*"})', 'info(up, {__name__=~".+_info"})', 'info({__name__=~"up|secret"})',
  'info(up, {data=~".+"})', 'sort_by_label({__name__=~".+"}, "tenant")', 'sort(up) or sort(secret)',
  'histogram_quantile(0.9, up)', 'changes(secret[10m])', 'timestamp(secret)',
  'predict_linear(secret[10m], 60)', '-secret', '(secret)', 'secret > bool 0', 'secret == secret',
  'max_over_time(rate(up[5m])[10m:1m])', 'max_over_time((up or secret)[10m:1m] @ end())',
  'topk(scalar(count(up)), secret)', 'quantile(scalar(secret), up)', '-(((up)))',
  'up unless on () vector(1)', 'vector(scalar(up)) + time()', 'up == bool secret > up ^ up % up',
  'sort_desc(histogram_quantile(0.9, sum by (le) (rate(secret[5m]))))',
  'clamp(up, scalar(secret), scalar(up))', 'min_over_time(secret[step():1m])',
  'sum(sum(sum(secret)))', 'up{__name__="secret"}',
  '{"secret"}', '{"tenant"="b"}', '{"up","tenant"="b"}', 'secret{job=~"(?i)SECRET.*"}',
}

local SELECTORS = {
  'up', '{tenant="b"}', '{tenant=~".*"}', '{tenant!="a"}', '{__name__=~".+"}', 'secret',
  'target_info',
  '{job=~"secret.*"}', '{tenant="b",tenant=~".+"}', '{tenant!~"a"}', '{tenant=""}',
}

describe("an adversary", function()
  local both, alone
  local now = os.time() - 600

  local function data(tenants)
    local lines = {}
    for _, tenant in ipairs(tenants) do
      local own = { a = "public", b = "secretb" }
      for minute = 0, 9 do
        local function put(name, labels, value)
          lines[#lines + 1] = ('%s{tenant="%s",%s} %s %d000\n'):format(name, tenant, labels, value,
            now + minute * 60)
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

  setup(function()
    both = start [[
      tide.query("own", function(q)
        q:restrict { tenant = "a" }
      end)]]
    alone = start()
    assert.equal(204, both:request("POST", "/api/v1/import/prometheus", data { "a", "b" }).status)
    assert.equal(204, alone:request("POST", "/api/v1/import/prometheus", data { "a" }).status)
    -- The data is there, and the marks of it are what they seem.
    assert.is_truthy(data({ "b" }):find("secretb") and data({ "b" }):find("77001"))
  end)
  teardown(stop_all)

  local function same(path)
    local expected, got = alone:request("GET", path), both:request("GET", path)
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
    for _, one in ipairs { both, alone } do
      assert.equal(204, one:request("POST", "/api/v1/import/prometheus", help).status)
    end
    local told = json.decode(both:request("GET", "/api/v1/metadata").body).data
    assert.is_truthy(told.up)
    assert.is_nil(told.secret)
    assert.equal(403, both:request("GET", "/api/v1/status/tsdb").status)
  end)
end)
