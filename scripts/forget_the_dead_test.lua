scripts "forget_the_dead"
retention "400d"

test("what got no sample for a month is kept for two, the living stay", function()
  local begin = tide.now()
  feed('up{job="alive"}', { every = "1h" })
  local dead = feed('up{job="dead"}', { every = "1h" })
  local function lost(job) return series('up{job="' .. job .. '"}')[1].first - begin end
  advance "50d"
  dead.stop()
  advance "25d" -- is not dead yet
  expect.equal({ 0, 0 }, { lost "dead", lost "alive" })
  advance "7d" -- is, and what is older than two months goes
  expect.near(tide.days(20), lost "dead", tide.days(10))
  expect.equal(0, lost "alive")
  advance "30d"
  expect.equal(1, #series "up")
end)
