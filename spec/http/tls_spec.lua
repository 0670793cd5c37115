-- TLS of listeners, with curl and openssl as clients.
local server = require "spec.support.server"
local process = require "spec.support.process"
local socket = require "socket"

local folder

local function run(command)
  local pipe = io.popen("(" .. command .. ") 2>&1; echo \" exit $?\"")
  local text = pipe:read("*a")
  pipe:close()
  local output, status = text:match("^(.*) exit (%d+)\n$")
  return output, tonumber(status)
end

local function must(command)
  local output, status = run(command)
  assert.equal(0, status, command .. "\n" .. output)
  return output
end

local function certificate(name, authority, subject)
  must(("cd %s && openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout " ..
    "%s.key -out %s.csr -subj '/CN=%s' && printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' " ..
    "> ext && openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial -days 2 " ..
    "-extfile ext -out %s.pem"):format(folder, name, name, subject or name, name, authority,
      authority, name))
end

local function authority(name)
  must(("cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes " ..
    "-keyout %s.key -out %s.pem -days 2 -subj '/CN=%s'"):format(folder, name, name, name))
end

setup(function()
  folder = process.folder()
  authority("ca")
  authority("other")
  certificate("server", "ca", "first")
  certificate("next", "ca", "second")
  certificate("client", "ca")
  certificate("stranger", "other")
end)
teardown(function() process.remove(folder) end)

local function curl(tide, path, options)
  return run(("curl -sS --cacert %s/ca.pem %s 'https://127.0.0.1:%d%s'"):format(folder,
    options or "",
    tide.port, path))
end

-- The product with TLS; `more` goes into the tls table.
local function start(more)
  local text = ([[return { listen = { { address = "127.0.0.1:PORT", tls = {
    certificate = "%s/live.pem", key = "%s/live.key", %s } } },
    http = { header_timeout = "500ms" } }]]):format(folder, folder, more or "")
  must(("cp %s/server.pem %s/live.pem && cp %s/server.key %s/live.key"):format(folder, folder,
    folder, folder))
  local tide = server.configured(text)
  return tide:ready(function()
    return tide.process:output():find("msg=\"ready\"", 1, true) and 200
  end)
end

local function stop(tide)
  assert.equal(0, tide:stop())
  process.remove(tide.folder)
end

describe("a listener with TLS", function()
  local tide
  setup(function() tide = start() end)
  teardown(function() stop(tide) end)

  it("takes pushes and answers questions, several on a connection", function()
    local body = {}
    for i = 1, 50000 do body[i] = ('m{i="%d"} %d'):format(i, i) end
    local file = io.open(folder .. "/body", "w")
    file:write(table.concat(body, "\n"), "\n")
    file:close()
    assert.equal("204", curl(tide, "/api/v1/import/prometheus",
      "-w '%{http_code}' --data-binary @" .. folder .. "/body"))
    assert.equal("204", curl(tide, "/api/v1/import/prometheus", -- without a length
      "-w '%{http_code}' -H 'Transfer-Encoding: chunked' --data-binary @" .. folder .. "/body"))
    local answer = curl(tide, "/api/v1/query?query=sum(m)")
    assert.truthy(answer:find('"1250025000"', 1, true), answer)
    local url = " https://127.0.0.1:" .. tide.port .. "/-/healthy"
    local text = curl(tide, "/-/healthy", "-v" .. url:rep(4))
    local _, count = text:gsub("is Healthy", "")
    assert.equal(5, count)
    assert.truthy(text:find("Re-using existing connection", 1, true))
    assert.truthy(text:find("ALPN: server accepted http/1.1", 1, true) or
      text:find("ALPN, server accepted to use http/1.1", 1, true))
  end)

  it("answers pipelined requests that came in many records, in order", function()
    local file = io.open(folder .. "/requests", "w")
    for i = 1, 3000 do
      file:write("GET /nowhere/", i, " HTTP/1.1\r\nHost: a\r\nX-Padding: ", ("x"):rep(500), "\r\n",
        i == 3000 and "Connection: close\r\n" or "", "\r\n")
    end
    file:close()
    local text = must(("openssl s_client -quiet -no_ign_eof -connect 127.0.0.1:%d -ign_eof " ..
      "< %s/requests"):format(tide.port, folder))
    local at = 0
    for i in text:gmatch("page not found: /nowhere/(%d+)\"") do
      at = at + 1
      assert.equal(at, tonumber(i))
    end
    assert.equal(3000, at)
  end)

  it("speaks TLS 1.2 and 1.3 and strong ciphers only", function()
    local function handshake(options)
      return run(("openssl s_client -connect 127.0.0.1:%d -CAfile %s/ca.pem " ..
        "-verify_return_error %s < /dev/null"):format(tide.port, folder, options))
    end
    assert.truthy(handshake("-tls1_3"):find("Verification: OK", 1, true))
    assert.truthy(handshake("-tls1_2"):find("Verification: OK", 1, true))
    for _, weak in ipairs { "-tls1_1 -cipher 'ALL:@SECLEVEL=0'", "-tls1 -cipher 'ALL:@SECLEVEL=0'",
      "-tls1_2 -cipher AES128-SHA256", "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256" } do
      local _, status = handshake(weak)
      assert.equal(1, status, weak)
    end
    local _, status = handshake("-alpn h2")
    assert.equal(1, status)
    assert.truthy(handshake("-alpn h2,http/1.1"):find("ALPN protocol: http/1.1", 1, true))
  end)

  it("says so to who speaks HTTP in the clear", function()
    local answer = tide:request("GET", "/-/healthy")
    assert.same({ 400, "this port wants https\n" }, { answer.status, answer.body })
  end)

  it("gives a handshake its time, and no more", function()
    for _, bytes in ipairs { "", "\22\3\1\2\0\1\0\1\252\3\3" } do
      local client, began = tide:connect(5), socket.gettime()
      client:send(bytes)
      assert.is_true(client:closed())
      assert.is_true(socket.gettime() - began >= 0.4)
      client:close()
    end
  end)

  it("survives what is no TLS at all", function()
    math.randomseed(7)
    for _ = 1, 200 do
      local client = tide:connect()
      local bytes = {}
      for i = 1, math.random(1, 400) do bytes[i] = string.char(math.random(0, 255)) end
      if math.random() < 0.5 then table.insert(bytes, 1, "\22\3\1") end
      client:send(table.concat(bytes))
      client:close()
    end
    assert.truthy(curl(tide, "/-/healthy"):find("is Healthy", 1, true))
  end)

  it("takes new certificates on a reload, and keeps connections", function()
    local fifo = folder .. "/fifo"
    must("mkfifo " .. fifo .. "; touch " .. folder .. "/kept")
    local kept = io.popen(("openssl s_client -quiet -connect 127.0.0.1:%d -ign_eof < %s " ..
      "> %s/kept 2> /dev/null"):format(tide.port, fifo, folder))
    local requests = assert(io.open(fifo, "w"))
    local function answers()
      local _, count = must("cat " .. folder .. "/kept"):gsub("is Healthy", "")
      return count
    end
    requests:write("GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n")
    requests:flush()
    process.wait_for("the first answer", 10, function() return answers() == 1 end)
    local function subject()
      return must(("openssl s_client -connect 127.0.0.1:%d < /dev/null"):format(tide.port))
        :match("subject=CN = (%w+)")
    end
    assert.equal("first", subject())
    must(("cp %s/next.pem %s/live.pem && cp %s/next.key %s/live.key"):format(folder, folder, folder,
      folder))
    assert.equal('reloaded"', tide:reload())
    assert.equal("second", subject())
    must(("cp %s/server.key %s/live.key"):format(folder, folder)) -- of another certificate
    assert.truthy(tide:reload():find("key values mismatch", 1, true))
    assert.equal("second", subject())
    requests:write("GET /-/healthy HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    requests:flush()
    process.wait_for("the second answer", 10, function() return answers() == 2 end)
    requests:close()
    kept:close()
  end)
end)

describe("client certificates", function()
  local function status(tide, name)
    local options = name and ("--cert %s/%s.pem --key %s/%s.key"):format(folder, name, folder, name)
    local text, failed = curl(tide, "/api/v1/labels", "-o /dev/null -w '%{http_code}' " ..
      (options or ""))
    return failed == 0 and tonumber(text) or nil
  end

  it("are required, of the right authority", function()
    local tide = start('client_ca = "' .. folder .. '/ca.pem"')
    assert.equal(200, status(tide, "client"))
    assert.is_nil(status(tide))
    assert.is_nil(status(tide, "stranger"))
    stop(tide)
  end)

  it("may be optional, but not of another authority", function()
    local tide = start('client_ca = "' .. folder .. '/ca.pem", client_certificate = "optional"')
    assert.equal(200, status(tide))
    assert.equal(200, status(tide, "client"))
    assert.is_nil(status(tide, "stranger"))
    stop(tide)
  end)
end)

describe("streams over TLS", function()
  local door
  before_each(function()
    door = server.door("listen=127.0.0.1:0", "listen=127.0.0.1:0", "certificate=" .. folder ..
      "/server.pem", "key=" .. folder .. "/server.key", "body_timeout_ms=500")
    process.wait_for("both addresses", 5, function()
      local both = "\n127%.0%.0%.1:%d+\n127%.0%.0%.1:(%d+)\n"
      door.secure = tonumber(door.process:output():match(both))
      return door.secure
    end)
  end)
  after_each(function() assert.equal(0, door:stop()) end)

  it("arrive whole, also at a slow reader", function()
    local function sum(url, options)
      return must(("curl -sS --cacert %s/ca.pem %s '%s/stream?lines=1000000' | sha256sum"):format(
        folder, options, url))
    end
    local plain = sum("http://127.0.0.1:" .. door.port, "")
    local secure = "https://127.0.0.1:" .. door.secure
    assert.equal(plain, sum(secure, ""))
    assert.equal(plain, sum(secure, "--compressed"))
    assert.equal(plain, sum(secure, "--limit-rate 40M"))
    assert.equal(plain, sum(secure, "-0")) -- ends with the connection
  end)

  it("hold one piece for a reader that stands still", function()
    local reader = io.popen(("(printf 'GET /stream?lines=60000000 HTTP/1.1\\r\\n" ..
      "Host: a\\r\\n\\r\\n'; sleep 30) | openssl s_client -quiet -ign_eof -connect " ..
      "127.0.0.1:%d 2> /dev/null | (echo $$; exec sleep 30)"):format(door.secure))
    process.wait_for("the end of a standing reader", 10, function()
      return door:request("GET", "/metrics").body:match('rejected_total{reason="timeout"} [12]')
    end)
    local _, peak = door.process:usage()
    if not os.getenv("SANITIZER") then assert.is_true(peak < 60e6, "peak of " .. peak) end
    os.execute("pkill -P " .. reader:read("*l") .. " sleep") -- ends the pipeline
    reader:close()
  end)

  it("are cancelled when the client says goodbye", function()
    local done = io.popen(("printf 'GET /cancel HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' | " ..
      "timeout 1 openssl s_client -quiet -ign_eof -connect 127.0.0.1:%d 2> /dev/null; " ..
      "echo done"):format(door.secure))
    process.wait_for("the query to run", 5, function()
      return door:request("GET", "/metrics").body:find("tidemark_query_running 1", 1, true)
    end)
    assert.equal("done", done:read("*l"))
    done:close()
    process.wait_for("its cancellation", 5, function()
      return door.process:output():find("cancelled", 1, true)
    end)
  end)
end)
