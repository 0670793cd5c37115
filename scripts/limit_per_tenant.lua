-- No tenant can fill the server: each has its share of series and of samples, and somebody is told
-- before it is used up.

local SERIES = 100000            -- of a tenant, in memory at once
local SAMPLES_PER_SECOND = 50000
local LARGE = { { tenant = "search", series = 400000 } } -- who may have more

-- A tenant with a quota of its own is not counted here.
local names = {}
for i, one in ipairs(LARGE) do
  names[i] = one.tenant
  tide.limit("quota of " .. one.tenant, {
    by = "tenant", match = '{tenant="' .. one.tenant .. '"}', series = one.series })
end

tide.limit("quota per tenant", {
  by = "tenant", match = '{tenant!~"' .. table.concat(names, "|") .. '"}', series = SERIES })

tide.limit("rate per tenant", { by = "tenant", samples_per_second = SAMPLES_PER_SECOND })

-- Before a quota is full (at 80 %, unless `soft` says otherwise): a line in the log, and a count
-- for an alert.
local warned = tide.metric.counter("quota_warnings_total", { "limit", "tenant" },
  "Times that a tenant came near its quota.")

tide.on("limit_soft", "quota nearly used up", function(event)
  local tenant = event.labels.tenant or "none"
  warned:add(event.text, tenant)
  tide.log.warn(event.text .. ": " .. tenant .. " has " .. event.number .. " of " .. event.bound)
end)
