-- Every read sees the series of its own tenant only, on whatever path it comes: the restriction
-- goes into every selector of a query, and into label names, values, exports and statistics. Who
-- is no tenant reads nothing: restrict raises on nil, and a broken query rule refuses.

local EVERYTHING = { admin = true } -- users who see all tenants

tide.query("tenants see their own", function(q)
  if EVERYTHING[q.user] then return end
  if not q.tenant then return tide.refuse(403, "this server needs a tenant") end
  q:restrict { tenant = q.tenant }
end)
