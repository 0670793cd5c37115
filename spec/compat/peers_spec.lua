-- Real neighbours: what they push is found to the last sample, what they read is what is stored.
-- The counts go into docs/protocols.md (make protocols).
local cjson = require "cjson"
local peers = require "spec.peers.peers"
local process = require "spec.support.process"

local function missing(...)
  for _, name in ipairs { ... } do
    if not peers.find(name) then
      pending(name .. " is not there: make peers")
      return true
    end
  end
end

local function missing_package(name)
  if peers.has_package(name) then return false end
  pending("the npm package " .. name .. " is not there: make peers")
  return true
end

local function no_problems(peer)
  assert.is_nil(peer:output():match("level=error[^\n]*"))
  assert.is_nil(peer:output():match("level=warn[^\n]*remote[^\n]*"))
end

describe("neighbours", function()
  local folder, tidemark, port

  before_each(function()
    folder = process.folder()
    tidemark, port = peers.tidemark(folder)
  end)
  after_each(function()
    tidemark:kill()
    process.remove(folder)
  end)
  teardown(function() peers.write_table("docs/protocols.md") end)

  it("take a real exporter's output pushed with curl", function()
    if missing "prometheus-node-exporter" then return end
    local exporter_port = process.free_port()
    local exporter = process.start({ peers.find("prometheus-node-exporter"),
      "--web.listen-address=127.0.0.1:" .. exporter_port }, folder .. "/exporter.log")
    finally(function() exporter:kill() end)
    peers.wait_ready(exporter_port, "/metrics")
    local page = folder .. "/page"
    local _, status = peers.curl(("-o %s http://127.0.0.1:%d/metrics"):format(page, exporter_port))
    assert.equal(200, status)
    local lines = 0
    for line in io.lines(page) do
      if line:match("^[^#]") then lines = lines + 1 end
    end
    assert.is_true(lines > 200)
    local body, answer = peers.curl(
      ("--data-binary @%s http://127.0.0.1:%d/api/v1/import/prometheus"):format(page, port))
    assert.equal(204, answer, body)
    peers.row("text 0.0.4", "curl", "node exporter's page", lines,
      peers.number(port, 'count({__name__=~".+"})'))
  end)

  local SELECTOR = '{job=~"self|other"}'

  -- A Prometheus that scrapes us twice and writes all of it here.
  local function start_writer()
    return peers.prometheus(folder, ([[
global: {scrape_interval: 500ms}
scrape_configs:
  - {job_name: self, static_configs: [{targets: ['127.0.0.1:%d']}]}
  - {job_name: other, static_configs: [{targets: ['127.0.0.1:%d']}]}
remote_write:
  - {url: 'http://127.0.0.1:%d/api/v1/write', queue_config: {batch_send_deadline: 500ms}}
]]):format(port, port, port), "--web.enable-admin-api")
  end

  -- The same by remote read, in streamed chunks.
  local function check_reader(theirs, sent, at)
    local reader, reader_port = peers.prometheus(folder, ([[
remote_read: [{url: 'http://127.0.0.1:%d/api/v1/read', read_recent: true}]
]]):format(port))
    local read, count = peers.samples(reader_port, SELECTOR .. "[30s]", at)
    -- Series of many chunks, with gaps and values of all kinds.
    local lines = {}
    for i = 1, 9000 do
      lines[i] = ('long{s="%d"} %.17g %d\n'):format(i % 3, i % 7 == 0 and 1 / i or i % 50,
        (at - 3000) * 1000 + math.floor(i / 3) * 900 + (i % 11) * 7)
    end
    peers.write_file(folder .. "/long", table.concat(lines))
    assert.equal(204, select(2, peers.curl(("--data-binary @%s/long http://127.0.0.1:%d" ..
      "/api/v1/import/prometheus"):format(folder, port))))
    local long, long_count = peers.samples(port, "long[1h]", at)
    assert.equal(9000, long_count)
    assert.same(long, (peers.samples(reader_port, "long[1h]", at)))
    reader:kill()
    no_problems(reader)
    assert.same(theirs, read)
    peers.row("remote read, streamed chunks", "Prometheus 2.42", "the same samples", sent, count)
  end

  -- What Prometheus has on disk, moved into an empty server by vmctl.
  local function check_vmctl(writer_port)
    local body, status = peers.curl(
      ("-X POST http://127.0.0.1:%d/api/v1/admin/tsdb/snapshot"):format(writer_port))
    assert.equal(200, status, body)
    local snapshot = ("%s/prometheus-%d/snapshots/%s"):format(folder, writer_port,
      cjson.decode(body).data.name)
    local empty, empty_port = peers.tidemark(folder)
    local output = peers.run(("script -qec '%s prometheus --prom-snapshot=%s -s " .. -- wants a tty
      "--vm-disable-progress-bar --vm-addr=http://127.0.0.1:%d' /dev/null"):format(
      peers.find("vmctl"), snapshot, empty_port))
    local sent = tonumber(output:match("total samples: (%d+)"))
    local found = peers.number(empty_port, 'sum(count_over_time({__name__=~".+"}[1h]))')
    empty:kill()
    assert.truthy(sent, output)
    peers.row("JSON lines", "vmctl 1.79", "a snapshot of Prometheus", sent, found)
  end

  -- By federation: the newest of each series, with its own time.
  local function check_federator()
    local newest = math.floor(peers.number(port, "max(timestamp(up))")) + 1
    local expected, alive = peers.samples(port, SELECTOR, newest)
    local federator, federator_port = peers.prometheus(folder, ([[
global: {scrape_interval: 500ms}
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: {'match[]': ['{job=~"self|other"}']}
    static_configs: [{targets: ['127.0.0.1:%d']}]
]]):format(port))
    finally(function() federator:kill() end)
    process.wait_for("a federation", 20, function()
      return select(2, peers.samples(federator_port, SELECTOR, newest)) >= alive
    end)
    local federated, got = peers.samples(federator_port, SELECTOR, newest)
    assert.same(expected, federated)
    no_problems(federator)
    peers.row("federation", "Prometheus 2.42", "newest samples", alive, got)
  end

  it("write, read and federate as Prometheus, with equal results, and move by vmctl", function()
    if missing("prometheus", "vmctl") then return end
    local writer, writer_port = start_writer()
    local theirs, ours, sent, found
    local ok, problem = pcall(function()
      -- Until enough is there; then what was scraped up to a moment must be here too.
      process.wait_for("some scrapes", 30, function()
        return peers.number(writer_port, 'count_over_time(up{job="self"}[1m])') >= 12
      end)
      local at = os.time() - 1
      theirs, sent = peers.samples(writer_port, SELECTOR .. "[30s]", at)
      assert.is_true(sent > 1000)
      process.wait_for("the last samples", 20, function()
        return select(2, peers.samples(port, SELECTOR .. "[30s]", at)) >= sent
      end)
      ours, found = peers.samples(port, SELECTOR .. "[30s]", at)
      assert.same(theirs, ours)
      peers.row("remote write 1.0", "Prometheus 2.42", "samples of two targets", sent, found)
      check_reader(theirs, sent, at)
      check_vmctl(writer_port)
    end)
    writer:stop()
    if not ok then error(problem, 0) end
    no_problems(writer)
    check_federator()
    assert.equal(0, tidemark:stop())
  end)

  it("forward as vmagent, by remote write", function()
    if missing "vmagent" then return end
    local agent_port = process.free_port()
    local agent = process.start({ peers.find("vmagent"), "-httpListenAddr=127.0.0.1:" .. agent_port,
      "-remoteWrite.url=http://127.0.0.1:" .. port .. "/api/v1/write",
      "-remoteWrite.tmpDataPath=" .. folder .. "/agent", "-remoteWrite.flushInterval=200ms" },
      folder .. "/agent.log")
    finally(function() agent:kill() end)
    peers.wait_ready(agent_port, "/health")
    local now, lines = os.time() * 1000, {}
    for i = 1, 5000 do
      lines[i] = ('forwarded{i="%d"} %d %d\n'):format(i % 100, i, now - 5000 + i)
    end
    peers.write_file(folder .. "/lines", table.concat(lines))
    local body, status = peers.curl(("--data-binary @%s/lines http://127.0.0.1:%d" ..
      "/api/v1/import/prometheus"):format(folder, agent_port))
    assert.equal(204, status, body)
    local function found() return peers.number(port, "sum(count_over_time(forwarded[1h]))") end
    process.wait_for("what was forwarded", 20, function() return found() >= #lines end)
    peers.row("remote write 1.0", "vmagent 1.79", "text that it forwards", #lines, found())
  end)

  it("send lines as collectd", function()
    if missing "collectd" then return end
    local graphite = process.free_port()
    local one, one_port = peers.tidemark(folder, "--set",
      "push.graphite_listen=127.0.0.1:" .. graphite)
    local root = "build/peers/usr"
    peers.write_file(folder .. "/collectd.conf", ([[
Hostname "box"
FQDNLookup false
BaseDir "%s"
PIDFile "%s/collectd.pid"
PluginDir "%s/lib/collectd"
TypesDB "%s/share/collectd/types.db"
Interval 1
LoadPlugin cpu
LoadPlugin load
LoadPlugin memory
LoadPlugin uptime
LoadPlugin write_graphite
LoadPlugin csv
<Plugin csv>
  DataDir "%s/csv"
  StoreRates true
</Plugin>
<Plugin write_graphite>
  <Node "tidemark">
    Host "127.0.0.1"
    Port "%d"
    Protocol "tcp"
    StoreRates true
    LogSendErrors true
  </Node>
</Plugin>
]]):format(folder, folder, root, root, folder, graphite))
    local collectd = process.start({ "env", "LD_LIBRARY_PATH=" .. root .. "/lib/x86_64-linux-gnu",
      peers.find("collectd"), "-f", "-C", folder .. "/collectd.conf" }, folder .. "/collectd.log")
    finally(function() collectd:kill() one:kill() end)
    -- Its own files say what it sent: a line a time, a number for each data source. Rates that it
    -- does not know yet are NaN there and are not stored here.
    local function sent()
      local output = peers.run("find " .. folder .. "/csv -type f -exec cat {} + 2>/dev/null")
      local count = 0
      for line in output:gmatch("[^\n]+") do
        if line:match("^%d") then
          for value in line:gmatch(",([^,]+)") do
            if not value:find("nan") then count = count + 1 end
          end
        end
      end
      return count
    end
    process.wait_for("collectd's values", 30, function() return sent() > 100 end)
    assert.equal(0, collectd:stop())
    local expected = sent()
    local function found()
      return peers.number(one_port, 'sum(count_over_time({__name__=~"box[.].*"}[1h]))')
    end
    process.wait_for("its last lines", 20, function() return found() >= expected end)
    peers.row("Graphite lines", "collectd 5.12", "cpu, load, memory, uptime", expected, found())
  end)

  it("push as prom-client, to the paths of a Pushgateway", function()
    if missing_package "prom-client" then return end
    local url = "http://127.0.0.1:" .. port
    local pushed = peers.node("prom_client", url, "push")
    assert.equal(200, pushed.status)
    local all = 'count({job="node job",instance="a/b",__name__!~"push_.*"})'
    peers.row("Pushgateway", "prom-client 15.1", "push (PUT)", pushed.sent, peers.number(port, all))
    assert.equal(20, peers.number(port, 'count(visits_total{job="node job"})'))
    assert.equal("-21.5", peers.query(port, "heat")[1].value[2])
    assert.equal("19.5", peers.query(port, 'visits_total{path="/19\\"\\\\"}')[1].value[2])
    assert.equal(200, peers.node("prom_client", url, "pushAdd").status)
    assert.equal(202, peers.node("prom_client", url, "delete").status)
    assert.equal(0, peers.number(port, all))
  end)

  it("write as InfluxDB's client", function()
    if missing_package "@influxdata/influxdb-client" then return end
    local told = peers.node("influx", "http://127.0.0.1:" .. port, "5000")
    peers.row("Influx lines, version 2", "@influxdata/influxdb-client 1.35", "gzipped points",
      told.sent, peers.number(port, 'sum(count_over_time({site="north sea",db="bucket"}[1h]))'))
    assert.equal(5000, peers.number(port,
      'sum(count_over_time(machine___odd_{site="north sea"}[1h]))'))
  end)

  for form, case in pairs { protobuf = { "proto", "cart" }, JSON = { "http", "till" } } do
    it("export as OpenTelemetry's client, in " .. form, function()
      local package, job = "@opentelemetry/exporter-metrics-otlp-" .. case[1], "shop/" .. case[2]
      if missing_package(package) then return end
      local url = "http://127.0.0.1:" .. port .. "/v1/metrics"
      local told = peers.node("otlp", url, case[2], case[1])
      peers.row("OTLP, " .. form, package .. " 0.57", "one of each instrument", told.sent,
        peers.number(port, ('sum(count_over_time({job="%s",instance="i-1"}[1h]))'):format(job)))
      local function value(name, rest)
        return peers.query(port, ('%s{job="%s"%s}'):format(name, job, rest or ""))[1]
      end
      assert.equal("10", value("http_requests_total", ',http_route="/1"').value[2])
      assert.equal("0", value("queue_length").value[2])
      assert.equal("3", value("took_seconds_bucket", ',le="1"').value[2])
      assert.equal("217.5", value("took_seconds_sum").value[2])
      assert.equal("1024.5", value("memory_used_bytes", ',kind="heap"').value[2])
      assert.equal("h", value("target_info").metric.host_name)
    end)
  end

  it("ask as promtool, which finds our own metrics clean", function()
    if missing "promtool" then return end
    local promtool, url = peers.find("promtool"), "http://127.0.0.1:" .. port
    local now, lines = os.time(), {}
    for i = 1, 50 do lines[i] = ('asked{i="%d"} %d %d\n'):format(i, i, (now - 1) * 1000) end
    peers.write_file(folder .. "/lines", table.concat(lines))
    assert.equal(204, select(2, peers.curl(("--data-binary @%s/lines %s/api/v1/import/prometheus")
      :format(folder, url))))
    local function count(command)
      local output, status = peers.run(promtool .. " " .. command)
      assert.equal(0, status, output)
      return select(2, output:gsub("[^\n]+", ""))
    end
    peers.row("query API", "promtool 2.42", "query instant", 50,
      count(("query instant %s 'asked * 2'"):format(url)))
    peers.row("query API", "promtool 2.42", "query series", 50,
      count(("query series --match=asked %s"):format(url)))
    peers.row("query API", "promtool 2.42", "query labels", 50, count(("query labels %s i")
      :format(url)))
    local output, status = peers.run(("curl -s %s/metrics | %s check metrics"):format(url,
      promtool))
    assert.equal("", output)
    assert.equal(0, status)
  end)
end)
