-- The keys of a table, in order: so that specs made from it run in the same order each time.
return function(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end
