scripts "alert_targets"

test("a target that is down is told of after two minutes, and when it is back", function()
  local down = feed('up{job="web", instance="a"}', { every = "15s", value = 0 })
  feed('up{job="web", instance="b"}', { every = "15s", value = 1 })
  advance "1m"
  expect.equal("pending", alerts()[1].state)
  expect.equal(0, #told())
  advance "2m"
  local alert = alerts()[1]
  expect.equal("firing", alert.state)
  expect.equal({ alertname = "TargetDown", instance = "a", job = "web", severity = "page" },
    alert.labels)
  expect.equal("a of web is down", told()[1].annotations.summary)

  down.stop()
  feed('up{job="web", instance="a"}', { every = "15s", value = 1 })
  advance "1m"
  expect.equal({}, alerts())
  expect.equal("resolved", told()[#told()].status)
end)

test("a target that is down for a minute only is not told of", function()
  local down = feed('up{job="web", instance="a"}', { every = "15s", value = 0 })
  advance "1m"
  down.stop()
  feed('up{job="web", instance="a"}', { every = "15s", value = 1 })
  advance "10m"
  expect.equal({}, told())
end)

test("a disk that will be full within a day is told of with what will be missing", function()
  local begin, full_in = tide.now(), tide.hours(20)
  feed('node_filesystem_avail_bytes{instance="a", mountpoint="/var"}', { every = "1m",
    value = function(time) return (1 - (time - begin) / full_in) * 100 * 2 ^ 30 end })
  advance "1h"
  local ticket = told()[1]
  expect.equal("ticket", ticket.labels.severity)
  expect.equal("/var of a will be full within a day", ticket.annotations.summary)
  -- A tenth of it goes in two hours; what is predicted is a day away.
  expect.near(21, tonumber((ticket.annotations.missing:sub(1, -#" GiB" - 1))), 1)
end)
