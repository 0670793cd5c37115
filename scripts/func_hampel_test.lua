scripts "func_hampel"

test("a fault of measurement is left out, a change is not", function()
  local faults = { [55] = 900 }
  local begin = tide.now() - 3600
  samples("room_celsius", { from = begin, every = "1m", value = function(time)
    local minute = (time - begin) / 60
    return faults[minute] or 20 + minute % 3 / 10
  end })
  local function at(minute)
    return values("hampel_over_time(room_celsius[30m], 3)", { time = begin + minute * 60 })["{}"]
  end
  expect.near(20.1, at(55), 0.001)
  expect.near(20, at(54), 0.001)
  expect.near(20.2, at(56), 0.001)
end)
