-- Files as a whole.
local file = {}

-- All of a file; raises where there is none.
function file.read(path)
  local handle = assert(io.open(path))
  local text = handle:read("*a")
  handle:close()
  return text
end

return file
