-- The console over HTTP: a line by POST, its results as server-sent events while it runs.
local json = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"

local PATH = "/api/v1/admin/console"

describe("the console over HTTP", function()
  local running
  setup(function() running = server.start() end)
  teardown(function()
    assert.equal(0, running:stop())
    process.remove(running.folder)
  end)

  local function events_of(text)
    local list = {}
    for name, data in text:gmatch("event: (%a+)\ndata: ([^\n]*)\n\n") do
      list[#list + 1] = { name = name, data = json.decode(data) }
    end
    return list
  end

  -- The events of a line; the session's id.
  local function run(line, session, headers)
    local answer = running:request("POST", PATH .. (session and "?session=" .. session or ""), line,
      headers)
    assert.equal(200, answer.status, answer.body)
    assert.equal("text/event-stream", answer.headers["content-type"])
    local events = events_of(answer.body)
    assert.equal("session", events[1].name)
    return events, events[1].data.id
  end

  local function consoles()
    local body = running:request("GET", "/metrics").body
    return tonumber(body:match("\ntidemark_http_consoles (%d+)\n"))
  end

  -- A line whose answer is read piece by piece.
  local function open(line, session)
    local client = running:connect(20)
    client:send(("POST %s%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s"):format(PATH,
      session and "?session=" .. session or "", #line, line))
    return client
  end

  -- Reads until the pattern has come; all that has.
  local function read_until(client, pattern)
    local text = ""
    process.wait_for(pattern, 20, function()
      text = text .. (client:line() or "") .. "\n"
      return text:find(pattern)
    end)
    return text
  end

  it("answers a line with what it prints and its values", function()
    local events, id = run "print('a', 1) print('b') return 6 * 7, 'x'"
    assert.equal(32, #id)
    assert.same({ "session", "output", "output", "done" },
      { events[1].name, events[2].name, events[3].name, events[4].name })
    assert.equal("a\t1\n", events[2].data)
    assert.same({ 42, "x" }, events[4].data.result.values)
    assert.equal("42\nx\n", events[4].data.text)
    -- The session remembers.
    run("answer = 42", id)
    events = run("answer", id)
    assert.is_false(events[1].data.fresh)
    assert.same({ 42 }, events[2].data.result.values)
    assert.equal(204, running:request("DELETE", PATH .. "?session=" .. id).status)
    assert.equal(404, running:request("POST", PATH .. "?session=" .. id, "1").status)
  end)

  it("says what is wrong, and when more lines are wanted", function()
    local events, id = run "error('no', 0)"
    assert.same({ "failed", "no\n", "no" },
      { events[2].name, events[2].data.text, events[2].data.result.error })
    events = run("for i = 1, 3 do", id)
    assert.equal("incomplete", events[2].name)
    events = run("for i = 1, 3 do\nprint(i)\nend", id)
    assert.equal("3\n", events[4].data)
    assert.equal(204, running:request("DELETE", PATH .. "?session=" .. id).status)
  end)

  it("completes", function()
    local _, id = run "my_number = 1"
    local path = PATH .. "/complete?session=" .. id .. "&cursor=4"
    local answer = running:request("POST", path, "my_nzz")
    assert.equal(200, answer.status, answer.body)
    assert.same({ from = 0, items = { "my_number" } }, json.decode(answer.body).data)
    running:request("DELETE", PATH .. "?session=" .. id)
  end)

  it("sends what is printed while the line runs, and ends it when its client leaves", function()
    local client = open "while true do print('tick') native_is_not_here = 1 tide.now() end"
    local text = read_until(client, "tick")
    local id = text:match('"id":"(%x+)"')
    -- One line at a time.
    assert.equal(409, running:request("POST", PATH .. "?session=" .. id, "1").status)
    client:close()
    process.wait_for("the end of the line", 20, function()
      return running:request("POST", PATH .. "?session=" .. id, "1").status == 200
    end)
    -- One that prints nothing, too.
    client = open("while true do end", id)
    read_until(client, '"id"')
    client:close()
    process.wait_for("the end of the line", 20, function()
      return running:request("POST", PATH .. "?session=" .. id, "1").status == 200
    end)
    running:request("DELETE", PATH .. "?session=" .. id)
  end)

  it("bounds what waits for a client that does not read, and serves others meanwhile", function()
    local before = select(2, running.process:usage())
    local client = open "for i = 1, 1e6 do print(('x'):rep(1000)) end"
    read_until(client, '"id"')
    for i = 1, 5 do
      local answer = running:request("POST", "/api/v1/import/prometheus", "a " .. i .. "\n")
      assert.equal(204, answer.status)
    end
    local events, id = run "1 + 1"
    assert.equal("done", events[2].name)
    running:request("DELETE", PATH .. "?session=" .. id)
    local after = select(2, running.process:usage())
    local bound = os.getenv("SANITIZER") and 200e6 or 30e6 -- which keep what is freed for a while
    assert.is_true(after - before < bound, "grew by " .. after - before .. " bytes")
    client:close()
  end)

  it("has room for 16 sessions, and says when there is no more", function()
    local ids = {}
    process.wait_for("a refusal", 30, function()
      local answer = running:request("POST", PATH, "1")
      if answer.status == 200 then
        ids[#ids + 1] = events_of(answer.body)[1].data.id
        return false
      end
      assert.equal(503, answer.status, answer.body)
      return true
    end)
    assert.equal(16, consoles())
    for _, id in ipairs(ids) do running:request("DELETE", PATH .. "?session=" .. id) end
  end)

  it("is for admins, and not for pages of other origins", function()
    local answer = running:request("POST", PATH, "1", { Origin = "http://evil.example" })
    assert.equal(403, answer.status)
    answer = running:request("POST", PATH, "1", { ["Sec-Fetch-Site"] = "cross-site" })
    assert.equal(403, answer.status)
    assert.equal(405, running:request("GET", PATH).status)
    local guarded = server.configured([[
      local function user(name, roles)
        return { user = name, token = ("secret of " .. name):rep(2), roles = roles }
      end
      return { listen = "127.0.0.1:PORT", http = { users = { user("reader", "read"),
        user("ann", { "read", "admin" }), user("ben", { "read", "admin" }) } } }]])
    guarded:ready()
    local function ask(user, session)
      return guarded:request("POST", PATH .. (session and "?session=" .. session or ""), "1",
        user and { Authorization = "Bearer " .. ("secret of " .. user):rep(2) })
    end
    assert.equal(401, ask().status)
    assert.equal(403, ask("reader").status)
    local id = events_of(ask("ann").body)[1].data.id
    assert.equal(404, ask("ben", id).status) -- another user's
    assert.equal(200, ask("ann", id).status)
    assert.equal(0, guarded:stop())
    process.remove(guarded.folder)
  end)

  it("ends with the server", function()
    local other = server.start()
    local client = other:connect(20)
    client:send("POST " .. PATH .. " HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n" ..
      "while true do end")
    read_until(client, '"id"')
    assert.equal(0, other:stop())
    process.remove(other.folder)
  end)
end)
