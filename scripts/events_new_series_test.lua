scripts "events_new_series"

test("a job that makes many series is counted and told of", function()
  for i = 1, 1001 do push('up{job="web", instance="' .. i .. '"}', 1) end
  push('up{job="db"}', 1)
  advance "10m"
  expect.equal({ ['job:series_created:10m{job="web"}'] = 1001,
    ['job:series_created:10m{job="db"}'] = 1 }, values "job:series_created:10m")
  expect.equal(1, #logged())
  expect.equal("web made 1001 series in ten minutes", logged()[1].text)
  advance "10m"
  expect.equal(0, values "job:series_created:10m" ['job:series_created:10m{job="web"}'])
end)
