-- Which requests get a line, what is in it and what is not; what one address may have open.
local cjson = require "cjson"
local server = require "spec.support.server"
local process = require "spec.support.process"

local READ = "/api/v1/labels"

local function start(log, http)
  return server.configured('return { listen = { "127.0.0.1:PORT", "unix:FOLDER/socket" }, ' ..
    "log = { " .. log .. " }, http = { " .. (http or "") .. " } }"):ready()
end

local function stop(tide)
  assert.equal(0, tide:stop())
  process.remove(tide.folder)
end

-- Without those that waited for readiness.
local function lines(tide)
  local list = {}
  for line in tide.process:output():gmatch("[^\n]*msg=\"request\"[^\n]*") do
    if not line:find("/-/ready", 1, true) then list[#list + 1] = line end
  end
  return list
end

describe("the request log", function()
  it("has failures and slow requests, and none of their secrets", function()
    local tide = start('slow_request = "200ms", requests_per_second = 1000',
      'users = { { user = "ann", token = "0123456789abcdef", roles = { "read", "push" } } }')
    local known = { Authorization = "Bearer 0123456789abcdef" }
    assert.equal(200, tide:request("GET", READ, nil, known).status)
    assert.equal(401, tide:request("GET", READ .. "?u=ann&p=hunter2", nil,
      { Authorization = "Bearer fedcba9876543210" }).status)
    assert.equal(404, tide:request("GET", '/a"b\\c%0a', nil, known).status)
    local push = "/api/v1/import/prometheus"
    assert.equal(400, tide:request("POST", push, "{nonsense\n", known).status)
    local slow = tide:connect()
    slow:send("POST " .. push .. " HTTP/1.1\r\nHost: a\r\nAuthorization: " ..
      known.Authorization .. "\r\nContent-Length: 5\r\n\r\n")
    require("socket").sleep(0.25) -- what is asked is that it counts
    slow:send("up 1\n")
    assert.equal(204, slow:answer().status)
    slow:close()
    local raw = tide:connect()
    raw:send("NONSENSE\r\n\r\n")
    assert.equal(400, raw:answer().status)
    raw:close()
    local log = process.wait_for("five lines", 5, function()
      local list = lines(tide)
      return #list == 5 and list
    end)
    assert.truthy(log[1]:find('method=GET path="' .. READ .. '" status=401 took_ms=', 1, true))
    assert.truthy(log[1]:find("client=127.0.0.1", 1, true))
    assert.truthy(log[2]:find('path="/a%22b%5Cc%0a" status=404', 1, true))
    assert.truthy(log[3]:find("method=POST .* status=400 took_ms=%d+ in=10 out=%d+ .* " ..
      'user="ann"$'))
    assert.truthy(log[4]:find("status=204 took_ms=[234]%d%d in=5 .* slow=true$"))
    assert.truthy(log[5]:find('method=- path="" status=400', 1, true))
    local text = tide.process:output()
    for _, secret in ipairs { "hunter2", "0123456789", "fedcba" } do
      assert.falsy(text:find(secret, 1, true))
    end
    stop(tide)
  end)

  it("has all, or none, and changes with a reload", function()
    local tide = start('requests = "all", requests_per_second = 1000')
    tide:request("GET", READ)
    assert.truthy(process.wait_for("a line", 5, function()
      return tide.process:output():find('path="' .. READ .. '" status=200', 1, true)
    end))
    tide:configure('return { listen = { "127.0.0.1:PORT", "unix:FOLDER/socket" }, ' ..
      'log = { requests = "off" } }')
    assert.equal('reloaded"', tide:reload())
    local before = #lines(tide)
    assert.equal(404, tide:request("GET", "/nowhere").status)
    assert.equal(before, #lines(tide))
    stop(tide)
  end)

  it("is bounded, and says how much it left out", function()
    local tide = start('requests_per_second = 5')
    local connection = tide:connect()
    for _ = 1, 400 do
      connection:send("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
      connection:answer()
    end
    assert.is_true(#lines(tide) <= 15, #lines(tide)) -- 5 a second
    process.wait_for("the next second", 5, function()
      connection:send("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n")
      connection:answer()
      local list = lines(tide)
      return #list > 0 and list[#list]:find("left_out=%d%d+")
    end)
    connection:close()
    stop(tide)
  end)

  it("is JSON, a member for each field", function()
    local tide = start('format = "json", requests = "all", requests_per_second = 1000',
      'users = { { user = "an \\"n", ' ..
      'token = "0123456789abcdef", roles = "read" } }')
    tide:request("GET", READ, nil, { Authorization = "Bearer 0123456789abcdef" })
    local found = process.wait_for("its line", 5, function()
      return tide.process:output():match('[^\n]*"msg":"request"[^\n]*' .. READ .. "[^\n]*")
    end)
    local line = cjson.decode(found)
    assert.same({ "GET", READ, "200", "127.0.0.1", "an%20%22n" }, { line.method, line.path,
      line.status, line.client, line.user })
    for each in tide.process:output():gmatch("[^\n]+") do cjson.decode(each) end
    stop(tide)
  end)
end)

describe("one address", function()
  it("has so many connections, others go on", function()
    local tide = start("", "connections_per_client = 8")
    local open = {}
    for i = 1, 8 do
      open[i] = tide:connect()
      open[i]:send("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal(200, open[i]:answer().status)
    end
    local extra = tide:connect()
    local answer = extra:answer()
    assert.equal(503, answer.status)
    assert.truthy(cjson.decode(answer.body).error:find("from this address", 1, true))
    extra:close()
    local function unix()
      local pipe = io.popen("curl -s -o /dev/null -w '%{http_code}' --unix-socket " ..
        tide.folder .. "/socket http://a" .. READ)
      local status = pipe:read("*a")
      pipe:close()
      return status
    end
    assert.equal("200", unix())
    open[1]:close()
    process.wait_for("room", 5, function() return tide:request("GET", READ).status == 200 end)
    for i = 2, 8 do open[i]:close() end
    stop(tide)
  end)

  it("has so many queries that wait or run", function()
    local door = server.door("client_queries=3", "query_threads=8")
    local clients, statuses = {}, {}
    for i = 1, 5 do
      clients[i] = door:connect()
      clients[i]:send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    for i = 1, 5 do
      local answer = clients[i]:answer()
      statuses[answer.status] = (statuses[answer.status] or 0) + 1
    end
    assert.same({ [200] = 3, [429] = 2 }, statuses)
    clients[1]:send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(200, clients[1]:answer().status) -- they were given back
    for i = 1, 5 do clients[i]:close() end
    assert.equal(0, door:stop())
  end)
end)
