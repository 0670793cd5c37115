-- Real neighbours: Debian's node exporter pushed with curl, and a Prometheus 2.42 that writes here
-- and is then asked the same questions.
local cjson = require "cjson"
local process = require "spec.support.process"

local build = os.getenv("BUILD") or "build"

local function installed(program)
  return os.execute("command -v " .. program .. " >/dev/null") == 0
end

local function write_file(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

-- Runs curl; returns the body and the status.
local function curl(arguments)
  local pipe = io.popen("curl -s -w '\\n%{http_code}' " .. arguments)
  local text = pipe:read("*a")
  pipe:close()
  local body, status = text:match("^(.*)\n(%d+)$")
  return body, tonumber(status)
end

local function ready(port, path)
  process.wait_for("port " .. port, 30, function()
    return select(2, curl(("http://127.0.0.1:%d%s"):format(port, path))) == 200
  end)
end

local function query(port, expression, time)
  local body, status = curl(
    ("--data-urlencode 'query=%s' %s http://127.0.0.1:%d/api/v1/query"):format(expression,
      time and "--data-urlencode time=" .. time or "", port))
  assert.equal(200, status, body)
  return cjson.decode(body).data.result
end

-- {metric text -> {time -> value text}} of a range selector, comparable among servers.
local function samples(port, selector, time)
  local found, count = {}, 0
  for _, series in ipairs(query(port, selector, time)) do
    local names = {}
    for name, value in pairs(series.metric) do names[#names + 1] = name .. "=" .. value end
    table.sort(names)
    local values = {}
    for _, pair in ipairs(series.values) do
      values[#values + 1] = ("%.3f %s"):format(pair[1], pair[2])
      count = count + 1
    end
    found[table.concat(names, ",")] = table.concat(values, "\n")
  end
  return found, count
end

describe("neighbours", function()
  local folder, tidemark, port, data

  local function start()
    tidemark = process.start({ build .. "/tidemark", "serve", "--data", data, "--listen",
      "127.0.0.1:" .. port }, folder .. "/tidemark.log")
    ready(port, "/-/ready")
  end

  before_each(function()
    folder = process.folder()
    data, port = folder .. "/data", process.free_port()
    start()
  end)

  after_each(function()
    tidemark:kill()
    process.remove(folder)
  end)

  it("take a real exporter's output pushed with curl", function()
    if not installed("prometheus-node-exporter") then
      return pending("prometheus-node-exporter is not installed")
    end
    local exporter_port = process.free_port()
    local exporter = process.start({ "prometheus-node-exporter",
      "--web.listen-address=127.0.0.1:" .. exporter_port }, folder .. "/exporter.log")
    finally(function() exporter:kill() end)
    ready(exporter_port, "/metrics")
    local page = folder .. "/page"
    local _, status = curl(("-o %s http://127.0.0.1:%d/metrics"):format(page, exporter_port))
    assert.equal(200, status)
    local lines = 0
    for line in io.lines(page) do
      if line:match("^[^#]") then lines = lines + 1 end
    end
    assert.is_true(lines > 200)
    local body, answer = curl(
      ("--data-binary @%s http://127.0.0.1:%d/api/v1/import/prometheus"):format(page, port))
    assert.equal(204, answer, body)
    local stored = 0
    for _, series in ipairs(query(port, '{__name__=~".+"}')) do
      stored = stored + 1
      assert.is_string(series.value[2])
    end
    assert.equal(lines, stored)
  end)

  it("write by remote_write without an error, and give the same answers", function()
    if not installed("prometheus") then return pending("prometheus is not installed") end
    local seconds = os.getenv("LONG") == "1" and 240 or 25
    local peer_port, exporter_port = process.free_port(), process.free_port()
    local targets = ("'127.0.0.1:%d'"):format(peer_port)
    if installed("prometheus-node-exporter") then
      local exporter = process.start({ "prometheus-node-exporter",
        "--web.listen-address=127.0.0.1:" .. exporter_port }, folder .. "/exporter.log")
      finally(function() exporter:kill() end)
      targets = targets .. (", '127.0.0.1:%d'"):format(exporter_port)
    end
    write_file(folder .. "/prometheus.yml", ([[
global: {scrape_interval: 1s}
scrape_configs:
  - {job_name: self, static_configs: [{targets: [%s]}]}
remote_write:
  - {url: 'http://127.0.0.1:%d/api/v1/write', queue_config: {batch_send_deadline: 1s}}
]]):format(targets, port))
    local peer = process.start({ "prometheus", "--config.file=" .. folder .. "/prometheus.yml",
      "--storage.tsdb.path=" .. folder .. "/peer", "--web.listen-address=127.0.0.1:" .. peer_port },
      folder .. "/peer.log")
    finally(function() peer:kill() end)
    ready(peer_port, "/-/ready")

    -- Long enough, then until what the peer has sent at a common instant is here too.
    local begun = os.time()
    process.wait_for("time to pass", seconds + 10, function()
      return os.time() - begun >= seconds
    end)
    local at = os.time() - 5
    local selector = ('{job="self"}[%ds]'):format(seconds - 10)
    local theirs, count = samples(peer_port, selector, at)
    assert.is_true(count > 1000)
    process.wait_for("the last samples", 20, function()
      return select(2, samples(port, selector, at)) >= count
    end)
    assert.same(theirs, (samples(port, selector, at)))
    assert.is_nil(peer:output():match("level=error[^\n]*"))
    assert.is_nil(peer:output():match("level=warn[^\n]*remote[^\n]*"))

    peer:stop()
    assert.equal(0, tidemark:stop())
    start()
    assert.same(theirs, (samples(port, selector, at)))
  end)
end)
