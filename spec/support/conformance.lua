-- The conformance material that the PromQL specs judge by (TIDE_CONFORMANCE names its folder).
local conformance = {}

conformance.folder = os.getenv("TIDE_CONFORMANCE") or "../shared/conformance"

-- The text of a file of it; nil when the material is not there.
function conformance.read(path)
  local file = io.open(conformance.folder .. "/" .. path)
  if not file then return nil end
  local text = file:read("*a")
  file:close()
  return text
end

function conformance.json(path)
  local text = conformance.read(path)
  return text and require("cjson").decode(text)
end

-- What a spec says, loudly, when the material is missing.
conformance.missing = "no conformance material in " .. conformance.folder ..
  " (set TIDE_CONFORMANCE to its folder)"

return conformance
