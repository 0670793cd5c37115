scripts "downsample_by_age"
retention "90d"

test("a month later one sample is left of five minutes, and the increase is the same", function()
  local begin = tide.now()
  -- Two a second, until it starts anew after half a day.
  local function count(time) return 2 * ((time - begin) % tide.hours(12)) end
  local counter = feed("requests_total", { every = "1m", value = count })
  local gauge = feed("room_celsius", { every = "1m" })
  advance "1d"
  counter.stop()
  gauge.stop()
  local function samples_of(name)
    return #query(name .. "[1d]", { time = begin + 86400 })[1].values
  end
  local function increase()
    return values("increase(requests_total[20h])", { time = begin + tide.hours(22) })["{}"]
  end
  expect.equal(1440, samples_of "requests_total")
  local before = increase()
  expect.near(2 * tide.hours(20), before, 200)

  advance "40d"
  -- One more where it started anew, and where chunks meet.
  expect.near(288, samples_of "requests_total", 10)
  expect.near(288, samples_of "room_celsius", 10)
  expect.near(before, increase(), before / 100)
end)
