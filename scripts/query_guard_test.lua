scripts "query_guard"

local function range(hours, query)
  return shape { kind = "query_range", query = query or "rate(up[5m])", step = 1,
    from = tide.now() - tide.hours(hours), to = tide.now() }
end

test("the longer a query's range is, the longer are its steps", function()
  expect.equal({ 1, 300, 3600 }, { range(1).step, range(8 * 24).step, range(91 * 24).step })
end)

test("no query takes all of the server", function()
  local read = range(1)
  expect.equal({ 30, 10e6 }, { read.timeout, read.max_samples })
end)

test("three subqueries are too many", function()
  local part = "max_over_time(up[10m:1m])"
  expect.truthy(range(1, part .. " + " .. part))
  local read, status, text = range(1, part .. " + " .. part .. " + " .. part)
  expect.equal(nil, read)
  expect.equal(422, status)
  expect.contains("more than two subqueries", text)
end)
