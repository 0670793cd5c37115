-- Folders of the original (spec/data/prom1x), unpacked, and their files for comparison.
local engine = require "spec.unit.store.engine"

local fixtures = {}

-- Path of a fresh copy, and the folder to remove (engine.remove) when done.
function fixtures.unpack(name)
  local folder = engine.folder()
  assert(os.execute(("tar -xzf spec/data/prom1x/%s.tar.gz -C %s"):format(name, folder)) == 0)
  return folder .. "/" .. name, folder
end

-- Names, sizes, times, modes and contents of everything in a folder, as one text.
function fixtures.state(path)
  local pipe = io.popen("cd '" .. path .. "' && find . -printf '%p %s %T@ %m\\n' | sort; " ..
    "find . -type f | sort | xargs -r md5sum")
  local text = pipe:read("*a")
  pipe:close()
  return text
end

function fixtures.exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

-- A metric as one text that does not depend on the order of its labels.
function fixtures.key(metric)
  local names = {}
  for name in pairs(metric) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = name .. "\0" .. metric[name] end
  return table.concat(names, "\1")
end

return fixtures
