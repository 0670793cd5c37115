scripts "record_by_job"

test("what dashboards ask is computed every half minute", function()
  feed('up{job="web", instance="a"}', { every = "15s", value = 1 })
  feed('up{job="web", instance="b"}', { every = "15s", value = 0 })
  local begin = tide.now()
  for code, rate in pairs { ["200"] = 9, ["500"] = 1 } do
    feed('http_requests_total{job="web", code="' .. code .. '"}', { every = "15s",
      value = function(time) return (time - begin) * rate end })
  end
  advance "10m"
  expect.equal({ ['job:up:ratio{job="web"}'] = 0.5 }, values "job:up:ratio")
  expect.near(9, values 'job:requests:rate5m{code="200"}'
    ['job:requests:rate5m{code="200",job="web"}'], 0.001)
  expect.near(0.1, values "job:errors:share5m"
    ['job:errors:share5m{job="web",source="rule"}'], 0.001)
  expect.near(20, values "count_over_time(job:up:ratio[10m])" ['{job="web"}'], 1)
end)
