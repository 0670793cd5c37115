-- Who makes many series? New ones are counted by job, and a job that makes too many in ten minutes
-- gets a line in the log and a series that an alert can watch.

local TOO_MANY = 1000

local created = tide.metric.counter("series_created_total", { "job" }, "New series, by job.")

tide.on("series_new", "count new series", function(event)
  if event.labels.__name__ == "job:series_created:10m" then return end -- our own
  local job = event.labels.job or "none"
  created:add(job)
  tide.shared.incr("new series/" .. job)
end)

tide.every("10m", "judge new series", function()
  for _, name in ipairs(tide.shared.names "new series/") do
    local count = tide.shared.get(name)
    local job = name:sub(#"new series/" + 1)
    tide.push("job:series_created:10m", { job = job }, count)
    if count > TOO_MANY then
      tide.log.warn(job .. " made " .. count .. " series in ten minutes")
    end
    tide.shared.incr(name, -count)
  end
end)

tide.on("damage", "tell of damaged files", function(event)
  tide.log.error("damaged: " .. (event.labels and event.labels.__name__ or "?") .. ": " ..
    event.text)
end)
