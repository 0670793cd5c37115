-- Series of development environments are not stored. The sender is told so, and it is no error.

local DROP = { dev = true, sandbox = true }

tide.admit("no development", function(series)
  local env = series.labels.env
  if DROP[env] then return tide.drop("environment " .. env) end
end)
