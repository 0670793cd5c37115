-- The ways from other servers that docs/migration.md names: what a real Prometheus and a real
-- VictoriaMetrics hold is found here afterwards, to the last sample.
local peers = require "spec.peers.peers"
local process = require "spec.support.process"

local build = os.getenv("BUILD") or "build"

describe("a migration", function()
  local folder, tidemark, port
  local now = math.floor(os.time() / 60) * 60

  before_each(function()
    folder = process.folder()
    tidemark, port = peers.tidemark(folder, "--set", "storage.retention=forever")
  end)
  after_each(function()
    tidemark:kill()
    process.remove(folder)
  end)

  local function is_missing(name)
    if peers.find(name) then return false end
    pending(name .. " is not there: make peers")
    return true
  end

  local SERIES, SAMPLES = 12, 1440

  -- A day of samples with values that are not whole, and gaps.
  local function openmetrics()
    local lines = { "# TYPE work_seconds_total counter" }
    for s = 1, SERIES do
      local value = 0
      for i = 1, SAMPLES do
        value = value + (s * 7 + i * 13) % 97 / 7
        lines[#lines + 1] = ('work_seconds_total{instance="h%d",mode="%s"} %.17g %d'):format(s,
          s % 2 == 0 and "user" or "idle", value, now - 90000 + i * 60 - (i > 500 and 0 or 600))
      end
    end
    lines[#lines + 1] = "# EOF\n"
    return table.concat(lines, "\n")
  end

  -- A Prometheus with that day in blocks.
  local function prometheus()
    peers.write_file(folder .. "/day", openmetrics())
    local promtool, tsdb = peers.find("promtool"), folder .. "/blocks"
    local output, status = peers.run(("%s tsdb create-blocks-from openmetrics %s/day %s"):format(
      promtool, folder, tsdb))
    assert.equal(0, status, output)
    local old, old_port = peers.prometheus_over(tsdb, folder, "global: {}",
      "--storage.tsdb.retention.time=90d")
    finally(function() old:kill() end)
    return old_port, tsdb
  end

  local function import(arguments)
    return peers.run(("%s/tidemark import --url http://127.0.0.1:%d %s"):format(build, port,
      arguments))
  end

  local function expect_all(old_port, selector)
    local theirs, count = peers.samples(old_port, selector .. "[30h]", now)
    assert.is_true(count > 0)
    assert.same(theirs, (peers.samples(port, selector .. "[30h]", now)))
    return count
  end

  it("from Prometheus 2 by remote read brings everything", function()
    if is_missing("prometheus") then return end
    local old_port = prometheus()
    local output, status = import("--remote-read http://127.0.0.1:" .. old_port)
    assert.equal(0, status, output)
    assert.truthy(output:find(("read %d samples of %d series"):format(SERIES * SAMPLES, SERIES),
      1, true), output)
    assert.equal(SERIES * SAMPLES, expect_all(old_port, "work_seconds_total"))
    -- And again: repeats do no harm.
    assert.equal(0, select(2, import("--remote-read http://127.0.0.1:" .. old_port)))
    assert.equal(SERIES * SAMPLES, expect_all(old_port, "work_seconds_total"))
  end)

  it("from Prometheus 2 by remote read brings what is asked for", function()
    if is_missing("prometheus") then return end
    local old_port = prometheus()
    local output, status = import(("--remote-read http://127.0.0.1:%d/api/v1/read --start %d " ..
      "--end %d '{mode=\"user\"}' 'work_seconds_total{instance=~\"h1|h3\"}'"):format(old_port,
      now - 7200, now - 6000))
    assert.equal(0, status, output)
    local found, count = peers.samples(port, "work_seconds_total[30h]", now)
    local series = 0
    for _ in pairs(found) do series = series + 1 end
    assert.equal(SERIES / 2 + 2, series)
    assert.equal(21 * series, count)
  end)

  it("from Prometheus 2 by a dump of its folder brings everything", function()
    if is_missing("promtool") then return end
    local old_port, tsdb = prometheus()
    local output, status = import(("- < /dev/null; %s tsdb dump %s | %s/tidemark import " ..
      "--url http://127.0.0.1:%d --format text"):format(peers.find("promtool"), tsdb, build, port))
    assert.equal(0, status, output)
    assert.equal(SERIES * SAMPLES, expect_all(old_port, "work_seconds_total"))
  end)

  it("from VictoriaMetrics by its export brings everything", function()
    if is_missing("victoria-metrics") then return end
    local old_port = process.free_port()
    local old = process.start({ peers.find("victoria-metrics"), "-storageDataPath=" .. folder ..
      "/vm", "-httpListenAddr=127.0.0.1:" .. old_port, "-retentionPeriod=10y" },
      folder .. "/vm.log")
    finally(function() old:kill() end)
    peers.wait_ready(old_port, "/health")
    local text = openmetrics():gsub("# EOF\n", ""):gsub(" (%d+)\n", " %1000\n")
    peers.write_file(folder .. "/day", text)
    local body, answer = peers.curl(("--data-binary @%s/day http://127.0.0.1:%d" ..
      "/api/v1/import/prometheus"):format(folder, old_port))
    assert.equal(204, answer, body)
    peers.run(("curl -s http://127.0.0.1:%d/internal/force_flush"):format(old_port))
    local output, status = peers.run(("curl -s http://127.0.0.1:%d/api/v1/export -d " ..
      "'match[]={__name__!=\"\"}' | %s/tidemark import --url http://127.0.0.1:%d"):format(old_port,
      build, port))
    assert.equal(0, status, output)
    assert.equal(SERIES * SAMPLES, peers.number(port,
      "sum(count_over_time(work_seconds_total[30h]))", now))
    -- It keeps values as decimals, and adds them up in an order of its own.
    local theirs = peers.number(old_port, "sum(sum_over_time(work_seconds_total[30h]))", now)
    local ours = peers.number(port, "sum(sum_over_time(work_seconds_total[30h]))", now)
    assert.is_true(theirs > 0 and math.abs(ours / theirs - 1) < 1e-12)
  end)

  it("from another Tidemark by remote read brings everything, and says what is refused", function()
    local old, old_port = peers.tidemark(folder)
    finally(function() old:kill() end)
    local lines = {}
    for i = 1, 5000 do
      lines[i] = ('walk{n="%d"} %.17g %d000\n'):format(i % 3, i / 7, now - 6000 + i)
    end
    peers.write_file(folder .. "/walk", table.concat(lines))
    assert.equal(204, select(2, peers.curl(("--data-binary @%s/walk http://127.0.0.1:%d" ..
      "/api/v1/import/prometheus"):format(folder, old_port))))
    local output, status = import("--remote-read http://127.0.0.1:" .. old_port .. " walk")
    assert.equal(0, status, output)
    assert.equal(5000, expect_all(old_port, "walk"))
    output, status = import("--remote-read http://127.0.0.1:" .. old_port .. " 'walk{'")
    assert.same({ 2, true }, { status, output:find("parse error", 1, true) ~= nil })
    output, status = import("--remote-read http://127.0.0.1:" .. process.free_port())
    assert.same({ 1, true }, { status, output:find("onnect", 1, true) ~= nil })
    output, status = import("--remote-read http://127.0.0.1:" .. old_port .. "/nothing/read")
    assert.same({ 1, true }, { status, output:find("404", 1, true) ~= nil })
    output, status = import("--start 5")
    assert.same({ 2, true }, { status, output:find("belong to --remote-read", 1, true) ~= nil })
  end)
end)
