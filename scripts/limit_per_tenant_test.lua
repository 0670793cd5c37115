scripts "limit_per_tenant"

-- The quotas of the script are large: here it is looked at who counts where.

test("a tenant that may have more is not counted with the others", function()
  push('up{tenant="search"}', 1)
  push('up{tenant="web"}', 1)
  local bounds = {}
  for _, quota in ipairs(tide.server.quotas(10)) do
    if quota.series_bound then
      bounds[quota.rule .. " " .. tostring(quota.labels.tenant)] = quota.series_bound
    end
  end
  expect.equal({ ["quota of search search"] = 400000, ["quota per tenant web"] = 100000 }, bounds)
end)

test("who pushes too much at once is told to come again later", function()
  -- 50,000 a second, ten seconds' worth at once.
  local stored, refused, last = samples('load{tenant="web"}',
    { from = tide.now() - 600, every = "1ms", value = 1 })
  expect.near(500000, stored, 1)
  expect.equal("rate_limit", last.reason)
  expect.equal(600001, stored + refused)
  expect.truthy(push('load{tenant="db"}', 1).stored, "others are not held back")
  advance "1s"
  expect.truthy(push('load{tenant="web"}', 1).stored, "a second later there is room again")
  expect.contains("rate per tenant: web has", logged()[1].text)
end)
