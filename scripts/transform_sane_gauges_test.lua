scripts "transform_sane_gauges"

test("sensors have a tenth of a degree every ten seconds", function()
  local stored, refused, last = samples("room_celsius", { from = tide.now() - 60, every = "1s",
    value = 21.487265 })
  expect.equal({ 7, 54, "policy" }, { stored, refused, last.reason })
  expect.equal({ room_celsius = 21.5 }, values "room_celsius")
  expect.equal("policy", push("room_celsius", 0 / 0, tide.now() + 10).reason)
end)

test("ratios, percent and milliseconds become what they should be", function()
  push("disk_ratio", 1.2)
  push("disk_percent", 87)
  push('latency_ms{job="legacy"}', 250)
  push('latency_ms{job="web"}', 250)
  expect.equal({ disk_ratio = 1, disk_percent = 0.87, ['latency_ms{job="legacy"}'] = 0.25,
    ['latency_ms{job="web"}'] = 250 }, values '{__name__=~".+"}')
end)
