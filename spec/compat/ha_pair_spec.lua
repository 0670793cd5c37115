-- Two Prometheus servers that watch the same targets and send the same series here, each in several
-- shards: much of what one sends comes late, and not one sample is refused or lost.
local peers = require "spec.peers.peers"
local process = require "spec.support.process"

local SELECTOR = '{job=~"self|other"}'

-- One of the pair; only its scrapes' times tell it from the other. With the same interval both
-- would scrape in the same millisecond (the phase comes from the target), and all of one be the
-- other's. `deadline` is how long a sample may wait in its queue: the slower one's come late.
local function start(folder, port, interval, deadline)
  return peers.prometheus(folder, ([[
global: {scrape_interval: %dms}
scrape_configs:
  - {job_name: self, static_configs: [{targets: ['127.0.0.1:%d']}]}
  - {job_name: other, static_configs: [{targets: ['127.0.0.1:%d']}]}
remote_write:
  - url: 'http://127.0.0.1:%d/api/v1/write'
    queue_config:
      {min_shards: 4, max_shards: 6, max_samples_per_send: 500, batch_send_deadline: %s}
]]):format(interval, port, port, port, deadline))
end

-- All samples of both, by series and time.
local function add_samples(all, found)
  local count = 0
  for name, text in pairs(found) do
    all[name] = all[name] or {}
    for time, value in text:gmatch("(%S+) (%S+)") do
      if not all[name][time] then count = count + 1 end
      all[name][time] = all[name][time] or {}
      all[name][time][value] = true
    end
  end
  return count
end

describe("two Prometheus servers with the same series", function()
  it("are stored side by side: nothing is refused, nothing is missing", function()
    if not peers.find("prometheus") then return pending("prometheus is not there: make peers") end
    local folder = process.folder()
    local tidemark, port = peers.tidemark(folder)
    local pair = {}
    finally(function()
      for _, one in ipairs(pair) do one.process:kill() end
      tidemark:kill()
      process.remove(folder)
    end)
    for i = 1, 2 do
      local one, its_port = start(folder, port, 290 + i * 10, i == 1 and "100ms" or "1s")
      pair[i] = { process = one, port = its_port }
    end
    process.wait_for("scrapes of both", 40, function()
      return peers.number(pair[1].port, 'count_over_time(up{job="self"}[1m])') >= 15 and
        peers.number(pair[2].port, 'count_over_time(up{job="self"}[1m])') >= 15
    end)
    local at = os.time() - 1
    local all, sent = {}, 0
    for _, one in ipairs(pair) do
      sent = sent + add_samples(all, (peers.samples(one.port, SELECTOR .. "[30s]", at)))
    end
    process.wait_for("the last samples", 20, function()
      return select(2, peers.samples(port, SELECTOR .. "[30s]", at)) >= sent
    end)
    local ours, count = peers.samples(port, SELECTOR .. "[30s]", at)
    assert.is_true(sent > 2000)
    assert.equal(sent, count)
    for name, text in pairs(ours) do
      for time, value in text:gmatch("(%S+) (%S+)") do
        assert.is_true(all[name] and all[name][time] and all[name][time][value], name)
      end
    end
    for _, one in ipairs(pair) do
      one.process:stop()
      assert.is_nil(one.process:output():match("level=error[^\n]*"))
      assert.is_nil(one.process:output():match("level=warn[^\n]*remote[^\n]*"))
    end
    local page = peers.curl(("http://127.0.0.1:%d/metrics"):format(port))
    assert.is_true(tonumber(page:match("\ntidemark_late_samples_total (%S+)")) > sent / 10)
    local refusals = '\ntidemark_[%w_]*refused[%w_]*{[^}]*reason="([%w_]+)"[^}]*} (%S+)'
    for reason, refused in page:gmatch(refusals) do
      assert.equal("0", refused, reason)
    end
    assert.equal(0, tidemark:stop())
  end)
end)
