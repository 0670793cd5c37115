-- Labels that change at each deployment would make new series each time: away with them. And the
-- same thing gets the same name everywhere.

local REMOVE = { "pod_ip", "container_id", "pod_template_hash" }
local RENAME = { availability_zone = "zone", datacenter = "dc" }

tide.admit("tidy labels", function(series)
  local labels = series.labels
  for _, name in ipairs(REMOVE) do labels[name] = nil end
  for old, new in pairs(RENAME) do
    if labels[old] then
      labels[new] = labels[new] or labels[old]
      labels[old] = nil
    end
  end
  -- web-7d9f-x2x4k -> web
  local workload = tide.replace(labels.pod or "", "(.+)-[0-9a-f]+-[0-9a-z]{5}", "$1")
  if workload then labels.workload = labels.workload or workload end
end)
