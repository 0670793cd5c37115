-- A bound on the memory of a server and its page cache, where the system lets us set one: by
-- systemd, or, as root without it, by a control group of our own (version 2 or 1).
local memory_group = {}

local function runs(command) return os.execute("{ " .. command .. "; } >/dev/null 2>&1") == 0 end

-- The group's folder, its file of the bound, by the hierarchies' usual places.
local PLACES = {
  { folder = "/sys/fs/cgroup/tidemark-bench", bound = "memory.max" },
  { folder = "/sys/fs/cgroup/memory/tidemark-bench", bound = "memory.limit_in_bytes" },
}

--- The words of a command that runs another one within `bytes`; nil where none can be had.
---@param bytes number
---@return table|nil words, a list for peers.start
function memory_group.wrapper(bytes)
  local by_systemd = { "systemd-run", "-q", "--scope", "-p", ("MemoryMax=%d"):format(bytes) }
  if runs(table.concat(by_systemd, " ") .. " true") then return by_systemd end
  for _, place in ipairs(PLACES) do
    local bound = place.folder .. "/" .. place.bound
    if runs(("mkdir -p %s && test -w %s && echo %d > %s"):format(place.folder, bound, bytes, bound))
    then
      return { "sh", "-c", ("echo $$ > %s/cgroup.procs && exec \"$@\""):format(place.folder), "sh" }
    end
  end
  return nil
end

return memory_group
