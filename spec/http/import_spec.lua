-- JSON lines: bodies larger than any limit go through a bounded memory, line by line.
local json = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"

local sanitized = os.getenv("SANITIZER") ~= nil

local function gzip(text)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(text)
  file:close()
  local pipe = io.popen("gzip -c " .. name)
  local out = pipe:read("*a")
  pipe:close()
  os.remove(name)
  return out
end

describe("JSON lines", function()
  local tidemark, folder
  local now = os.time()

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder, "--set", "http.max_body=1MiB", "--set",
      "http.max_decompressed=1MiB")
  end)
  teardown(function()
    assert.equal(0, tidemark:stop())
    process.remove(folder)
  end)

  local function import(body, headers, query)
    return tidemark:request("POST", "/api/v1/import" .. (query or ""), body, headers)
  end
  local function count(selector)
    local query = "/api/v1/query?time=%d&query=sum(count_over_time(%s[1d]))"
    local answer = tidemark:request("GET", query:format(now, selector))
    local result = json.decode(answer.body).data.result
    return result[1] and tonumber(result[1].value[2]) or 0
  end
  local function line(name, n, from)
    local values, times = {}, {}
    for i = 1, n do
      values[i], times[i] = i, (now - 3600) * 1000 + (from or 0) + i
    end
    return ('{"metric":{"__name__":"%s"},"values":[%s],"timestamps":[%s]}\n')
      :format(name, table.concat(values, ","), table.concat(times, ","))
  end

  it("are stored, with the labels of the URL", function()
    local answer = import(line("plain", 3) .. line("plain2", 2):sub(1, -2), nil,
      "?extra_label=a%3Db")
    assert.equal(204, answer.status)
    assert.equal(3, count('plain{a="b"}'))
    assert.equal(2, count('plain2{a="b"}'))
    assert.equal(204, import("").status)
  end)

  it("keep the good ones and name the bad ones by number", function()
    local answer = import(line("mixed", 2) .. "nonsense\n\n" .. line("mixed3", 1))
    assert.equal(400, answer.status)
    local told = json.decode(answer.body)
    assert.same({ 3, 1, 2 }, { told.written, told.refused, told.examples[1].line })
    assert.equal(2, count("mixed"))
    assert.equal(1, count("mixed3"))
  end)

  it("may be far more than a body may be, in chunks, without being held in memory", function()
    local _, before = tidemark.process:usage()
    local connection = tidemark:connect()
    connection:send("POST /api/v1/import HTTP/1.1\r\nHost: spec\r\nConnection: close\r\n" ..
      "Transfer-Encoding: chunked\r\n\r\n")
    local samples, bytes = 0, 0
    local tail = ""
    for i = 1, 400 do -- cut anywhere, 60 kB a line
      local text = tail .. line("chunked_" .. i % 10, 3000, i * 3000)
      local cut = #text - i % 7
      tail = text:sub(cut + 1)
      connection:send(("%x\r\n%s\r\n"):format(cut, text:sub(1, cut)))
      samples, bytes = samples + 3000, bytes + cut
    end
    connection:send(("%x\r\n%s\r\n0\r\n\r\n"):format(#tail, tail))
    local answer = connection:answer("POST")
    connection:close()
    assert.equal(204, answer.status, answer.body)
    assert.is_true(bytes > 20e6)
    assert.equal(samples, count('{__name__=~"chunked_.*"}'))
    local _, after = tidemark.process:usage()
    if not sanitized then assert.is_true(after - before < 20e6, after - before) end
  end)

  it("may come compressed, in several members", function()
    local first, second = line("zipped", 100000), line("zipped", 50000, 100000)
    assert.is_true(#first > 1.5e6)
    local body = gzip(first:sub(1, 1000)) .. gzip(first:sub(1001) .. second)
    assert.is_true(#body < 1e6)
    local answer = import(body, { ["Content-Encoding"] = "gzip" })
    assert.equal(204, answer.status, answer.body)
    assert.equal(150000, count("zipped"))
  end)

  it("are refused when the compressed body is cut off or is none; whole lines stay", function()
    local body = gzip(line("cut", 5) .. line("cut2", 200000))
    local answer = import(body:sub(1, -20), { ["Content-Encoding"] = "gzip" })
    assert.equal(400, answer.status)
    assert.truthy(json.decode(answer.body).error:find("cut off"), answer.body)
    assert.equal(5, count("cut"))
    assert.equal(400, import("hello", { ["Content-Encoding"] = "gzip" }).status)
    assert.equal(415, import("hello", { ["Content-Encoding"] = "br" }).status)
  end)

  it("wait their turn when lines without end hold all the memory of bodies", function()
    local small = server.start(nil, "--set", "http.max_bodies=1MiB")
    finally(function()
      small:stop()
      process.remove(small.folder)
    end)
    local answer = small:request("POST", "/api/v1/import", (" "):rep(3 * 1024 * 1024))
    assert.equal(503, answer.status)
    assert.truthy(answer.headers["retry-after"])
    assert.equal(204, small:request("POST", "/api/v1/import", line("after", 100)).status)
  end)

  it("skip a line that is too long for any memory", function()
    local long = ('{"metric":{"__name__":"long"},"values":[%s1],"timestamps":[1]}\n')
      :format((" "):rep(11 * 1024 * 1024))
    local answer = import(line("around", 1) .. long .. line("around2", 1))
    assert.equal(400, answer.status)
    local told = json.decode(answer.body)
    assert.same({ 2, 1, 2 }, { told.written, told.refused, told.examples[1].line })
    assert.equal(1, count("around2"))
  end)
end)
