-- Series that somebody reads are kept long, those that nobody has read for a while go early. What
-- is not known is kept: a series counts as unread only from the day on that the server knows it.

local READ_WITHIN = tide.days(90) -- a read keeps a series so long
local KEEP, KEEP_UNREAD = "400d", "30d"
local ALWAYS = '{__name__=~"(ALERTS.*|up)"}' -- whatever is read

-- How long an answer holds: reads that come meanwhile are heeded at the next question.
local VALID = "6h"

tide.retention("kept whatever is read", { match = ALWAYS, keep = KEEP })

tide.retention("keep what is read", function(series)
  local used = series.last_read or series.created -- nobody has read it since
  if not used then return end
  if tide.ago(used) > READ_WITHIN then return KEEP_UNREAD, VALID end
  return KEEP, VALID
end)
