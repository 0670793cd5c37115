-- Dashboards may ask for years, but not at 15 seconds; and no query may take all of the server.

tide.query("coarse steps for long ranges", function(q)
  if q.range > tide.days(90) then
    q.step = "1h"
  elseif q.range > tide.days(7) then
    q.step = "5m"
  end
end)

tide.query("bounds", function(q)
  q.timeout = "30s"
  q.max_samples = 10e6
  q:clamp_ranges "30d"
  if q.subqueries > 2 then return tide.refuse(422, "more than two subqueries") end
  if q.selects and q.selects > 100000 then
    return tide.refuse(422, "too many series: name a job or an instance")
  end
end)
