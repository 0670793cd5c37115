-- Each team's series are kept as long as the team asked for; the others as the configuration says.

local KEEP = {
  payments = "400d", -- the auditors ask for a year
  web = "90d",
  lab = "7d",
}

tide.retention("by team", function(series)
  return KEEP[series.labels.team]
end)
