-- Who may do what: users, roles, listeners, tenants, pages of other origins, reload.
local server = require "spec.support.server"
local process = require "spec.support.process"
local mime = require "mime"

-- Hashes that others made (the vectors of the bcrypt that crypt(3) has), at the lowest price.
local UUU = "$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a" -- of "U*U*U"
local UU = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK" -- of "U*U*"
-- printf 0123456789abcdef-ops | sha256sum
local TOKEN = "0123456789abcdef-ops"

local function sha256(text)
  local pipe = io.popen("printf %s '" .. text .. "' | sha256sum")
  local digest = pipe:read("*l"):match("^%x+")
  pipe:close()
  return digest
end

local function basic(user, password)
  return { Authorization = "Basic " .. mime.b64(user .. ":" .. password) }
end
local function bearer(token) return { Authorization = "Bearer " .. token } end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

local USERS = [[
  { user = "reader", password = "]] .. UUU .. [[", roles = "read" },
  { user = "writer", password_file = "FOLDER/writer", roles = { "push" }, tenant = "web" },
  { user = "agent", token_file = "FOLDER/token", roles = "push" },
  { user = "ops", token = "sha256:]] .. sha256(TOKEN) .. [[", roles = { "admin" } },]]

local function start(listen, users, http)
  local self = server.configured("return { listen = " .. listen .. ", http = { users = {" ..
    (users or USERS) .. "}, " .. (http or "") .. " } }")
  write(self.folder .. "/writer", UU .. "\n")
  write(self.folder .. "/token", "  the-token-of-agents\n")
  self.process:kill()
  self.process = process.start({ (os.getenv("BUILD") or "build") .. "/tidemark", "serve",
    "--config", self.folder .. "/config.lua", "--data", self.folder .. "/data" }, self.log)
  return self:ready()
end

local PUSH, READ = "/api/v1/import/prometheus", "/api/v1/labels"
local ADMIN = "/api/v1/admin/queries/kill?id=77"

describe("users", function()
  local tide
  setup(function() tide = start('"127.0.0.1:PORT"') end)
  teardown(function()
    assert.equal(0, tide:stop())
    process.remove(tide.folder)
  end)

  local function push(headers) return tide:request("POST", PUSH, "up 1\n", headers).status end
  local function read(headers) return tide:request("GET", READ, nil, headers).status end
  local function admin(headers) return tide:request("POST", ADMIN, "", headers).status end

  it("are asked for, in both ways that clients know", function()
    local answer = tide:request("GET", READ)
    assert.equal(401, answer.status)
    assert.equal('Bearer realm="tidemark"', answer.headers["www-authenticate"]) -- the last one
    local raw = tide:connect()
    raw:send("GET " .. READ .. " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    while raw:fill() do end
    assert.truthy(raw.rest:find('WWW-Authenticate: Basic realm="tidemark"', 1, true))
    assert.truthy(raw.rest:find('"errorType":"unauthorized"', 1, true))
    raw:close()
  end)

  it("have exactly the roles that are listed", function()
    local reader, writer = basic("reader", "U*U*U"), basic("writer", "U*U*")
    assert.same({ 403, 200, 403 }, { push(reader), read(reader), admin(reader) })
    assert.same({ 204, 403, 403 }, { push(writer), read(writer), admin(writer) })
    local agent, ops = bearer("the-token-of-agents"), bearer(TOKEN)
    assert.same({ 204, 403, 403 }, { push(agent), read(agent), admin(agent) })
    assert.same({ 403, 403, 404 }, { push(ops), read(ops), admin(ops) })
    local answer = tide:request("GET", READ, nil, ops)
    assert.truthy(answer.body:find("role read, which the user ops does not have", 1, true))
  end)

  it("may be named by a token where clients only know passwords, and by Influx's ways", function()
    assert.equal(204, push(basic("agent", "the-token-of-agents")))
    assert.equal(401, push(basic("writer", "the-token-of-agents")))
    assert.equal(204, push({ Authorization = "Token the-token-of-agents" }))
    assert.equal(204, push({ Authorization = "token writer:U*U*" }))
    local line = "m,host=a v=1"
    assert.equal(204, tide:request("POST", "/write?u=writer&p=U%2AU%2A", line).status)
    assert.equal(401, tide:request("POST", "/write?u=writer&p=wrong", line).status)
    assert.equal(401, tide:request("POST", PUSH .. "?u=writer&p=U%2AU%2A", "up 1\n").status)
  end)

  it("are refused with anything that is not quite a credential", function()
    for _, value in ipairs { "Basic", "Basic ", "Basic !!!", "Basic " .. mime.b64("reader"),
      "Basic " .. mime.b64(":U*U*U"), "Basic " .. mime.b64("reader:U*U*U\0"), "Bearer ",
      "Bearer the-token-of-agent", "Bearer the-token-of-agents x", "Digest a", "reader:U*U*U",
      "Basic " .. mime.b64("reader:U*U*U\0x"), "Bearer " .. ("x"):rep(5000) } do
      assert.equal(401, read { Authorization = value }, value)
    end
    assert.equal(401, read(basic("reader", "")))
    assert.equal(401, read(basic("nobody", "U*U*U")))
    local raw = tide:connect()
    raw:send("GET " .. READ .. " HTTP/1.1\r\nHost: a\r\n" ..
      ("Authorization: Bearer the-token-of-agents\r\n"):rep(2) .. "\r\n")
    assert.equal(401, raw:answer().status)
    raw:close()
  end)

  it("are not asked for where nobody needs to be known", function()
    assert.equal(200, tide:request("GET", "/-/healthy").status)
    assert.equal(404, tide:request("GET", "/nowhere").status)
    assert.equal(204, tide:request("OPTIONS", READ, nil, { Origin = "http://a.example" }).status)
  end)

  it("are proved before a byte of a body is asked for", function()
    local raw = tide:connect()
    raw:send("POST " .. PUSH .. " HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n" ..
      "Expect: 100-continue\r\n\r\n")
    local answer = raw:answer()
    assert.equal(401, answer.status)
    assert.equal("close", answer.headers.connection)
    raw:close()
    raw = tide:connect()
    raw:send("POST " .. PUSH .. " HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nAuthorization: " ..
      basic("writer", "U*U*").Authorization .. "\r\nExpect: 100-continue\r\n\r\n")
    assert.equal(100, raw:answer().status)
    raw:send("up 2\n")
    assert.equal(204, raw:answer().status)
    raw:close()
  end)

  it("keep the order of pipelined requests while a password is tried", function()
    local raw = tide:connect()
    local function request(path, headers, body)
      local lines = { (body and "POST " or "GET ") .. path .. " HTTP/1.1", "Host: a" }
      for name, value in pairs(headers) do lines[#lines + 1] = name .. ": " .. value end
      if body then lines[#lines + 1] = "Content-Length: " .. #body end
      return table.concat(lines, "\r\n") .. "\r\n\r\n" .. (body or "")
    end
    raw:send(request(PUSH, basic("writer", "wrong-1"), "up 1\n") .. "GET /x")
    assert.equal(401, raw:answer().status) -- refused with its body: the connection ends
    assert.is_true(raw:closed())
    raw:close()
    raw = tide:connect()
    raw:send(request(READ, basic("reader", "wrong-2"), nil) .. request("/-/healthy", {}) ..
      request(PUSH, basic("writer", "U*U*"), "up 3\n") .. request(READ, bearer(TOKEN)))
    assert.same({ 401, 200, 204, 403 }, { raw:answer().status, raw:answer().status,
      raw:answer().status, raw:answer().status })
    raw:close()
  end)
end)

describe("passwords", function()
  it("cost their hash once, wrong ones are put off, and others are served meanwhile", function()
    local hash = io.popen("echo opensesame | " .. (os.getenv("BUILD") or "build") ..
      "/tidemark password"):read("*l")
    assert.truthy(hash:match("^%$2b%$10%$[%w./]+$") and #hash == 60)
    local tide = start('"127.0.0.1:PORT"', '{ user = "ann", password = "' .. hash ..
      '", roles = "read" }, { user = "t", token = "0123456789abcdef", roles = "read" }')
    local good = basic("ann", "opensesame")
    assert.equal(200, tide:request("GET", READ, nil, good).status)
    local before = tide.process:usage()
    for _ = 1, 100 do assert.equal(200, tide:request("GET", READ, nil, good).status) end
    if not os.getenv("SANITIZER") then -- 100 hashes would be 5 s
      assert.is_true(tide.process:usage() - before < 1)
    end
    local refused, put_off = 0, 0
    for i = 1, 40 do
      local answer = tide:request("GET", READ, nil, basic("ann", "guess " .. i))
      if answer.status == 401 then refused = refused + 1 end
      if answer.status == 429 and answer.headers["retry-after"] then put_off = put_off + 1 end
    end
    assert.equal(40, refused + put_off)
    -- A sender would throw its data away at 429.
    assert.equal(503, tide:request("POST", PUSH, "up 1\n", basic("ann", "another guess")).status)
    assert.is_true(refused >= 20 and put_off >= 1, refused .. " were tried")
    -- What was remembered, and tokens, are not put off.
    assert.equal(200, tide:request("GET", READ, nil, good).status)
    assert.equal(200, tide:request("GET", READ, nil, bearer("0123456789abcdef")).status)
    assert.equal(401, tide:request("GET", READ, nil, bearer("0123456789abcdee")).status)
    assert.equal(0, tide:stop())
    process.remove(tide.folder)
  end)
end)

describe("listeners", function()
  local function unix_status(path, url, options)
    local pipe = io.popen("curl -s -o /dev/null -w '%{http_code}' --unix-socket " .. path .. " " ..
      (options or "") .. " http://localhost" .. url)
    local status = tonumber(pipe:read("*a"))
    pipe:close()
    return status
  end

  it("may be open or limited, each on its own", function()
    local tide = start('{ "127.0.0.1:PORT", { address = "unix:FOLDER/open", auth = "none" }, ' ..
      '{ address = "unix:FOLDER/push", roles = "push" } }')
    local open, push = tide.folder .. "/open", tide.folder .. "/push"
    assert.equal(401, tide:request("GET", READ).status)
    assert.equal(200, unix_status(open, READ))
    assert.equal(404, unix_status(open, ADMIN, "-X POST"))
    assert.equal(401, unix_status(push, READ))
    assert.equal(403, unix_status(push, READ, "-u reader:U*U*U"))
    assert.equal(204, unix_status(push, PUSH, "-u writer:U*U* -d 'up 1'"))
    assert.equal(0, tide:stop())
    process.remove(tide.folder)
  end)

  it("without users are open on loopback, and without admin elsewhere", function()
    local other = process.free_port()
    local tide = start('{ "127.0.0.1:PORT", "0.0.0.0:' .. other .. '" }', "")
    assert.equal(200, tide:request("GET", READ).status)
    assert.equal(404, tide:request("POST", ADMIN, "").status)
    local inside = tide.port
    tide.port = other
    assert.equal(200, tide:request("GET", READ).status)
    assert.equal(204, tide:request("POST", PUSH, "up 1\n").status)
    local answer = tide:request("POST", ADMIN, "")
    assert.equal(403, answer.status)
    assert.truthy(answer.body:find("the listener 0.0.0.0:" .. other .. " does not give", 1, true))
    tide.port = inside
    assert.equal(0, tide:stop())
    process.remove(tide.folder)
  end)

  it("that want users refuse to start without any", function()
    local tide = server.configured('return { listen = { address = "127.0.0.1:PORT", ' ..
      'auth = "required" } }')
    process.wait_for("its end", 10, function() return tide.process:status() end)
    assert.equal(1, tide.process:status())
    assert.truthy(tide.process:output():find('auth = "required", but http.users is empty', 1, true))
    process.remove(tide.folder)
  end)

  it("name a secret's file that is not there, or holds no secret", function()
    for secret, text in pairs {
      ['password_file = "FOLDER/none"'] = "cannot read ",
      ['password_file = "FOLDER/config.lua"'] = "is no hash that crypt(3) knows",
      ['token = "(hidden)" .. ("x"):rep(20), password_file = "/"'] = "needs one of",
    } do
      local tide = server.configured('return { listen = "127.0.0.1:PORT", http = { users = {' ..
        '{ user = "a", roles = "read", ' .. secret .. " } } } }")
      process.wait_for("its end", 10, function() return tide.process:status() end)
      assert.equal(1, tide.process:status())
      assert.truthy(tide.process:output():find(text, 1, true), tide.process:output())
      process.remove(tide.folder)
    end
  end)
end)

describe("a reload", function()
  it("takes over users and their files, or nothing", function()
    local tide = start('"127.0.0.1:PORT"', '{ user = "a", token_file = "FOLDER/token", ' ..
      'roles = "read" }')
    local connection = tide:connect()
    local function ask(token)
      connection:send("GET " .. READ .. " HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " .. token ..
        "\r\n\r\n")
      return connection:answer().status
    end
    assert.same({ 200, 401 }, { ask "the-token-of-agents", ask "another-token-of-agents" })
    write(tide.folder .. "/token", "another-token-of-agents")
    assert.equal('reloaded"', tide:reload())
    assert.same({ 401, 200 }, { ask "the-token-of-agents", ask "another-token-of-agents" })
    tide:configure('return { listen = "127.0.0.1:PORT", http = { users = { { user = "b", ' ..
      'token = "a-token-in-the-config", roles = "push" } }, max_body = "1MiB" } }')
    tide:reload()
    assert.truthy(tide.process:output():find('restart" keys="http.max_body"', 1, true))
    assert.same({ 401, 403 }, { ask "another-token-of-agents", ask "a-token-in-the-config" })
    tide:configure('return { listen = "127.0.0.1:PORT", http = { users = 7 } }')
    assert.truthy(tide:reload():find("reload failed, what was in force stays", 1, true))
    assert.equal(403, ask "a-token-in-the-config")
    connection:close()
    assert.equal(0, tide:stop())
    process.remove(tide.folder)
  end)
end)

describe("pages of other origins", function()
  local tide
  setup(function()
    tide = start('"127.0.0.1:PORT"', "", 'cors_origins = { "*", "https://good.example", ' ..
      '"https://*.trusted.example:8443" }')
  end)
  teardown(function()
    assert.equal(0, tide:stop())
    process.remove(tide.folder)
  end)

  local function page(origin, method, path, host)
    local raw = tide:connect()
    raw:send(method .. " " .. path .. " HTTP/1.1\r\nHost: " .. (host or tide.address) ..
      "\r\nOrigin: " .. origin .. "\r\nContent-Length: " .. (method == "POST" and 5 or 0) ..
      "\r\n\r\n" .. (method == "POST" and "up 1\n" or ""))
    local answer = raw:answer()
    raw:close()
    return answer
  end

  it("may read as the configuration says", function()
    local any = page("http://evil.example", "GET", READ)
    assert.same({ 200, "*" }, { any.status, any.headers["access-control-allow-origin"] })
    assert.truthy(any.headers.vary:find("Origin", 1, true))
    local named = page("https://good.example", "GET", READ)
    assert.equal("https://good.example", named.headers["access-control-allow-origin"])
    local flight = page("https://good.example", "OPTIONS", READ)
    assert.same({ 204, "3600" }, { flight.status, flight.headers["access-control-max-age"] })
    assert.is_nil(page("http://" .. tide.address, "GET", READ)
      .headers["access-control-allow-origin"])
  end)

  it("may change something only when they are named, or the server's own", function()
    for origin, status in pairs {
      ["http://evil.example"] = 403, ["null"] = 403, ["https://good.example"] = 204,
      ["HTTPS://Good.Example"] = 204, ["http://good.example"] = 403,
      ["https://good.example:444"] = 403, ["https://a.trusted.example:8443"] = 204,
      ["https://a.b.trusted.example:8443"] = 204, ["https://trusted.example:8443"] = 403,
      ["https://evil/.trusted.example:8443"] = 403, ["https://.trusted.example:8443"] = 403,
      ["http://" .. tide.address] = 204,
    } do
      assert.equal(status, page(origin, "POST", PUSH).status, origin)
    end
    assert.equal(403, page("http://evil.example", "POST", ADMIN).status)
  end)

  it("cannot change anything by a picture or a link either", function()
    local function get(site)
      return tide:request("GET", "/snapshot/list", nil, { ["Sec-Fetch-Site"] = site }).status
    end
    assert.same({ 403, 403 }, { get("cross-site"), get("same-site") })
    assert.same({ 200, 200, 200 }, { get(nil), get("none"), get("same-origin") })
    assert.equal(200, tide:request("GET", READ, nil, { ["Sec-Fetch-Site"] = "cross-site" }).status)
  end)

  it("do not pass for the server's own by a name that points here", function()
    local rebound = "evil.example:" .. tide.port
    assert.equal(403, page("http://" .. rebound, "POST", PUSH, rebound).status)
    local here = "localhost:" .. tide.port
    assert.equal(204, page("http://" .. here, "POST", PUSH, here).status)
  end)

  it("cannot frame ours, and get no script from elsewhere", function()
    local answer = tide:request("GET", "/")
    assert.equal("DENY", answer.headers["x-frame-options"])
    assert.truthy(answer.headers["content-security-policy"]:find("frame-ancestors 'none'", 1, true))
    assert.equal("nosniff", answer.headers["x-content-type-options"])
  end)
end)
