-- Folders that Prometheus 1.8 wrote, served: every sample of every series comes back over HTTP, all
-- but what it cannot carry (NaN payloads, and staleness markers, which queries hide).
local cjson = require "cjson"
local http = require "socket.http"
local process = require "spec.support.process"
local tide = require "spec.support.tide"
local url = require "socket.url"

local build = os.getenv("BUILD") or "build"
local STALE = "7ff0000000000002"

local function quote(text)
  return '"' .. text:gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }) .. '"'
end

-- A selector with all labels of a series, for the window (first - 1 ms, last].
local function selector(series)
  local parts = {}
  for name, value in pairs(series.metric) do
    parts[#parts + 1] = quote(name) .. "=" .. quote(value)
  end
  local first, last = series.samples[1][1], series.samples[#series.samples][1]
  return ("{%s}[%dms]"):format(table.concat(parts, ","), last - first + 1), last
end

-- What is expected of the answer: samples without staleness markers, NaN as NaN.
local function visible(samples)
  local list = {}
  for _, sample in ipairs(samples) do
    if sample[3] ~= STALE then list[#list + 1] = sample end
  end
  return list
end

local function same_value(text, bits)
  local value = tide.double(bits)
  if value ~= value then return text == "NaN" end
  if text == "+Inf" or text == "-Inf" then return value == tonumber((text:gsub("Inf", "1e999"))) end
  return tide.bits(tonumber(text)) == bits
end

local function check_series(port, series)
  local expression, last = selector(series)
  local body, status = http.request(("http://127.0.0.1:%d/api/v1/query?time=%.3f&query=%s"):format(
    port, last / 1000, url.escape(expression)))
  assert.equal(200, status, expression .. ": " .. tostring(body))
  local expected, found = visible(series.samples), {}
  for _, one in ipairs(cjson.decode(body).data.result) do
    for name, value in pairs(one.metric) do
      if series.metric[name] ~= value then goto other end
    end
    for name in pairs(series.metric) do
      if one.metric[name] == nil then goto other end
    end
    found = one.values
    ::other::
  end
  assert.equal(#expected, #found, expression)
  for i, sample in ipairs(expected) do
    local pair = found[i]
    if math.floor(pair[1] * 1000 + 0.5) ~= sample[1] or not same_value(pair[2], sample[3]) then
      error(("%s: sample %d is %s %s, expected %d %s"):format(expression, i, pair[1], pair[2],
        sample[1], sample[3]))
    end
  end
  return #expected
end

describe("a folder of Prometheus 1.x over HTTP", function()
  for _, name in ipairs { "clean-delta", "clean-doubledelta", "clean-varbit", "mixed-encodings",
    "archived", "collisions", "wide", "heads-v1", "heads-v2-offset" } do
    it("gives every sample of " .. name, function()
      local folder = process.folder()
      finally(function() process.remove(folder) end)
      assert.equal(0, os.execute(("tar xzf spec/data/prom1x/%s.tar.gz -C %s"):format(name, folder)))
      local port = process.free_port()
      local server = process.start({ build .. "/tidemark", "serve", "--retention", "forever",
        "--data", folder .. "/" .. name, "--listen", "127.0.0.1:" .. port }, folder .. "/log")
      finally(function()
        server:kill()
        process.remove(folder)
      end)
      process.wait_for("the server", 30, function()
        return select(2, http.request(("http://127.0.0.1:%d/-/ready"):format(port))) == 200
      end)
      local expected = tide.vectors("prom1x/" .. name .. ".expected.json")
      local samples = 0
      for _, series in ipairs(expected.series) do
        samples = samples + check_series(port, series)
      end
      assert.is_true(samples > 1000)
      assert.equal(0, server:stop())
    end)
  end

  for _, name in ipairs { "wrong-version", "garbage-version", "no-version", "bad-mappings" } do
    it("is refused with one line when it is " .. name, function()
      local folder = process.folder()
      finally(function() process.remove(folder) end)
      assert.equal(0, os.execute(("tar xzf spec/data/prom1x/%s.tar.gz -C %s"):format(name, folder)))
      local server = process.start({ build .. "/tidemark", "serve", "--log-level", "error",
        "--data", folder .. "/" .. name, "--listen", "127.0.0.1:0" }, folder .. "/log")
      process.wait_for("the refusal", 20, function() return server:status() end)
      assert.equal(1, server:status())
      assert.matches("^tidemark: [^\n]+\n$", server:output())
    end)
  end
end)
