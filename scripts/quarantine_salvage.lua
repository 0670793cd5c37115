-- A damaged file is put aside with all that is in it, unless a rule says otherwise. For counters,
-- what is sound is worth more than a complete file in orphaned/: rates bear a gap.

tide.quarantine("salvage counters", {
  match = '{__name__=~".+_(total|count|sum|bucket)"}',
  decide = function(_, damage)
    if damage.chunks_sound > 0 then return "salvage" end
  end,
})
