scripts "retention_by_team"
retention "90d"

test("the lab keeps a week, and nobody else's series go with it", function()
  feed('requests_total{team="lab"}', { every = "10m" })
  feed('requests_total{team="web"}', { every = "10m" })
  advance "14d"
  -- Chunks go as a whole: a little more than a week is there, and nothing of the first days.
  local lab = series('requests_total{team="lab"}')[1]
  expect.near(tide.days(7), tide.ago(lab.first), tide.days(2))
  expect.near(tide.days(14), tide.ago(series('requests_total{team="web"}')[1].first), 60)
end)

test("payments keep more than a year, after nobody pushes any more", function()
  samples('requests_total{team="payments"}', { from = "2h" })
  samples('requests_total{team="web"}', { from = "2h" })
  samples('requests_total{team="sales"}', { from = "2h" })
  advance "89d"
  expect.equal(3, #series "requests_total")
  advance "3d"
  expect.equal(1, #series "requests_total")
  advance "307d"
  expect.equal(1, #series 'requests_total{team="payments"}')
  advance "3d"
  expect.equal(0, #series "requests_total")
end)

test("a team that asked for nothing has what is configured", function()
  local steps = tide.server.trace('{__name__="up", team="sales"}')
  expect.equal("by team", steps[1].title)
  expect.equal("has no opinion", steps[1].verdict)
end)
